//! Settles attempts: from what was seen of a child to an outcome in the status.
//!
//! # Guarantees
//! An attempt settles once; what is counted of it follows from its end alone.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde_json::{Map, Value};

use super::{
    backoff, begin, deadline,
    judge::{self, STOP_POLL, Verdict},
    pass::Pass,
    slots,
    step::StepEvent,
};
use crate::{
    api::{
        ActiveAttempt, AttemptRecord, Direction, DirectionStatus, Outcome, StepStatus,
        names::AttemptId,
    },
    clock::{between, later, to_micros},
    model::{
        observation::{ChildState, Failure, Reached},
        plan::Effect,
        saga::{Operation, ValidStep},
    },
    mutants::{Twin, broken},
    text::clip,
};

/// Disruptions that cost no attempt.
const FREE_DISRUPTIONS: i64 = 5;
/// Attempts of a budget that cost nothing because the operator itself called them off.
pub const FREE_CALLED_OFF: i64 = 5;
/// Settled attempts that are kept.
const KEPT_ATTEMPTS: usize = 5;
/// The longest message that is kept of an attempt, in characters.
pub(super) const KEPT_MESSAGE: usize = 400;

/// How an attempt ended.
pub(super) struct Settlement {
    pub(super) outcome: Outcome,
    pub(super) failure: Option<Failure>,
    pub(super) retry_after: Option<Duration>,
    pub(super) message: Option<String>,
    /// Whether no further attempt is made by itself.
    pub(super) last: bool,
    /// Whether it may have left and this process called it off, for a reason of its own.
    pub(super) called_off: bool,
    /// What the step hands on.
    pub(super) outputs: Option<Map<String, Value>>,
}

impl Settlement {
    pub(super) const fn succeeded() -> Self {
        Self {
            outcome: Outcome::Succeeded,
            failure: None,
            retry_after: None,
            message: None,
            last: false,
            called_off: false,
            outputs: None,
        }
    }

    pub(super) fn unknown(message: impl Into<String>, retry_after: Option<Duration>) -> Self {
        Self {
            outcome: Outcome::Unknown,
            retry_after,
            message: Some(message.into()),
            ..Self::succeeded()
        }
    }

    /// It may have been done, and trying again tells no more.
    pub(super) fn unknown_for_good(message: impl Into<String>) -> Self {
        Self { last: true, ..Self::unknown(message, None) }
    }

    pub(super) fn failed(failure: Failure) -> Self {
        let (retry_after, message, last) =
            (failure.retry_after, Some(failure.message.clone()), failure.last);
        Self {
            outcome: Outcome::Failed,
            failure: Some(failure),
            retry_after,
            message,
            last,
            ..Self::succeeded()
        }
    }

    /// What the end of a child means where it hands nothing on.
    pub(super) fn of_end(end: ChildState) -> Self {
        match end {
            ChildState::Failed(failure) => Self::failed(failure),
            ChildState::Unknown { message, retry_after } => Self::unknown(message, retry_after),
            ChildState::CalledOff { message } => {
                Self { called_off: true, ..Self::unknown(message, None) }
            }
            ChildState::Succeeded(_)
            | ChildState::Answered(_)
            | ChildState::Absent(_)
            | ChildState::Active { .. }
            | ChildState::Object { .. }
            | ChildState::Saga(_)
            | ChildState::Standing { .. }
            | ChildState::Refused { .. }
            | ChildState::Elsewhere { .. } => Self::succeeded(),
        }
    }
}

/// Looks at every active attempt.
pub(super) fn settle_all(pass: &mut Pass<'_>) {
    pass.each_step(|pass, place, step, status| {
        for direction in [Direction::Action, Direction::Compensation] {
            settle(pass, place, step, status, direction);
        }
    });
}

