//! The parts of the process that the record of a plan and the performance of its effects share.

use std::sync::Arc;

use super::{cluster::connection::Cluster, memory::memories::Memory, queue::Queue};
use crate::service::metrics::Metrics;

/// What every write to the cluster needs: the connection, and where its result is noted.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    /// The connection to the cluster.
    pub cluster: &'a Arc<Cluster>,
    /// What this process remembers, such as its own writes.
    pub memory: &'a Arc<Memory>,
    /// Takes the sagas that are due because of a write or of its result.
    pub queue: &'a Queue,
    /// The metrics.
    pub metrics: &'a Arc<Metrics>,
}
