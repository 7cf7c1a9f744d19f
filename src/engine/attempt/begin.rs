//! Begins attempts: writes the intent to the status and plans the effect that follows from it.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{begin, wait::wake_for_wait};
use crate::{
    api::{
        ActiveAttempt, Direction, DirectionStatus, StepPhase, StepStatus,
        names::{AttemptId, idempotency_key},
    },
    clock::{between, later, to_micros},
    engine::{
        planner::{
            approval::asks_for_approval,
            deadline,
            state::{Planner, is_active},
            transition::StepEvent,
        },
        rules,
    },
    model::{
        plan::Effect,
        saga::{Identity, Operation, ValidStep, Work},
    },
    objects::http,
};

/// Fails permanently the steps in the phase `waiting` whose next attempt is due but not allowed.
pub(in crate::engine) fn fail_what_may_not_begin(
    planner: &mut Planner<'_>,
    waiting: StepPhase,
    direction: Direction,
) {
    let failed = planner.has_failure();
    for place in planner.places() {
        let is_due = |_: &ValidStep, status: &StepStatus| {
            status.phase == waiting
                && !is_active(status)
                && (direction == Direction::Compensation || rules::may_go_on(failed, status))
                && rules::is_due(status.next_attempt_at.as_ref(), planner.input.now)
        };
        let Some(mut draft) = planner.draft(place, is_due) else { continue };
        let Some(operation) = draft.step.operation(direction) else { continue };
        if let Some(reason) = may_not_begin(planner, operation, &draft.status, direction) {
            draft.status.message = Some(reason);
            draft.status.next_attempt_at = None;
            planner.give_up(&mut draft.status, direction);
            planner.store(draft);
        }
    }
}

/// Writes the intent of the next attempt. Plans its effect, unless the operation deletes an object
/// or only waits.
pub(in crate::engine) fn begin(
    planner: &mut Planner<'_>,
    step: &ValidStep,
    status: &mut StepStatus,
    direction: Direction,
) {
    let Some(operation) = step.operation(direction) else { return };
    let work = match planner.resolve(operation, status, direction) {
        Ok(work) => work,
        Err(why) => return begin::cannot_begin(planner, status, direction, &why),
    };
    let now = MicroTime(planner.input.now);
    status.started_at.get_or_insert_with(|| now.clone());
    status.next_attempt_at = None;
    continue_keys(status, direction, operation);
    let record = status.direction_mut(direction);
    record.attempt = record.attempt.saturating_add(1);
    record.budget_used = record.budget_used.saturating_add(1);
    record.budget_started_at.get_or_insert_with(|| now.clone());
    let in_process = matches!(operation.work, Work::Http(_));
    let intent = ActiveAttempt {
        executor: planner.input.process.executor.filter(|_| in_process).map(str::to_owned),
        ends_by: in_process.then(|| MicroTime(to_micros(later(now.0, operation.timeout)))),
        clock_ahead_seconds: planner.input.process.skew.stated_ahead(),
        clock_behind_seconds: planner.input.process.skew.stated_behind(),
        child_uid: None,
        trouble: None,
        started_at: now,
    };
    rules::record_intent(record, intent);
    let record = record.clone();
    let identity = identity(planner, &step.name, direction, &record);
    if let Work::Http(action) = work.as_ref() {
        status.direction_mut(direction).request_hash =
            Some(http::request::request_hash(&http::request::request(action, &identity)));
    }
    if record.attempt > 1 {
        planner.tally.retries.push((operation.kind(), direction));
    }
    if operation.only_waits() {
        begin::begin_to_wait(planner, operation, status, &record);
        return;
    }
    planner.move_step(
        status,
        if direction == Direction::Action { StepEvent::Start } else { StepEvent::Undo },
    );
    let limit = deadline::limit(planner, operation, direction, &record);
    planner.wake_at(limit);
    // An object to delete is read first. Its UID is written to the status before the delete is
    // sent.
    if !operation.deletes() {
        begin_effect(planner, identity, work, (operation, &record));
    }
}

