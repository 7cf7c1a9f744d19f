//! Observes Pods and Jobs.
//!
//! # Guarantees
//! - A child is reported absent only after a live read did not find it.
//! - If this process could not create the child and the child exists, another replica created it.
//! - If the operator may not read a child, it concludes nothing, unless the namespace is
//!   terminating. The deletion of a namespace first removes the operator's rights there, and then
//!   everything that is left.

use std::time::Duration;

use super::{learned::AttemptView, sources::Sources};
use crate::{
    api::{ActiveAttempt, SagaStatus},
    controller::{
        cluster::{
            error::Error,
            namespace::{NAMESPACE_POLL, is_terminating},
            watch_health::WatchedKind,
        },
        memory::remembered::{absent, remembered, with_reason},
        workload::Workload,
    },
    model::{
        observation::{ChildState, End},
        saga::ValidSaga,
    },
    objects::{
        child::{
            DELETION_POLL, WATCH_LAG, after_another, given_up, is_child, is_late, is_ours,
            name_conflict, unless_done,
        },
        stored::StoredObject,
    },
};

/// Returns the state of a Pod or a Job, and after how long to requeue the saga. If this process
/// ended the child, the state says why.
pub(super) async fn explained<K: Workload>(
    sources: &Sources<'_>,
    saga: &ValidSaga,
    status: &SagaStatus,
    view: &mut AttemptView<'_>,
    attempt: &ActiveAttempt,
) -> Result<(ChildState, Option<Duration>), Error> {
    let (state, poll) = child::<K>(sources, saga, view, attempt).await?;
    let cancelled = status.cancel_requested.is_some();
    Ok((with_reason(&view.known(), state, cancelled), poll))
}

/// Returns the state of a Pod or a Job, from the watch, from this process's memory, or from a live
/// read. Also returns after how long to requeue the saga.
async fn child<K: Workload>(
    sources: &Sources<'_>,
    saga: &ValidSaga,
    view: &mut AttemptView<'_>,
    attempt: &ActiveAttempt,
) -> Result<(ChildState, Option<Duration>), Error> {
    let key = view.key;
    let name = K::name_of(&saga.name, &saga.uid, &key.attempt);
    let cached = K::cached(sources.cluster, &saga.namespace, &name);
    let there = attempt.child_uid.is_some()
        || cached
            .as_ref()
            .is_some_and(|found| is_ours(found.as_ref(), &key.saga_uid, &key.attempt));
    if let Some(end) = view.end(there) {
        return Ok((end.into(), None));
    }
    let child = view.child().or_else(|| attempt.child_uid.clone());
    let barred = sources.cluster.watch_health.is(&saga.namespace, K::WATCHED);
    let mut newest = None;
    if let Some(found) = cached.filter(|found| !is_another::<K>(found, child.as_deref())) {
        let (state, poll) = seen(sources, view, attempt, found.as_ref()).await?;
        // An end stays an end, even if the copy is old.
        if !barred || !matches!(state, ChildState::Active { .. }) {
            return Ok((state, poll));
        }
        newest = Some(state);
    }
    let known = view.known();
    // The watch may have reported the child's deletion before this process knew the child. A live
    // read looks for the child once the remembered state has expired.
    if let Some(state) = remembered(&known).filter(|_| known.gone.is_none()) {
        return Ok((state, Some(WATCH_LAG)));
    }
    let gone = known.gone;
    let live = match K::api(sources.cluster, &saga.namespace)
        .get_opt(&name)
        .await
        .map_err(Error::api(K::READ))
    {
        Ok(live) => live.map(|StoredObject(found)| found),
        Err(error)
            if error.is_forbidden() && is_terminating(sources.cluster, &saga.namespace).await? =>
        {
            return Ok(out_of_sight::<K>(sources, &saga.namespace, view, child.as_deref(), gone));
        }
        // The operator may not read the child, so the cached state is the newest.
        Err(error) if error.is_forbidden() => {
            return newest.map(|state| (state, Some(NAMESPACE_POLL))).ok_or(error);
        }
        Err(error) => return Err(error),
    };
    after_live(sources, saga, view, attempt, child.as_deref(), gone, live).await
}

/// Returns whether the object is not the child with this UID. If no UID is known, any object may be
/// the child.
fn is_another<K: Workload>(found: &K, child: Option<&str>) -> bool {
    child.is_some_and(|child| found.meta().uid.as_deref() != Some(child))
}

