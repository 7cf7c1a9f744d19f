//! After how long a saga is requeued if no event arrives.

use std::time::Duration;

use crate::{
    api::{SagaPhase, StoredSaga, stored::namespace},
    controller::cluster::{connection::Cluster, namespace::NAMESPACE_POLL},
};

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
