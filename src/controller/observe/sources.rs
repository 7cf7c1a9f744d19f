//! What an observation rests on.

use crate::controller::{
    cluster::connection::Cluster, evaluations::Evaluations, lifecycle::Lifecycle,
    memory::memories::MemoryView, outbound::ExecutorsView,
};

/// What an observation rests on. It reads all of this and changes nothing of it.
#[derive(Clone, Copy)]
pub(in crate::controller) struct Sources<'a> {
    /// The cluster, by its caches and by live reads.
    pub(in crate::controller) cluster: &'a Cluster,
    /// What this process remembers.
    pub(in crate::controller) memory: MemoryView<'a>,
    /// The executors of HTTP requests.
    pub(in crate::controller) executors: ExecutorsView<'a>,
    /// Whether this process leads.
    pub(in crate::controller) lifecycle: &'a Lifecycle,
    /// Limits the computations that evaluate expressions.
    pub(in crate::controller) evaluations: &'a Evaluations,
}
