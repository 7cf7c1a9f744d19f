//! What a child saga has to know of its parent, and which children have to be looked at when their parent changes.
//!
//! # Guarantees
//! A child lets go of its finalizer only after a live read of its parent: a copy may be older than the request that has the parent undone.

use super::{
    context::Context,
    error::Error,
    gather::remembered_attempts,
    record::{name, namespace},
};
use crate::{
    api::{
        SagaPhase, StoredSaga,
        names::{FINALIZER, child_name},
    },
    objects::{child_saga, pod::attempt_of},
};

/// Whether the saga is the child of one that has our finalizer, so that it may still have to be undone after it ended.
///
/// # Errors
/// Where the live read of the parent failed.
pub(super) async fn holds(context: &Context, saga: &StoredSaga) -> Result<bool, Error> {
    let (Some(parent), Some((uid, _))) = (child_saga::parent(saga), attempt_of(saga)) else { return Ok(false) };
    let cached = context.cached_saga(namespace(saga), parent);
    if cached.is_some_and(|parent| holds_on(&parent, &uid)) {
        return Ok(true);
    }
    if !has_finalizer(saga) {
        return Ok(false);
    }
    let live = context.sagas(namespace(saga)).get_opt(parent).await.map_err(Error::api("read the parent of a child saga"))?;
    Ok(live.is_some_and(|parent| holds_on(&parent, &uid)))
}

fn holds_on(parent: &StoredSaga, uid: &str) -> bool {
    parent.metadata.uid.as_deref() == Some(uid) && has_finalizer(parent)
}

fn has_finalizer(saga: &StoredSaga) -> bool {
    saga.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
}

/// The names of the children that have to be looked at when a saga changed or went: they let go of their finalizers when it did, and take
/// them again where it is undone after its end.
pub(super) fn children_to_tell(parent: &StoredSaga, gone: bool) -> Vec<String> {
    let ended = parent.status.as_ref().is_ok_and(|status| status.phase.is_some_and(SagaPhase::is_terminal));
    if !gone && !ended && has_finalizer(parent) {
        return Vec::new();
    }
    let uid = parent.metadata.uid.as_deref().unwrap_or_default();
    let status = parent.status.as_ref().ok().into_iter();
    let with_child = |step: &str| {
        let steps = parent.status.iter().flat_map(|status| &status.steps);
        steps.filter(|known| known.child.is_some()).any(|known| known.name == step)
    };
    let children = status.flat_map(remembered_attempts).filter(|attempt| with_child(&attempt.step));
    children.map(|attempt| child_name(name(parent), uid, &attempt)).collect()
}
