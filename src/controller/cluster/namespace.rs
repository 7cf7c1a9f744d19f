//! What it means that a namespace is being deleted: nothing new can begin there, and the operator's
//! rights may go before its sagas have.
//!
//! # Guarantees
//! Only a live read says that a namespace goes. One that may not be read goes not, as far as the
//! operator knows.

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

/// How often it is looked whether the namespace of a deleted saga that stands still goes, too,
/// since nothing of the saga tells; and how often a saga is looked at of which no watch tells any
/// more.
pub(crate) const NAMESPACE_POLL: Duration = Duration::from_mins(1);

/// Whether a deleted saga that stands still has a namespace that is being deleted; `None` where the
/// saga is no such one.
///
/// # Errors
/// Where the live read of the namespace failed.
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

/// Whether a namespace is being deleted.
///
/// # Errors
/// Where the live read failed.
pub(crate) async fn namespace_goes(context: &Context, namespace: &str) -> Result<bool, Error> {
    let api: kube::Api<Namespace> = kube::Api::all(context.client.clone());
    match api.get_opt(namespace).await {
        Ok(read) => Ok(read.is_some_and(|read| read.metadata.deletion_timestamp.is_some())),
        // An operator with older rights does everything else.
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

/// The state of a child that the operator may not look at any more, since the deletion of the
/// namespace took its rights. The namespace takes the child along, too: it is given the time for
/// that which one has that is being deleted.
pub(crate) fn out_of_sight<K: Child>(
    context: &Context,
    namespace: &str,
    key: &AttemptKey,
    child: Option<&str>,
    gone: Option<ChildState>,
) -> (ChildState, Option<Duration>) {
    // What is remembered of a Job's pods may be old, too.
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
