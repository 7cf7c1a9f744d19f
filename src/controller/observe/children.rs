//! Observes the children of the active attempts, in the engine's terms.
//!
//! # Guarantees
//! - A child is reported absent only after a live read did not find it.
//! - If this process could not create the child and the child exists, another replica created it.
//! - If the operator may not read a child, it concludes nothing, unless the namespace is
//!   terminating. The deletion of a namespace first removes the operator's rights there, and then
//!   everything that is left.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};

use super::{child_saga, object::Attempt};
use crate::{
    api::{
        ActiveAttempt, DeletionPolicy, Direction, SagaStatus, StepStatus, StoredSaga,
        names::AttemptId,
        status::active_attempts,
        stored::{name, namespace},
    },
    controller::{
        cluster::{
            error::Error,
            namespace::{NAMESPACE_POLL, namespace_goes, out_of_sight},
        },
        context::Context,
        memory::{
            attempts::{AttemptKey, called_off},
            remembered::{absent, remembered, with_reason},
        },
        workload::Child,
    },
    engine::planner::{
        child_sagas::{left_behind, made_by},
        deadline::own_time,
    },
    model::{
        observation::{ChildState, Observed},
        saga::{ValidSaga, Work},
        values::Values,
    },
    objects::{
        attempt,
        child::{
            DELETION_POLL, WATCH_LAG, after_another, given_up, is_child, is_late, is_ours,
            name_conflict, unless_done,
        },
    },
};

/// Returns the states of the children of all active attempts, and after how long to requeue the
/// saga if no event arrives.
///
/// `goes`: the deletion policy in the spec, if the saga is being deleted. Then the children that
/// the saga leaves behind are read too.
///
/// # Errors
/// If a live read failed.
pub async fn children(
    context: &Arc<Context>,
    saga: &ValidSaga,
    status: &SagaStatus,
    executor: Option<&str>,
    goes: Option<DeletionPolicy>,
) -> Result<(Observed, Option<Duration>), Error> {
    let active: Vec<_> = active_attempts(status).collect();
    let left = goes.map(|policy| left_behind(saga, status, policy)).unwrap_or_default();
    let ids: Vec<_> =
        active.iter().map(|(id, _)| id).chain(left.iter().map(|(id, _)| id)).cloned().collect();
    context.attempts.keep_only(&saga.uid, &ids);
    let (mut observed, mut again) =
        (child_saga::left_behind(context, saga, left).await?, None::<Duration>);
    for (id, attempt) in active {
        let operation = saga
            .steps
            .iter()
            .find(|step| step.name == id.step)
            .and_then(|step| step.operation(id.direction));
        let Some(operation) = operation else { continue };
        let key = (saga.uid.clone(), id);
        let (state, poll) = match operation.work {
            Work::Http(_) => {
                let timeout = own_time(Some(attempt), operation.timeout);
                (request(context, saga, &key, attempt, timeout, executor), None)
            }
            Work::Pod(_) => explained::<Pod>(context, saga, status, &key, attempt).await?,
            Work::Job(_) => explained::<Job>(context, saga, status, &key, attempt).await?,
            Work::Apply(_) | Work::Delete(_) | Work::Until(_) => {
                object(context, saga, status, &key, attempt).await
            }
            Work::Saga(_) => kin(context, saga, status, &key, attempt, false).await?,
            Work::UndoSaga => kin(context, saga, status, &key, attempt, true).await?,
            Work::Approval(_) | Work::Wait(_) => continue,
        };
        again = [again, poll].into_iter().flatten().min();
        observed.insert(key.1, state);
    }
    let senders: Vec<_> =
        active_attempts(status).filter_map(|(_, attempt)| attempt.executor.as_deref()).collect();
    context.others.waits_only_for(&(saga.namespace.clone(), saga.name.clone()), &senders);
    Ok((observed, again))
}