/// Returns the state of a Pod or a Job by what a live read shows, and after how long to requeue the
/// saga.
///
/// `child`: the UID of the attempt's child, if the child was ever seen. `gone`: the end that the
/// watch delivered.
async fn after_live<K: Workload>(
    sources: &Sources<'_>,
    saga: &ValidSaga,
    view: &mut AttemptView<'_>,
    attempt: &ActiveAttempt,
    child: Option<&str>,
    gone: Option<End>,
    live: Option<K>,
) -> Result<(ChildState, Option<Duration>), Error> {
    let gone = match &live {
        // A child that lost its label continues, although the watch reports it as gone.
        Some(found) if !is_another(found, child) => {
            return Ok((
                unless_done(seen(sources, view, attempt, found).await?.0, gone),
                Some(WATCH_LAG),
            ));
        }
        // Somebody deleted the attempt's child, and another replica created it again. The attempt
        // ends only when the new child has ended.
        Some(found) if is_ours(found, &view.key.saga_uid, &view.key.attempt) => {
            return Ok((
                after_another(seen(sources, view, attempt, found).await?.0, &K::word()),
                Some(WATCH_LAG),
            ));
        }
        Some(_) | None => {
            let job_pods = sources.memory.job_pods();
            let listed = match child {
                Some(child) => K::rest(sources.cluster, job_pods, &saga.namespace, child).await?,
                None => None,
            };
            let known_child = child.map(|child| (child, view.age()));
            let after = K::after(job_pods, known_child, listed.as_ref(), gone);
            if let Some((child, listed)) = child.zip(listed) {
                view.pods_listed(child, listed);
            }
            after
        }
    };
    Ok(match (live, gone) {
        (_, Some(ChildState::Ended(end))) => {
            view.ended(end.clone());
            (end.into(), None)
        }
        (_, Some(active)) => (active, Some(WATCH_LAG)),
        (Some(found), None) if child.is_none() => (name_conflict(&found).into(), None),
        (Some(_) | None, None) => {
            let known = view.known();
            (absent(&known, known.child.is_some()), None)
        }
    })
}

/// Returns the state of an object that exists, if the object is the attempt's child. If the UID of
/// the child is known, the UID identifies it, since owners and labels can be removed. Also returns
/// after how long to requeue the saga if no event arrives.
async fn seen<K: Workload>(
    sources: &Sources<'_>,
    view: &mut AttemptView<'_>,
    attempt: &ActiveAttempt,
    found: &K,
) -> Result<(ChildState, Option<Duration>), Error> {
    let (known, job_pods) = (view.child(), sources.memory.job_pods());
    if !is_child(
        found,
        (&view.key.saga_uid, &view.key.attempt),
        [known.as_deref(), attempt.child_uid.as_deref()],
    ) {
        return Ok((name_conflict(found).into(), None));
    }
    view.child_seen(found.meta().uid.as_deref().unwrap_or_default());
    let (deleting, stuck) = found.deletion(job_pods);
    let deleting_for = deleting.then(|| view.terminating_for());
    if let Some(end) = given_up(stuck, deleting_for) {
        return Ok((end.into(), None));
    }
    let state = found.state(sources.cluster, job_pods, view.age()).await?;
    if !matches!(state, ChildState::Active { .. }) {
        return Ok((state, None));
    }
    if is_late(deleting_for)
        && let Some(end) = found.kept(sources.cluster, job_pods).await?
    {
        return Ok((end.into(), None));
    }
    let held_up = found.held_up(job_pods);
    let held_up_for = held_up.as_ref().map(|_| view.held_up_for());
    let polls = deleting || held_up.is_some();
    match held_up.zip(held_up_for) {
        Some(((end, after), since)) if since >= after => Ok((end.into(), None)),
        Some(_) | None => Ok((state, polls.then_some(DELETION_POLL))),
    }
}

/// Returns the state of a child that the operator may no longer read, because the deletion of the
/// namespace removed the operator's rights. The deletion of the namespace also deletes the child,
/// so the child gets the same time to end as any terminating child. The duration is the time until
/// the next poll.
fn out_of_sight<K: Workload>(
    sources: &Sources<'_>,
    namespace: &str,
    view: &mut AttemptView<'_>,
    child: Option<&str>,
    gone: Option<End>,
) -> (ChildState, Option<Duration>) {
    // If the watch of Pods is barred, the remembered state of a Job's pods may be out of date.
    let old = |told: &ChildState| {
        matches!(told, ChildState::Active { .. })
            && sources.cluster.watch_health.is(namespace, WatchedKind::Pod)
    };
    let known_child = child.map(|child| (child, view.age()));
    let after = K::after(sources.memory.job_pods(), known_child, None, gone);
    match (after.filter(|told| !old(told)), child) {
        (Some(ChildState::Ended(end)), _) => {
            view.ended(end.clone());
            (end.into(), None)
        }
        (Some(active), _) => (active, Some(WATCH_LAG)),
        (None, None) if view.known().is_refused() => (absent(&view.known(), false), None),
        (None, None) => {
            let message = format!(
                "its namespace is being deleted, and the operator may no longer read whether its \
                 {} was created",
                K::word()
            );
            (ChildState::Ended(End::Unknown { message, retry_after: None }), None)
        }
        (None, Some(uid)) => {
            let (age, why) = (
                view.terminating_for(),
                "its namespace is being deleted, and the operator may no longer read its",
            );
            if is_late(Some(age)) {
                let message = format!("{why} {}: it may still run", K::word());
                return (ChildState::Ended(End::Unknown { message, retry_after: None }), None);
            }
            let detail = format!("{why} {}; its end is awaited", K::word());
            (
                ChildState::Active { uid: Some(uid.to_owned()), age, detail, trouble: None },
                Some(DELETION_POLL),
            )
        }
    }
}

#[cfg(test)]
mod tests;