fn settle(
    pass: &mut Pass<'_>,
    place: usize,
    step: &ValidStep,
    status: &mut StepStatus,
    direction: Direction,
) {
    let Some(operation) = step.operation(direction) else { return };
    let Some(record) = status.direction(direction).cloned() else { return };
    let Some(active) = record.active.clone() else { return };
    let id = AttemptId { step: step.name.clone(), direction, number: record.attempt };
    match judge::judge(pass, step, &record, &active, &id, status) {
        Verdict::Begin if pass.seen.draining || !slots::take_room(pass, operation) => {}
        Verdict::Wait => {}
        Verdict::Begin => match begin::begins_with(pass, operation, status, direction, &record) {
            Ok(work) => {
                // With the UID that was written down just now, if any.
                let record = status.direction(direction).cloned().unwrap_or(record);
                let identity = begin::identity(pass, &step.name, direction, &record);
                let limit = deadline::limit(pass, operation, direction, &record);
                pass.wake_at(limit);
                begin::begin_effect(pass, identity, place, work, (operation, &record));
            }
            Err(why) => {
                apply(pass, operation, &active, &id, status, Settlement::unknown_for_good(why));
            }
        },
        Verdict::Stop => {
            pass.effects.push(Effect::Stop(id));
            pass.wake_at(later(pass.seen.now, STOP_POLL));
        }
        Verdict::Settled(settlement) => apply(pass, operation, &active, &id, status, settlement),
    }
}

/// Writes down how an attempt ended.
pub(super) fn record(
    pass: &mut Pass<'_>,
    operation: &Operation,
    active: &ActiveAttempt,
    id: &AttemptId,
    status: &mut StepStatus,
    settlement: &Settlement,
) {
    let sequence = pass.status.settled.unwrap_or_default().saturating_add(1);
    pass.status.settled = Some(sequence);
    pass.settled(
        operation,
        id.direction,
        settlement.outcome,
        between(active.started_at.0, pass.seen.now),
    );
    let leaves_nothing = |step: &ValidStep| step.name == id.step && step.leaves_nothing();
    let leaves_doubt =
        id.direction == Direction::Compensation || !pass.saga.steps.iter().any(leaves_nothing);
    let record = status.direction_mut(id.direction);
    record.active = None;
    record.sequence = Some(sequence);
    record.last_outcome = Some(settlement.outcome);
    count(record, settlement.outcome, settlement.failure.as_ref(), leaves_doubt);
    if settlement.called_off {
        count_called_off(record, operation);
    }
    record.attempts.push(AttemptRecord {
        attempt: id.number,
        outcome: settlement.outcome,
        started_at: active.started_at.clone(),
        settled_at: MicroTime(pass.seen.now),
        message: settlement.message.as_ref().map(|message| clip(message, KEPT_MESSAGE)),
    });
    let surplus = record.attempts.len().saturating_sub(KEPT_ATTEMPTS);
    record.attempts.drain(..surplus);
}

/// Settles an attempt: its end, and what it means to its step.
pub(super) fn apply(
    pass: &mut Pass<'_>,
    operation: &Operation,
    active: &ActiveAttempt,
    id: &AttemptId,
    status: &mut StepStatus,
    settlement: Settlement,
) {
    record(pass, operation, active, id, status, &settlement);
    let Settlement { outcome, failure: _, retry_after, message, last, called_off: _, outputs } =
        settlement;
    let message = message.map(|message| clip(&message, KEPT_MESSAGE));
    if outcome == Outcome::Succeeded || (outcome == Outcome::Unknown && broken(Twin::UnknownDone)) {
        succeed(pass, status, id.direction);
        status.outputs = outputs.or(status.outputs.take());
        return;
    }
    let message = message.unwrap_or_default();
    let next = if last {
        Err(String::new())
    } else {
        next_attempt(pass, operation, status, id, retry_after)
    };
    match next {
        Ok(next) => {
            status.message = Some(format!("attempt {} {}: {message}", id.number, outcome.verb()));
            status.next_attempt_at = Some(MicroTime(next));
            pass.move_step(
                status,
                if id.direction == Direction::Action {
                    StepEvent::FailForNow
                } else {
                    StepEvent::Undo
                },
            );
        }
        Err(why) => {
            status.message =
                Some(format!("attempt {} {}: {message}{why}", id.number, outcome.verb()));
            status.next_attempt_at = None;
            pass.give_up(status, id.direction);
        }
    }
}

