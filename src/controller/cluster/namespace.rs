//! The deletion of a namespace, as it affects sagas. Nothing new can begin in a terminating
//! namespace, and the operator's rights there may be deleted before the sagas are.
//!
//! # Guarantees
//! Only a live read decides that a namespace is terminating. A namespace that the operator may not
//! read (403) counts as not terminating.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;

use super::{
    error::{Error, chain, code},
    watch_health::Watched,
};
use crate::{
    api::{SagaStatus, StoredSaga, stored::namespace},
    controller::{
        context::Context,
        memory::{attempts::AttemptKey, remembered::absent},
        observe::children::deleting_for,
        workload::Child,
    },
    model::observation::ChildState,
    objects::child::{DELETION_POLL, WATCH_LAG, is_late},
};

/// How often the operator reads the namespace of a stalled saga that is being deleted, because no
/// watch reports the deletion of the namespace. Also how often a saga is requeued if its watches no
/// longer report.
pub(crate) const NAMESPACE_POLL: Duration = Duration::from_mins(1);

/// Returns whether the namespace of a stalled saga that is being deleted is terminating. Returns
/// `None` if the saga is not being deleted or is not stalled. A saga with an unreadable status
/// counts as stalled.
///
/// # Errors
/// If the live read of the namespace failed.
pub(crate) async fn terminating(
    context: &Context,
    saga: &StoredSaga,
) -> Result<Option<bool>, Error> {
    let stalled = |status: &SagaStatus| {
        status.conditions.iter().any(|known| known.type_ == "Stalled" && known.status == "True")
    };
    if saga.metadata.deletion_timestamp.is_none() || !saga.status.as_ref().map_or(true, stalled) {
        return Ok(None);
    }
    namespace_goes(context, namespace(saga)).await.map(Some)
}

/// Returns whether a namespace is terminating.
///
/// # Errors
/// If the live read failed. A 403 is not an error.
pub(crate) async fn namespace_goes(context: &Context, namespace: &str) -> Result<bool, Error> {
    let api: kube::Api<Namespace> = kube::Api::all(context.client.clone());
    match api.get_opt(namespace).await {
        Ok(read) => Ok(read.is_some_and(|read| read.metadata.deletion_timestamp.is_some())),
        // An operator that was installed without this right can still do everything else.
        Err(source) if code(&source) == Some(403) => {
            tracing::warn!(
                namespace,
                error = chain(&source),
                "cannot read the namespace of a saga: should it go, the saga holds it up"
            );
            Ok(false)
        }
        Err(source) => Err(Error::Api { doing: "read the namespace", source }),
    }
}

/// Returns the state of a child that the operator may no longer read, because the deletion of the
/// namespace removed the operator's rights. The deletion of the namespace also deletes the child,
/// so the child gets the same time to end as any terminating child. The duration is the time until
/// the next poll.
pub(crate) fn out_of_sight<K: Child>(
    context: &Context,
    namespace: &str,
    key: &AttemptKey,
    child: Option<&str>,
    gone: Option<ChildState>,
) -> (ChildState, Option<Duration>) {
    // If the watch of Pods is barred, the remembered state of a Job's pods may be out of date.
    let old = |told: &ChildState| {
        matches!(told, ChildState::Active { .. }) && context.barred.is(namespace, Watched::Pod)
    };
    match (K::after(context, key, child, gone).filter(|told| !old(told)), child) {
        (Some(active @ ChildState::Active { .. }), _) => (active, Some(WATCH_LAG)),
        (Some(end), _) => {
            context.attempts.ended(key, end.clone());
            (end, None)
        }
        (None, None) if context.attempts.look(key, |known| known.is_refused()) => {
            (context.attempts.look(key, |known| absent(known, false)), None)
        }
        (None, None) => {
            let message = format!(
                "its namespace is being deleted, and nobody may look whether its {} was created",
                K::word()
            );
            (ChildState::Unknown { message, retry_after: None }, None)
        }
        (None, Some(uid)) => {
            let (age, why) = (
                deleting_for(context, key),
                "its namespace is being deleted, and nobody may look at its",
            );
            if is_late(Some(age)) {
                let message = format!("{why} {} any more: it may still run", K::word());
                return (ChildState::Unknown { message, retry_after: None }, None);
            }
            let detail = format!("{why} {}; its end is awaited", K::word());
            (
                ChildState::Active { uid: Some(uid.to_owned()), age, detail, trouble: None },
                Some(DELETION_POLL),
            )
        }
    }
}
