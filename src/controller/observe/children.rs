//! Gathers what there is: the children of the active attempts, in the engine's words.
//!
//! # Guarantees
//! A child is reported absent only after a live read said so. One that this process could not
//! create and that is there all the same was created by another process. Where the operator may not
//! look, nothing is concluded, unless the namespace is being deleted: that takes the operator's
//! rights there, and then everything that is left.

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

/// The states of all active attempts' children, and after how long to look again although no watch
/// may tell of anything.
///
/// `goes`: what the spec asks for where the saga is being deleted. Then the children that are left
/// behind are looked at, too.
///
/// # Errors
/// Where a live read failed.
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

/// The state of a Pod or a Job; where this process ended it, the state says why. With it, after how
/// long to look again.
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

/// The state of a child saga. With it, after how long to look again.
///
/// `undoes`: the attempt undoes a child that another attempt made.
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

/// The state of the object that a step applies, deletes or waits for. With it, after how long to
/// look again.
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

/// The state of a request: by this process's memory where it was to send it, else by what is known
/// of the executor that was.
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
        // Only under the id that is named may it be sent, and that id sends no more, or this
        // process begins nothing more.
        (None, None) if was_ours || !context.leads() || !known.is_intended_here() => {
            called_off(known)
        }
        (None, None) => remembered(known).unwrap_or_else(|| absent(known, false)),
    })
}

/// The state of a Pod or a Job: from the watch, from this process's memory, or from a live read.
/// With it, after how long to look again.
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
        // What has ended has ended, however old the copy.
        if !barred || !matches!(state, ChildState::Active { .. }) {
            return Ok((state, poll));
        }
        newest = Some(state);
    }
    let gone = context.attempts.look(key, |known| known.gone.clone());
    // The watch may have told of its deletion before it was known here: from now on it is looked
    // for.
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
        // Nothing newer is to be had.
        Err(error) if error.is_forbidden() => {
            return newest.map(|state| (state, Some(NAMESPACE_POLL))).ok_or(error);
        }
        Err(error) => return Err(error),
    };
    after_live(context, saga, key, attempt, child.as_deref(), gone, live).await
}

/// Whether it is not the child of this UID; where none is known, any may be it.
fn is_another<K: Child>(found: &K, child: Option<&str>) -> bool {
    child.is_some_and(|child| found.meta().uid.as_deref() != Some(child))
}

/// The state of a Pod or a Job by what a live read shows. With it, after how long to look again.
///
/// `child`: the UID of the attempt's child, where it was ever seen. `gone`: what the watch brought
/// of its end.
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
        // A child that lost its label goes on, although to the watch it is gone.
        Some(found) if !is_another(found, child) => {
            return Ok((
                unless_done(seen(context, key, attempt, found).await?.0, gone),
                Some(WATCH_LAG),
            ));
        }
        // Somebody deleted the attempt's child, and another operator made it again: the attempt is
        // not over before this one is.
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

/// The state of a child that exists, if it is ours: by its UID, where that is known, since owners
/// and labels can be taken away. With it, after how long to look again although no watch may tell
/// of anything.
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

/// How long this process has known that the child is being deleted; begins with the first call.
pub(crate) fn deleting_for(context: &Context, key: &AttemptKey) -> Duration {
    context
        .attempts
        .look(key, |known| known.deleting_since.get_or_insert_with(Instant::now).elapsed())
}

/// The succeeded Pods or Jobs of an ended saga that still exist, as the watch shows them. Looked up
/// by name: there may be very many of both.
pub(crate) fn leftovers<K: Child>(context: &Context, saga: &StoredSaga) -> Vec<Arc<K>> {
    let uid = saga.metadata.uid.as_deref().unwrap_or_default();
    let exists = |id: AttemptId| {
        let found = K::cached(context, namespace(saga), &K::name_of(name(saga), uid, &id))?;
        (found.succeeded() && attempt::is_ours(found.as_ref(), uid, &id)).then_some(found)
    };
    saga.status.iter().flat_map(remembered_attempts).filter_map(exists).collect()
}

/// Whether there is any such.
pub(crate) fn leaves_any(context: &Context, saga: &StoredSaga) -> bool {
    !leftovers::<Pod>(context, saga).is_empty() || !leftovers::<Job>(context, saga).is_empty()
}

/// The attempts that a status still tells of.
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