/// Returns the state of a Pod or a Job, and after how long to requeue the saga. If this process
/// ended the child, the state says why.
async fn explained<K: Child>(
    context: &Context,
    saga: &ValidSaga,
    status: &SagaStatus,
    key: &AttemptKey,
    attempt: &ActiveAttempt,
) -> Result<(ChildState, Option<Duration>), Error> {
    let (state, poll) = child::<K>(context, saga, key, attempt).await?;
    let cancelled = status.cancel_requested.is_some();
    Ok((context.attempts.look(key, |known| with_reason(known, state, cancelled)), poll))
}

/// Returns the state of a child saga, and after how long to requeue the saga.
///
/// `undoes`: whether the attempt undoes a child that another attempt created.
async fn kin(
    context: &Context,
    saga: &ValidSaga,
    status: &SagaStatus,
    key: &AttemptKey,
    attempt: &ActiveAttempt,
    undoes: bool,
) -> Result<(ChildState, Option<Duration>), Error> {
    let step = status.steps.iter().find(|known| known.name == key.1.step);
    let (written, made_by) =
        (step.and_then(|step| step.child.as_ref()), step.filter(|_| undoes).map(made_by));
    let made_by = made_by.unwrap_or_else(|| key.1.clone());
    child_saga::Kin { context, saga, key, made_by: &made_by, written }.state(attempt).await
}

/// Returns the state of the object that a step applies, deletes or waits for, and after how long to
/// requeue the saga.
async fn object(
    context: &Context,
    saga: &ValidSaga,
    status: &SagaStatus,
    key: &AttemptKey,
    attempt: &ActiveAttempt,
) -> (ChildState, Option<Duration>) {
    let step = saga.steps.iter().find(|step| step.name == key.1.step);
    let known = status.steps.iter().find(|step| step.name == key.1.step);
    let (Some(operation), Some(known)) =
        (step.and_then(|step| step.operation(key.1.direction)), known)
    else {
        return (context.attempts.look(key, |known| absent(known, false)), None);
    };
    let values = Values { saga, steps: &status.steps };
    match context
        .think(operation.template.is_some(), || values.resolve(operation, known, key.1.direction))
        .await
    {
        Ok(work) => Attempt { context, saga, key }.state(&work, attempt).await,
        Err(message) => (ChildState::Unknown { message, retry_after: None }, None),
    }
}

/// Returns the state of an HTTP request. If this process was to send it, the state comes from this
/// process's memory. Otherwise the state comes from what is known about the executor that was to
/// send it.
fn request(
    context: &Arc<Context>,
    saga: &ValidSaga,
    key: &AttemptKey,
    attempt: &ActiveAttempt,
    timeout: Duration,
    executor: Option<&str>,
) -> ChildState {
    let sender = attempt.executor.as_deref().unwrap_or_default();
    let (is_ours, was_ours) = (executor == Some(sender), context.own.was_ours(sender));
    if !is_ours && !was_ours {
        let first_read = context.attempts.look(key, |known| known.first_read);
        let who = (saga.namespace.clone(), saga.name.clone());
        return context.others.state(context, sender, who, first_read, timeout);
    }
    context.attempts.look(key, |known| match (&known.end, known.in_flight()) {
        (Some(end), _) => end.clone(),
        (None, Some(since)) => ChildState::Active {
            uid: None,
            age: since.elapsed(),
            detail: "the request is under way".into(),
            trouble: None,
        },
        // The HTTP request may be sent only under the executor that the intent names. Nothing more
        // is sent: this process lost that executor, or begins nothing more, or does not remember
        // that it wrote the intent.
        (None, None) if was_ours || !context.leads() || !known.is_intended_here() => {
            called_off(known)
        }
        (None, None) => remembered(known).unwrap_or_else(|| absent(known, false)),
    })
}

