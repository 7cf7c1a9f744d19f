//! What the events of a watch are reported to.

use std::sync::Arc;

use kube::{Api, Resource};

use crate::{
    controller::{
        cluster::watch_health::{Barred, Health, Watched},
        memory::memories::Memory,
        queue::Queue,
    },
    service::metrics::Metrics,
};

/// What the events of a watch are reported to.
#[derive(Clone)]
pub(crate) struct Listeners {
    /// Remembers the ends of children and the pods of Jobs.
    pub(crate) memory: Arc<Memory>,
    /// Takes the sagas to reconcile.
    pub(crate) queue: Queue,
    /// Knows the watches that the API server answers with 403 or 404.
    pub(crate) barred: Arc<Barred>,
    /// The metrics.
    pub(crate) metrics: Arc<Metrics>,
}

/// Returns the health of a watch of `api`.
pub(crate) fn health<K: Resource>(listeners: &Listeners, api: &Api<K>, kind: Watched) -> Health {
    Health::of(api, kind, &listeners.barred, &listeners.queue, &listeners.metrics)
}