/// Plans the effect that begins the active attempt of `record`.
pub(in crate::engine) fn begin_effect(
    planner: &mut Planner<'_>,
    identity: Identity,
    work: Cow<'_, Work>,
    (operation, record): (&Operation, &DirectionStatus),
) {
    let intended = record
        .active
        .as_ref()
        .map_or(planner.input.now, |active| planner.input.process.skew.intended(active));
    let time_limit = between(planner.input.now, deadline::own_limit(planner, operation, record));
    let (work, timeout) = (Box::new(work.into_owned()), operation.timeout);
    let uid = record.active.as_ref().and_then(|active| active.child_uid.clone());
    planner.effects.push(Effect::Begin { identity, work, timeout, intended, time_limit, uid });
}

/// Returns why no further attempt may begin although one is due, or `None` if it may begin.
fn may_not_begin(
    planner: &Planner<'_>,
    operation: &Operation,
    status: &StepStatus,
    direction: Direction,
) -> Option<String> {
    let record = status.direction(direction)?;
    if deadline::budget_left(planner, operation, record).is_some_and(|left| left.is_zero()) {
        return Some(format!("its retry deadline passed{}", because(status)));
    }
    begins_with(planner, operation, status, direction, record).err()
}

/// Returns the work of an attempt. This work may already have been sent with the current
/// idempotency key.
///
/// # Errors
/// One line: an expression cannot be evaluated, or the HTTP request would differ from the one that
/// was sent with the same key.
pub(in crate::engine) fn begins_with<'o>(
    planner: &Planner<'_>,
    operation: &'o Operation,
    status: &StepStatus,
    direction: Direction,
    record: &DirectionStatus,
) -> Result<Cow<'o, Work>, String> {
    let work = planner.resolve(operation, status, direction)?;
    if let (Some(sent), Work::Http(action)) = (record.request_hash.as_deref(), work.as_ref()) {
        let request =
            http::request::request(action, &identity(planner, &status.name, direction, record));
        if http::request::is_another(&request, sent) {
            return Err(
                "the request differs from the one that was sent with the same idempotency key"
                    .into(),
            );
        }
    }
    Ok(work)
}

pub(in crate::engine) fn identity(
    planner: &Planner<'_>,
    step: &str,
    direction: Direction,
    record: &DirectionStatus,
) -> Identity {
    Identity {
        saga: planner.saga.name.clone(),
        namespace: planner.saga.namespace.clone(),
        uid: planner.saga.uid.clone(),
        attempt: AttemptId { step: step.to_owned(), direction, number: record.attempt },
        key: idempotency_key(&planner.saga.key_scope, step, direction, record.failures),
    }
}

/// Sets the idempotency keys of a first attempt to those of an earlier child saga, if this saga
/// follows one.
fn continue_keys(status: &mut StepStatus, direction: Direction, operation: &Operation) {
    let Some(keys) = status.keys_from.clone() else { return };
    let record = status.direction_mut(direction);
    if record.attempt > 0 {
        return;
    }
    match direction {
        Direction::Action => {
            record.failures = keys.action;
            record.uncertain = keys.may_have_acted && !operation.never_in_effect();
            record.begun = record.uncertain;
        }
        Direction::Compensation => record.failures = keys.compensation,
    }
}

/// Returns `: <the step's message>`, or an empty string if the step has no message.
fn because(status: &StepStatus) -> String {
    status.message.as_deref().map(|message| format!(": {message}")).unwrap_or_default()
}

/// Fails a step permanently without an attempt, because its next attempt cannot begin.
pub(in crate::engine) fn cannot_begin(
    planner: &mut Planner<'_>,
    status: &mut StepStatus,
    direction: Direction,
    why: &str,
) {
    status.message = Some(crate::text::clip(why, crate::api::limits::KEPT_MESSAGE));
    status.next_attempt_at = None;
    planner.give_up(status, direction);
}

/// Moves the step to Waiting. For an approval, an event tells users how to answer.
pub(in crate::engine) fn begin_to_wait(
    planner: &mut Planner<'_>,
    operation: &Operation,
    status: &mut StepStatus,
    record: &DirectionStatus,
) {
    status.message = None;
    planner.move_step(status, StepEvent::Wait);
    wake_for_wait(planner, operation, record);
    if matches!(operation.work, Work::Approval(_)) {
        let sentence = asks_for_approval(planner, operation, status);
        planner.publish("AwaitingApproval", sentence);
    }
}