/// Returns the state of a Pod or a Job, from the watch, from this process's memory, or from a live
/// read. Also returns after how long to requeue the saga.
async fn child<K: Child>(
    context: &Context,
    saga: &ValidSaga,
    key: &AttemptKey,
    attempt: &ActiveAttempt,
) -> Result<(ChildState, Option<Duration>), Error> {
    let name = K::name_of(&saga.name, &saga.uid, &key.1);
    let cached = K::cached(context, &saga.namespace, &name);
    let there = attempt.child_uid.is_some()
        || cached.as_ref().is_some_and(|found| is_ours(found.as_ref(), &key.0, &key.1));
    if let Some(end) = context.attempts.look(key, |known| known.end(there)) {
        return Ok((end, None));
    }
    let child = context
        .attempts
        .look(key, |known| known.child.as_ref().map(|(_, uid)| uid.clone()))
        .or_else(|| attempt.child_uid.clone());
    let barred = context.barred.is(&saga.namespace, K::WATCHED);
    let mut newest = None;
    if let Some(found) = cached.filter(|found| !is_another::<K>(found, child.as_deref())) {
        let (state, poll) = seen(context, key, attempt, found.as_ref()).await?;
        // An end stays an end, even if the copy is old.
        if !barred || !matches!(state, ChildState::Active { .. }) {
            return Ok((state, poll));
        }
        newest = Some(state);
    }
    let gone = context.attempts.look(key, |known| known.gone.clone());
    // The watch may have reported the child's deletion before this process knew the child. A live
    // read looks for the child once the remembered state has expired.
    if let Some(state) = context.attempts.look(key, remembered).filter(|_| gone.is_none()) {
        return Ok((state, Some(WATCH_LAG)));
    }
    let live = match K::api(context, &saga.namespace)
        .get_opt(&name)
        .await
        .map_err(Error::api(K::READ))
    {
        Ok(live) => live,
        Err(error) if error.is_forbidden() && namespace_goes(context, &saga.namespace).await? => {
            return Ok(out_of_sight::<K>(context, &saga.namespace, key, child.as_deref(), gone));
        }
        // The operator may not read the child, so the cached state is the newest.
        Err(error) if error.is_forbidden() => {
            return newest.map(|state| (state, Some(NAMESPACE_POLL))).ok_or(error);
        }
        Err(error) => return Err(error),
    };
    after_live(context, saga, key, attempt, child.as_deref(), gone, live).await
}

/// Returns whether the object is not the child with this UID. If no UID is known, any object may be
/// the child.
fn is_another<K: Child>(found: &K, child: Option<&str>) -> bool {
    child.is_some_and(|child| found.meta().uid.as_deref() != Some(child))
}

/// Returns the state of a Pod or a Job by what a live read shows, and after how long to requeue the
/// saga.
///
/// `child`: the UID of the attempt's child, if the child was ever seen. `gone`: the end that the
/// watch delivered.
async fn after_live<K: Child>(
    context: &Context,
    saga: &ValidSaga,
    key: &AttemptKey,
    attempt: &ActiveAttempt,
    child: Option<&str>,
    gone: Option<ChildState>,
    live: Option<K>,
) -> Result<(ChildState, Option<Duration>), Error> {
    let gone = match &live {
        // A child that lost its label continues, although the watch reports it as gone.
        Some(found) if !is_another(found, child) => {
            return Ok((
                unless_done(seen(context, key, attempt, found).await?.0, gone),
                Some(WATCH_LAG),
            ));
        }
        // Somebody deleted the attempt's child, and another replica created it again. The attempt
        // ends only when the new child has ended.
        Some(found) if is_ours(found, &key.0, &key.1) => {
            return Ok((
                after_another(seen(context, key, attempt, found).await?.0, &K::word()),
                Some(WATCH_LAG),
            ));
        }
        Some(_) | None => {
            if let Some(child) = child {
                K::rest(context, &saga.namespace, child).await?;
            }
            K::after(context, key, child, gone)
        }
    };
    Ok(match (live, gone) {
        (_, Some(active @ ChildState::Active { .. })) => (active, Some(WATCH_LAG)),
        (_, Some(gone)) => {
            context.attempts.ended(key, gone.clone());
            (gone, None)
        }
        (Some(found), None) if child.is_none() => (name_conflict(&found), None),
        (Some(_) | None, None) => {
            (context.attempts.look(key, |known| absent(known, known.child.is_some())), None)
        }
    })
}

