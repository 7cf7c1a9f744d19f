//! After how long a saga is requeued if no event arrives.

use std::time::Duration;

use crate::{
    api::{SagaPhase, StoredSaga, stored::namespace},
    controller::cluster::{connection::Cluster, namespace::NAMESPACE_POLL},
};

/// The longest wait before a saga is requeued. What is due later is requeued in between.
const LONGEST: Duration = Duration::from_hours(180 * 24);

/// When a saga is reconciled again if no event arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) struct Action {
    /// The wait; `None` if only an event leads to a reconcile.
    pub(in crate::controller) after: Option<Duration>,
}

impl Action {
    /// Returns the action that requeues the saga after this wait.
    pub(in crate::controller) fn requeue(after: Duration) -> Self {
        Self { after: Some(after.min(LONGEST)) }
    }

    /// Returns the action that waits for an event.
    pub(in crate::controller) const fn await_change() -> Self {
        Self { after: None }
    }
}

/// The wait before a copy that is older than an own write is read again, if the watch brings
/// nothing newer.
pub(in crate::controller) const STALE_AGAIN: Duration = Duration::from_secs(1);

/// Returns the wait before a saga is read again if a barred watch may miss its changes. Returns
/// `None` if nothing is left to do for the saga.
pub(in crate::controller) fn unwatched(saga: &StoredSaga, cluster: &Cluster) -> Option<Duration> {
    let metadata = &saga.metadata;
    let ended =
        saga.status.as_ref().is_ok_and(|status| status.phase.is_some_and(SagaPhase::is_terminal));
    let rests = ended
        && metadata.finalizers.as_ref().is_none_or(Vec::is_empty)
        && metadata.deletion_timestamp.is_none();
    (!rests && cluster.watch_health.blinds(namespace(saga))).then_some(NAMESPACE_POLL)
}
