//! Steps that only wait: for a user (`approval`) or for a while (`wait`). They are states of the
//! saga. Nothing is sent for them, and they are never in effect.
//!
//! # Guarantees
//! Their time keeps running in every state of the saga. They keep no saga from failing or turning
//! back. While the saga is Failed, they continue to wait. When the saga turns back, they end as not
//! reached.

use jiff::Timestamp;

use super::settle;
use crate::{
    api::{
        ActiveAttempt, Direction, DirectionStatus, RequestAction, StepPhase, StepStatus,
        names::AttemptId,
    },
    engine::{
        planner::{
            deadline::{self, done_at},
            state::Planner,
            transition::StepEvent,
        },
        rules,
        settlement::{Settlement, failed},
    },
    model::{
        observation::Reached,
        saga::{Operation, ValidStep, Work},
    },
};

pub(in crate::engine) fn wake_for_wait(
    planner: &mut Planner<'_>,
    operation: &Operation,
    record: &DirectionStatus,
) {
    let limit = Some(deadline::limit(planner, operation, Direction::Action, record))
        .filter(|limit| *limit < Timestamp::MAX);
    let done = record.active.as_ref().and_then(|active| done_at(operation, active));
    if let Some(next) = [limit, done].into_iter().flatten().min() {
        planner.wake_at(next);
    }
}

/// Returns the outcome of a waiting step that is done or has waited too long, or `None` if the step
/// continues to wait.
pub(in crate::engine) fn judge_wait(
    planner: &mut Planner<'_>,
    operation: &Operation,
    record: &DirectionStatus,
    active: &ActiveAttempt,
) -> Option<Settlement> {
    if done_at(operation, active).is_some_and(|done| done <= planner.input.now) {
        return Some(Settlement::succeeded());
    }
    if deadline::limit(planner, operation, Direction::Action, record) <= planner.input.now {
        let what = if matches!(operation.work, Work::Approval(_)) {
            "no answer within its time limit"
        } else {
            "not met within its time limit"
        };
        let why = if deadline::is_past_timeout(planner) {
            deadline::timeout_passed(planner)
        } else {
            what.into()
        };
        return Some(no(why));
    }
    wake_for_wait(planner, operation, record);
    None
}

/// Settles an approval by a user's answer.
pub(in crate::engine) fn answer_approval(
    planner: &mut Planner<'_>,
    step: &ValidStep,
    status: &mut StepStatus,
    answer: RequestAction,
) {
    let settlement = if rules::is_approval(answer) {
        Settlement::succeeded()
    } else {
        no("rejected by request".into())
    };
    let Some(record) = status.action.clone() else { return };
    let Some(active) = record.active else { return };
    let id =
        AttemptId { step: step.name.clone(), direction: Direction::Action, number: record.attempt };
    settle::apply(planner, &step.action, &active, &id, status, settlement);
}

/// Ends the wait of a step without an answer. The caller sets the phase of the step.
pub(in crate::engine) fn end_wait(
    planner: &mut Planner<'_>,
    step: &ValidStep,
    status: &mut StepStatus,
    why: &str,
) {
    let Some(record) = status.action.clone() else { return };
    let Some(active) = record.active else { return };
    let id =
        AttemptId { step: step.name.clone(), direction: Direction::Action, number: record.attempt };
    settle::record(planner, &step.action, &active, &id, status, &no(why.into()));
}

/// Ends all waits as not reached, because the saga turns back or ends.
pub(in crate::engine) fn withdraw_waits(planner: &mut Planner<'_>) {
    let waits = |_: &ValidStep, status: &StepStatus| status.phase == StepPhase::Waiting;
    for place in planner.places() {
        let Some(mut draft) = planner.draft(place, waits) else { continue };
        let status = &mut draft.status;
        end_wait(planner, draft.step, status, "not reached");
        status.message = Some("not reached".into());
        planner.move_step(status, StepEvent::Withdraw);
        planner.store(draft);
    }
}

/// Returns the permanent failure of a wait that did not succeed.
fn no(message: String) -> Settlement {
    failed(Reached::Nothing, message)
}
