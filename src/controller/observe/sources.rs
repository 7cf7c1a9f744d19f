//! What an observation rests on.

use crate::controller::{
    cluster::connection::Cluster, evaluations::Evaluations, lifecycle::Lifecycle,
    memory::memories::Memory, outbound::Outbound,
};

/// What an observation rests on.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    /// The cluster, by its caches and by live reads.
    pub(crate) cluster: &'a Cluster,
    /// What this process remembers.
    pub(crate) memory: &'a Memory,
    /// The executors of HTTP requests.
    pub(crate) outbound: &'a Outbound,
    /// Whether this process leads.
    pub(crate) lifecycle: &'a Lifecycle,
    /// Limits the computations that evaluate expressions.
    pub(crate) evaluations: &'a Evaluations,
}
