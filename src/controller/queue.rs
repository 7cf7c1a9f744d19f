//! The queues of sagas that are to be reconciled.

use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc;

use crate::api::StoredSaga;

/// The sending end of a queue of sagas to reconcile. There is one queue for each watch.
#[derive(Debug)]
pub struct Queue {
    /// The namespace of the watch; `None` if the watch covers all namespaces.
    pub namespace: Option<String>,
    /// The receiving end of this channel triggers reconciles.
    pub sender: mpsc::UnboundedSender<ObjectRef<StoredSaga>>,
}