fn succeed(pass: &mut Pass<'_>, status: &mut StepStatus, direction: Direction) {
    status.message = None;
    status.next_attempt_at = None;
    status.retry_requested = false;
    match direction {
        Direction::Action => {
            status.completed_at = Some(MicroTime(pass.seen.now));
            pass.move_step(status, StepEvent::Succeed);
        }
        Direction::Compensation => pass.move_step(status, StepEvent::Undone),
    }
}

/// When the next attempt begins, or why there is none.
fn next_attempt(
    pass: &Pass<'_>,
    operation: &Operation,
    status: &StepStatus,
    id: &AttemptId,
    retry_after: Option<Duration>,
) -> Result<jiff::Timestamp, String> {
    let Some(record) = status.direction(id.direction) else { return Err(String::new()) };
    if pass.status.cancel_requested.is_some() {
        return Err(" (the saga is cancelled)".into());
    }
    if id.direction == Direction::Action && deadline::is_past_timeout(pass) {
        return Err(format!(" ({})", deadline::timeout_passed(pass)));
    }
    if record.budget_used
        >= i64::from(operation.retry.max_attempts).saturating_add(i64::from(broken(Twin::Budget)))
    {
        let used = record.budget_used;
        return Err(if used > 1 {
            format!(" (no attempt is left of {used})")
        } else {
            String::new()
        });
    }
    let nth = u32::try_from(record.budget_used.max(1)).unwrap_or(u32::MAX);
    let delay = backoff::delay(&operation.retry, nth, backoff::fraction(&pass.saga.uid, id))
        .max(retry_after.unwrap_or_default());
    if deadline::budget_left(pass, operation, record).is_some_and(|left| delay >= left) {
        return Err(" (its retry deadline would pass before the next attempt)".into());
    }
    // Jitter makes nanoseconds, which a stored instant cannot hold.
    Ok(to_micros(later(pass.seen.now, delay)))
}

/// Counts a settled attempt: the key moves after a no and only then, and a no proves nothing about
/// an earlier attempt that is uncertain. `leaves_doubt`: whether an attempt that may have acted
/// makes the step uncertain.
fn count(
    record: &mut DirectionStatus,
    outcome: Outcome,
    failure: Option<&Failure>,
    leaves_doubt: bool,
) {
    record.answered = false;
    match (outcome, failure) {
        (Outcome::Failed, Some(failure)) => {
            record.begun |= failure.reached != Reached::Nothing;
            match failure.reached {
                Reached::Settled => move_key(record),
                Reached::Answer if !record.uncertain || broken(Twin::NoClears) => move_key(record),
                Reached::Accepted => {
                    record.uncertain |= leaves_doubt && !broken(Twin::AcceptedClean);
                }
                Reached::Nothing | Reached::Door | Reached::Work | Reached::Answer => {}
            }
            if failure.disrupted && record.disruptions < FREE_DISRUPTIONS {
                record.disruptions = record.disruptions.saturating_add(1);
                record.budget_used = record.budget_used.saturating_sub(1).max(0);
            }
        }
        (Outcome::Succeeded, _) => {
            record.begun = true;
            record.uncertain = false;
        }
        (Outcome::Unknown | Outcome::Failed, _) => {
            record.begun = true;
            record.uncertain |= leaves_doubt && !broken(Twin::Uncertain);
            if broken(Twin::Key) {
                record.failures = record.failures.saturating_add(1);
            }
        }
    }
}

/// What this process itself called off costs nothing where the step may be repeated anyway: whoever
/// allows one attempt is not asked twice for a reason of the operator's own.
fn count_called_off(record: &mut DirectionStatus, operation: &Operation) {
    let free = (operation.may_be_repeated() || broken(Twin::CalledOffFree))
        && !broken(Twin::CalledOffCounts);
    if free && record.called_off < FREE_CALLED_OFF {
        record.called_off = record.called_off.saturating_add(1);
        record.budget_used = record.budget_used.saturating_sub(1).max(0);
    }
}

/// Nothing was done under the present key, and nothing will be: the next attempt is another
/// request.
pub(super) fn move_key(record: &mut DirectionStatus) {
    record.failures = record.failures.saturating_add(1);
    record.uncertain = false;
    record.answered = true;
    record.request_hash = None;
}
