//! The queues of sagas that are to be reconciled.

use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc;

use crate::api::StoredSaga;

/// Where a saga that has to be looked at again is announced: one queue for each watch.
#[derive(Debug)]
pub struct Queue {
    /// The namespace the watch is limited to; `None` for all.
    pub namespace: Option<String>,
    /// Its other end triggers reconciles.
    pub sender: mpsc::UnboundedSender<ObjectRef<StoredSaga>>,
}
