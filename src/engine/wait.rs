//! Steps that only wait: for a person (`approval`), or for a while (`wait`). They are states of the
//! saga; nothing leaves the operator for them, and nothing of them is ever in effect.
//!
//! # Guarantees
//! Their time runs on whatever the saga does. They keep no saga from failing or turning back: while
//! it is Failed they go on waiting, and where it turns back they end as not reached.

use std::borrow::Cow;

use jiff::Timestamp;

use super::{
    deadline,
    pass::Pass,
    settle::{self, KEPT_MESSAGE, Settlement},
    step::StepEvent,
};
use crate::{
    api::{
        ActiveAttempt, ApprovalAction, Direction, DirectionStatus, RequestAction, StepPhase,
        StepStatus, names::AttemptId,
    },
    clock::later,
    model::{
        observation::{Failure, Reached},
        saga::{Operation, ValidStep, Work},
    },
    mutants::{Twin, broken},
    text::clip,
};

/// The step waits from now on.
pub(super) fn begin_to_wait(
    pass: &mut Pass<'_>,
    operation: &Operation,
    status: &mut StepStatus,
    record: &DirectionStatus,
) {
    status.message = None;
    pass.move_step(status, StepEvent::Wait);
    wake_for_wait(pass, operation, record);
    if matches!(operation.work, Work::Approval(_)) {
        let sentence = asks_for_approval(pass, operation, status);
        pass.publish(false, "AwaitingApproval", sentence);
    }
}

/// That a step waits for a person, what is to be approved, and the commands by which to answer.
pub(super) fn asks_for_approval(
    pass: &Pass<'_>,
    operation: &Operation,
    status: &StepStatus,
) -> String {
    let step = &status.name;
    let work = pass.resolve(operation, status, Direction::Action).map(Cow::into_owned);
    let message =
        if let Ok(Work::Approval(ApprovalAction { message })) = work { message } else { None };
    // Cut, so that a long text does not push out the commands where the whole is cut.
    let what = message
        .map(|message| format!(" ({})", clip(message.trim(), KEPT_MESSAGE)))
        .unwrap_or_default();
    let (name, namespace) = (&pass.saga.name, &pass.saga.namespace);
    let (approve, reject) =
        (RequestAction::Approve.annotation(), RequestAction::Reject.annotation());
    format!(
        "step {step} waits for approval{what}. To approve: kubectl annotate --overwrite \
         saga/{name} {approve}={step} -n {namespace}. Or annotate {reject}={step} to reject"
    )
}

/// When a step that waits for a while is done; `None` for one that waits for a person.
pub(super) fn done_at(operation: &Operation, active: &ActiveAttempt) -> Option<Timestamp> {
    if let Work::Wait(duration) = operation.work {
        Some(later(active.started_at.0, duration))
    } else {
        None
    }
}

fn wake_for_wait(pass: &mut Pass<'_>, operation: &Operation, record: &DirectionStatus) {
    let limit = Some(deadline::limit(pass, operation, Direction::Action, record))
        .filter(|limit| *limit < Timestamp::MAX);
    let done = record.active.as_ref().and_then(|active| done_at(operation, active));
    if let Some(next) = [limit, done].into_iter().flatten().min() {
        pass.wake_at(next);
    }
}

/// Whether a step that waits is done, or has waited too long.
pub(super) fn judge_wait(
    pass: &mut Pass<'_>,
    operation: &Operation,
    record: &DirectionStatus,
    active: &ActiveAttempt,
) -> Option<Settlement> {
    if done_at(operation, active).is_some_and(|done| done <= pass.seen.now) {
        return Some(Settlement::succeeded());
    }
    if deadline::limit(pass, operation, Direction::Action, record) <= pass.seen.now {
        let what = if matches!(operation.work, Work::Approval(_)) {
            "no answer within its time"
        } else {
            "not met within its time"
        };
        let why = if deadline::is_past_timeout(pass) {
            deadline::timeout_passed(pass)
        } else {
            what.into()
        };
        return Some(no(why));
    }
    wake_for_wait(pass, operation, record);
    None
}

/// A person answered.
pub(super) fn answer_approval(
    pass: &mut Pass<'_>,
    step: &ValidStep,
    status: &mut StepStatus,
    approved: bool,
) {
    let settlement = if approved || broken(Twin::RejectDone) {
        Settlement::succeeded()
    } else {
        no("rejected by request".into())
    };
    let Some(record) = status.action.clone() else { return };
    let Some(active) = record.active else { return };
    let id =
        AttemptId { step: step.name.clone(), direction: Direction::Action, number: record.attempt };
    settle::apply(pass, &step.action, &active, &id, status, settlement);
}

/// Ends the waiting of a step without an answer. Where the step stands then is the caller's to
/// say.
pub(super) fn end_wait(pass: &mut Pass<'_>, step: &ValidStep, status: &mut StepStatus, why: &str) {
    let Some(record) = status.action.clone() else { return };
    let Some(active) = record.active else { return };
    let id =
        AttemptId { step: step.name.clone(), direction: Direction::Action, number: record.attempt };
    settle::record(pass, &step.action, &active, &id, status, &no(why.into()));
}

/// The saga turns back or ends: what waits was not reached.
pub(super) fn withdraw_waits(pass: &mut Pass<'_>) {
    pass.each_step(|pass, _, step, status| {
        if status.phase == StepPhase::Waiting {
            end_wait(pass, step, status, "not reached");
            status.message = Some("not reached".into());
            pass.move_step(status, StepEvent::Withdraw);
        }
    });
}

/// The end of a wait that did not come to what was waited for.
fn no(message: String) -> Settlement {
    let failure = Failure {
        reached: Reached::Nothing,
        last: true,
        exit_code: None,
        disrupted: false,
        retry_after: None,
        message,
    };
    Settlement::failed(failure)
}
