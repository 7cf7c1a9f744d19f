//! The queue of sagas that are to be reconciled.

use kube::runtime::reflector::Store;
use tokio::sync::mpsc;

use crate::api::{
    StoredSaga,
    stored::{name, namespace},
};

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

    /// Returns the reference to this saga.
    #[must_use]
    pub fn to(saga: &StoredSaga) -> Self {
        Self::new(namespace(saga), name(saga))
    }
}

/// A handle to the queue of this process. All clones stand for the same queue.
#[derive(Clone, Debug)]
pub struct Queue {
    sender: mpsc::UnboundedSender<SagaRef>,
    /// The caches of the sagas, one for each watch.
    sagas: Vec<Store<StoredSaga>>,
}

impl Queue {
    /// Creates a queue, and the end at which the enqueued sagas come out. `sagas`: the caches in
    /// which [`Self::enqueue_where`] looks for sagas.
    #[must_use]
    pub fn new(sagas: Vec<Store<StoredSaga>>) -> (Self, mpsc::UnboundedReceiver<SagaRef>) {
        let (sender, enqueued) = mpsc::unbounded_channel();
        (Self { sender, sagas }, enqueued)
    }

    /// Enqueues a saga for a reconcile.
    pub fn enqueue(&self, saga: &SagaRef) {
        // If the queue is closed, the process is about to end.
        let _ = self.sender.send(saga.clone());
    }

    /// Enqueues every cached saga for which `wanted` returns true.
    pub fn enqueue_where(&self, wanted: impl Fn(&StoredSaga) -> bool) {
        for saga in self.sagas.iter().flat_map(Store::state).filter(|saga| wanted(saga)) {
            self.enqueue(&SagaRef::to(&saga));
        }
    }
}
