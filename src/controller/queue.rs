//! The queues of sagas that are to be reconciled.

use std::sync::Arc;

use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::mpsc;

use crate::api::{
    StoredSaga,
    stored::{name, namespace},
};

/// The sending end of the queue of one watch.
#[derive(Debug)]
pub struct WatchQueue {
    /// The namespace of the watch; `None` if the watch covers all namespaces.
    pub namespace: Option<String>,
    /// The receiving end of this channel triggers reconciles.
    pub sender: mpsc::UnboundedSender<ObjectRef<StoredSaga>>,
}

/// The namespace and the name of a saga.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SagaRef {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl SagaRef {
    /// Returns the reference to the saga of this namespace and name.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// A handle to the queues of all watches. All clones stand for the same queues.
#[derive(Clone, Debug)]
pub struct Queue {
    watches: Arc<[WatchQueue]>,
    /// The caches of the sagas, one for each watch.
    sagas: Vec<Store<StoredSaga>>,
}

impl Queue {
    /// Creates a handle to these queues. `sagas`: the caches in which [`Self::enqueue_where`] looks
    /// for sagas.
    #[must_use]
    pub fn new(watches: Vec<WatchQueue>, sagas: Vec<Store<StoredSaga>>) -> Self {
        Self { watches: watches.into(), sagas }
    }

    /// Enqueues a saga for a reconcile.
    pub fn enqueue(&self, SagaRef { namespace, name }: &SagaRef) {
        for queue in self.watches.iter() {
            if queue.namespace.as_ref().is_none_or(|watched| watched == namespace) {
                // If the queue is closed, the process is about to end.
                let _ = queue.sender.send(ObjectRef::new(name).within(namespace));
            }
        }
    }

    /// Enqueues every cached saga for which `wanted` returns true.
    pub fn enqueue_where(&self, wanted: impl Fn(&StoredSaga) -> bool) {
        for saga in self.sagas.iter().flat_map(Store::state).filter(|saga| wanted(saga)) {
            self.enqueue(&SagaRef::new(namespace(&saga), name(&saga)));
        }
    }
}