/// Returns the state of an object that exists, if the object is the attempt's child. If the UID of
/// the child is known, the UID identifies it, since owners and labels can be removed. Also returns
/// after how long to requeue the saga if no event arrives.
async fn seen<K: Child>(
    context: &Context,
    key: &AttemptKey,
    attempt: &ActiveAttempt,
    found: &K,
) -> Result<(ChildState, Option<Duration>), Error> {
    let known =
        context.attempts.look(key, |known| known.child.as_ref().map(|(_, child)| child.clone()));
    if !is_child(found, (&key.0, &key.1), [known.as_deref(), attempt.child_uid.as_deref()]) {
        return Ok((name_conflict(found), None));
    }
    context.attempts.child_seen(key, found.meta().uid.as_deref().unwrap_or_default());
    let (deleting, stuck) = found.deletion(context);
    let deleting_for = deleting.then(|| deleting_for(context, key));
    if let Some(end) = given_up(stuck, deleting_for) {
        return Ok((end, None));
    }
    let age = context.attempts.look(key, |known| {
        known.child.as_ref().map_or_else(Default::default, |(since, _)| since.elapsed())
    });
    let state = found.state(context, age).await?;
    if !matches!(state, ChildState::Active { .. }) {
        return Ok((state, None));
    }
    if is_late(deleting_for)
        && let Some(end) = found.kept(context).await?
    {
        return Ok((end, None));
    }
    let held_up = found.held_up(context);
    let held_up_for = held_up.as_ref().map(|_| {
        context
            .attempts
            .look(key, |known| known.held_up_since.get_or_insert_with(Instant::now).elapsed())
    });
    let polls = deleting || held_up.is_some();
    match held_up.zip(held_up_for) {
        Some(((end, after), since)) if since >= after => Ok((end, None)),
        Some(_) | None => Ok((state, polls.then_some(DELETION_POLL))),
    }
}

/// Returns how long this process has known that the child is terminating. The first call starts the
/// measurement.
pub(crate) fn deleting_for(context: &Context, key: &AttemptKey) -> Duration {
    context
        .attempts
        .look(key, |known| known.deleting_since.get_or_insert_with(Instant::now).elapsed())
}

/// Returns the succeeded Pods or Jobs of an ended saga that still exist, as the cache shows them.
/// They are looked up by name, because the cache may hold very many of both.
pub(crate) fn leftovers<K: Child>(context: &Context, saga: &StoredSaga) -> Vec<Arc<K>> {
    let uid = saga.metadata.uid.as_deref().unwrap_or_default();
    let exists = |id: AttemptId| {
        let found = K::cached(context, namespace(saga), &K::name_of(name(saga), uid, &id))?;
        (found.succeeded() && attempt::is_ours(found.as_ref(), uid, &id)).then_some(found)
    };
    saga.status.iter().flat_map(remembered_attempts).filter_map(exists).collect()
}

/// Returns whether a succeeded Pod or Job of the saga still exists.
pub(crate) fn leaves_any(context: &Context, saga: &StoredSaga) -> bool {
    !leftovers::<Pod>(context, saga).is_empty() || !leftovers::<Job>(context, saga).is_empty()
}

/// Returns the attempts that a status still records.
pub(crate) fn remembered_attempts(status: &SagaStatus) -> impl Iterator<Item = AttemptId> {
    let directions = |step: &StepStatus| {
        [
            (Direction::Action, step.action.clone()),
            (Direction::Compensation, step.compensation.clone()),
        ]
    };
    status.steps.iter().flat_map(move |step| {
        directions(step)
            .into_iter()
            .filter_map(|(direction, record)| Some((direction, record?)))
            .flat_map(move |(direction, record)| {
                let newest = record.attempt;
                let numbers = record
                    .attempts
                    .into_iter()
                    .map(|attempt| attempt.attempt)
                    .filter(move |number| *number != newest);
                std::iter::once(newest).chain(numbers).map(move |number| AttemptId {
                    step: step.name.clone(),
                    direction,
                    number,
                })
            })
    })
}

#[cfg(test)]
mod tests;
