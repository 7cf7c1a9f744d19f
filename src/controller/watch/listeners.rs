//! What the events of a watch are reported to.

use std::sync::Arc;

use kube::{Api, Resource};

use crate::{
    controller::{
        cluster::watch_health::{WatchHealth, WatchReporter, WatchedKind},
        memory::memories::Memory,
        queue::Queue,
    },
    service::metrics::Metrics,
};

/// What the events of a watch are reported to.
#[derive(Clone)]
pub(in crate::controller) struct Listeners {
    /// Remembers the ends of children and the pods of Jobs.
    pub(in crate::controller) memory: Arc<Memory>,
    /// Takes the sagas to reconcile.
    pub(in crate::controller) queue: Queue,
    /// Knows the watches that the API server answers with 403 or 404.
    pub(in crate::controller) watch_health: Arc<WatchHealth>,
    /// The metrics.
    pub(in crate::controller) metrics: Arc<Metrics>,
}

/// Returns the health of a watch of `api`.
pub(in crate::controller) fn reporter<K: Resource>(
    listeners: &Listeners,
    api: &Api<K>,
    kind: WatchedKind,
) -> WatchReporter {
    WatchReporter::of(api, kind, &listeners.watch_health, &listeners.queue, &listeners.metrics)
}
