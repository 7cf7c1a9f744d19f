//! Settles attempts: turns the observed end of a child into an outcome in the status.
//!
//! # Guarantees
//! An attempt settles once. Its counters follow from its end alone.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::backoff;
use crate::{
    api::{
        ActiveAttempt, AttemptRecord, Direction, DirectionStatus, Outcome, StepStatus,
        limits::KEPT_MESSAGE, names::AttemptId,
    },
    clock::{between, later, to_micros},
    engine::{
        planner::{deadline, doubt::attempt_message, state::Planner, transition::StepEvent},
        rules,
        settlement::Settlement,
    },
    model::{
        observation::{Failure, Reached},
        saga::{Operation, ValidStep},
    },
    text::clip,
};

/// The number of disruptions of a step and direction that use up no attempt.
const FREE_DISRUPTIONS: i64 = 5;
/// The number of attempts of a budget that the operator may call off without using up an attempt.
pub const FREE_CALLED_OFF: i64 = 5;
/// The number of settled attempts that a status keeps for each step and direction.
const KEPT_ATTEMPTS: usize = 5;

/// Records the end of an attempt in the status.
pub(in crate::engine) fn record(
    planner: &mut Planner<'_>,
    operation: &Operation,
    active: &ActiveAttempt,
    id: &AttemptId,
    status: &mut StepStatus,
    settlement: &Settlement,
) {
    let sequence = planner.status.settled.unwrap_or_default().saturating_add(1);
    planner.status.settled = Some(sequence);
    planner.settled(
        operation,
        id.direction,
        settlement.outcome,
        between(active.started_at.0, planner.input.now),
    );
    let leaves_nothing = |step: &ValidStep| step.name == id.step && step.leaves_nothing();
    // Whether an attempt that may have acted makes the step uncertain.
    let leaves_doubt =
        id.direction == Direction::Compensation || !planner.saga.steps.iter().any(leaves_nothing);
    let record = status.direction_mut(id.direction);
    record.active = None;
    record.sequence = Some(sequence);
    record.last_outcome = Some(settlement.outcome);
    let failure = settlement.failure.as_ref();
    count(record, settlement.outcome, failure);
    let reached = failure.map(|failure| failure.reached);
    record.uncertain |= leaves_doubt && rules::is_doubtful(settlement.outcome, reached);
    if settlement.called_off {
        count_called_off(record, operation);
    }
    record.attempts.push(AttemptRecord {
        attempt: id.number,
        outcome: settlement.outcome,
        started_at: active.started_at.clone(),
        settled_at: MicroTime(planner.input.now),
        message: settlement.message.as_ref().map(|message| clip(message, KEPT_MESSAGE)),
    });
    let surplus = record.attempts.len().saturating_sub(KEPT_ATTEMPTS);
    record.attempts.drain(..surplus);
}

/// Settles an attempt: records its end, and moves its step accordingly.
pub(in crate::engine) fn apply(
    planner: &mut Planner<'_>,
    operation: &Operation,
    active: &ActiveAttempt,
    id: &AttemptId,
    status: &mut StepStatus,
    settlement: Settlement,
) {
    record(planner, operation, active, id, status, &settlement);
    let Settlement { outcome, retry_after, message, permanent, outputs, .. } = settlement;
    let message = message.map(|message| clip(&message, KEPT_MESSAGE));
    if rules::is_success(outcome) {
        succeed(planner, status, id.direction);
        status.outputs = outputs.or(status.outputs.take());
        return;
    }
    let message = message.unwrap_or_default();
    let next = if permanent {
        Err(String::new())
    } else {
        next_attempt(planner, operation, status, id, retry_after)
    };
    match next {
        Ok(next) => {
            status.message = Some(attempt_message(id.number, outcome, &message));
            status.next_attempt_at = Some(MicroTime(next));
            planner.move_step(
                status,
                if id.direction == Direction::Action {
                    StepEvent::FailForNow
                } else {
                    StepEvent::Undo
                },
            );
        }
        Err(why) => {
            let message = attempt_message(id.number, outcome, &message);
            status.message = Some(format!("{message}{why}"));
            status.next_attempt_at = None;
            planner.give_up(status, id.direction);
        }
    }
}

fn succeed(planner: &mut Planner<'_>, status: &mut StepStatus, direction: Direction) {
    status.message = None;
    status.next_attempt_at = None;
    status.retry_requested = false;
    match direction {
        Direction::Action => {
            status.completed_at = Some(MicroTime(planner.input.now));
            planner.move_step(status, StepEvent::Succeed);
        }
        Direction::Compensation => planner.move_step(status, StepEvent::Undone),
    }
}

/// Returns the instant at which the next attempt begins, or why no attempt follows.
fn next_attempt(
    planner: &Planner<'_>,
    operation: &Operation,
    status: &StepStatus,
    id: &AttemptId,
    retry_after: Option<Duration>,
) -> Result<jiff::Timestamp, String> {
    let Some(record) = status.direction(id.direction) else { return Err(String::new()) };
    if planner.status.cancel_requested.is_some() {
        return Err(" (the saga is cancelled)".into());
    }
    if id.direction == Direction::Action && deadline::is_past_timeout(planner) {
        return Err(format!(" ({})", deadline::timeout_passed(planner)));
    }
    if rules::is_used_up(record.budget_used, operation.retry.max_attempts) {
        let used = record.budget_used;
        return Err(if used > 1 {
            format!(" (no attempt is left of {used})")
        } else {
            String::new()
        });
    }
    let nth = u32::try_from(record.budget_used.max(1)).unwrap_or(u32::MAX);
    let fraction = backoff::fraction(&planner.saga.uid, id);
    let delay = backoff::delay(&operation.retry, nth, fraction, retry_after);
    if deadline::budget_left(planner, operation, record).is_some_and(|left| delay >= left) {
        return Err(" (its retry deadline would pass before the next attempt)".into());
    }
    // Jitter produces nanoseconds, which a stored instant cannot hold.
    Ok(to_micros(later(planner.input.now, delay)))
}

/// Counts a settled attempt.
fn count(record: &mut DirectionStatus, outcome: Outcome, failure: Option<&Failure>) {
    record.answered = false;
    match (outcome, failure) {
        (Outcome::Failed, Some(failure)) => {
            record.begun |= failure.reached != Reached::Nothing;
            if rules::moves_key(failure.reached, record.uncertain) {
                move_key(record);
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
            record.failures = rules::key_after_unknown(record.failures);
        }
    }
}

/// Gives back the attempt that this process itself called off, if such an attempt is free.
fn count_called_off(record: &mut DirectionStatus, operation: &Operation) {
    if rules::is_free_when_called_off(operation) && record.called_off < FREE_CALLED_OFF {
        record.called_off = record.called_off.saturating_add(1);
        record.budget_used = record.budget_used.saturating_sub(1).max(0);
    }
}

/// Moves the idempotency key. Nothing was done under the current key, and nothing will be. The next
/// attempt sends a different HTTP request.
pub(in crate::engine) fn move_key(record: &mut DirectionStatus) {
    record.failures = record.failures.saturating_add(1);
    record.uncertain = false;
    record.answered = true;
    record.request_hash = None;
}
