//! What is seen of an active attempt's child means: it goes on, it begins, it is to be stopped, or
//! it has settled.
//!
//! # Guarantees
//! A child that should exist and does not is `Unknown`, unless it is certain that nothing was ever
//! begun.

use super::settlement::{STOP_POLL, Verdict, may_be_late, never_begun, unknown};
use std::time::Duration;

use jiff::Timestamp;

use super::{
    answer,
    child_saga::{self, Kin},
    exit_code,
    object::{self, Sight, gave_up},
    settlement::{Settlement, failed},
    wait,
};
use crate::{
    api::{ActiveAttempt, DirectionStatus, StepStatus, limits::KEPT_MESSAGE, names::AttemptId},
    clock::{between, later},
    coordination::fence::{Age, CREATED_WITHIN, FRESH, is_past_creation},
    engine::{
        attempt,
        planner::{deadline, planner::Pass},
    },
    model::{
        observation::{Absence, ChildState, Reached},
        saga::{Operation, ValidStep, Work},
    },
    mutants::{Twin, broken},
    text::clip,
};

/// A request ends itself at its own limit; only one that did not is stopped from outside. Its
/// deadlines may stand still, so it is not told.
const REQUEST_SLACK: Duration = Duration::from_secs(2);

/// Judges one attempt.
pub(crate) fn judge(
    pass: &mut Pass<'_>,
    step: &ValidStep,
    record: &DirectionStatus,
    active: &ActiveAttempt,
    id: &AttemptId,
    status: &mut StepStatus,
) -> Verdict {
    let Some(operation) = step.operation(id.direction) else { return Verdict::Wait };
    if operation.only_waits() {
        return wait::judge_wait(pass, operation, record, active)
            .map_or(Verdict::Wait, Verdict::Settled);
    }
    let in_process = matches!(operation.work, Work::Http(_));
    let cancelled = pass.status.cancel_requested.is_some();
    let (own, deadline) = (
        deadline::own_limit(pass, operation, record),
        deadline::deadline(pass, operation, id.direction, record),
    );
    let deadline = deadline.unwrap_or(Timestamp::MAX);
    let limit = own.min(deadline);
    let ends = later(own, if in_process { REQUEST_SLACK } else { Duration::ZERO }).min(deadline);
    let overdue = cancelled || pass.seen.now >= limit;
    if let Some(verdict) = object::judge_deletion(pass, operation, status, id, overdue) {
        return verdict;
    }
    match pass.seen.children.get(id) {
        Some(end @ (ChildState::Succeeded(_) | ChildState::Answered(_))) => {
            answer::judge_end(pass, step, status, id.direction, end)
                .map_or(Verdict::Wait, Verdict::Settled)
        }
        Some(ChildState::Failed(failure)) => {
            Settlement::failed(exit_code::judge_exit(operation, failure.clone())).into()
        }
        Some(end @ (ChildState::Unknown { .. } | ChildState::CalledOff { .. })) => {
            Settlement::of_end(end.clone()).into()
        }
        Some(ChildState::Elsewhere { .. }) if broken(Twin::SendForAnother) => Verdict::Begin,
        Some(ChildState::Elsewhere { look_again_in }) => {
            pass.wake_at(later(pass.seen.now, *look_again_in));
            Verdict::Wait
        }
        Some(ChildState::Object { object, age }) => object::judge_object(
            pass,
            step,
            status,
            id,
            &Sight { object, age: *age, overdue, limit },
        ),
        Some(ChildState::Saga(child)) => child_saga::judge_child(
            pass,
            step,
            status,
            &Kin { child, attempt: id, overdue, limit, uncertain: record.uncertain },
        ),
        Some(ChildState::Active { detail, .. }) if overdue && operation.is_about_an_object() => {
            gave_up(operation, detail)
        }
        Some(ChildState::Active { .. }) if pass.seen.now >= ends && broken(Twin::StopIsEnd) => {
            unknown("took too long")
        }
        Some(ChildState::Active { .. }) if cancelled || pass.seen.now >= ends => Verdict::Stop,
        Some(ChildState::Active { uid, age, detail, trouble }) => {
            attempt::progress::note_child(
                pass,
                status,
                id.direction,
                (uid.as_ref(), *age),
                (detail, *trouble),
            );
            if !broken(Twin::LimitWake) {
                pass.wake_at(ends);
            }
            Verdict::Wait
        }
        Some(
            ChildState::Refused { known_for, .. }
            | ChildState::Absent(Absence { refused: true, known_for, .. }),
        ) if overdue && !in_process && may_be_late(*known_for) => {
            pass.wake_at(later(pass.seen.now, FRESH.saturating_sub(*known_for)));
            Verdict::Wait
        }
        Some(ChildState::Refused { message, .. }) if overdue || broken(Twin::RefusalCounts) => {
            never_begun(format!("not created within its time: {message}"))
        }
        Some(ChildState::Refused { message, retry_in, .. }) => {
            status.message = Some(clip(message, KEPT_MESSAGE));
            pass.wake_at(later(pass.seen.now, *retry_in).min(limit));
            Verdict::Wait
        }
        Some(ChildState::Absent(absence)) => {
            judge_absent(pass, operation, active, *absence, overdue)
        }
        Some(ChildState::Standing { .. }) | None => {
            pass.wake_at(later(pass.seen.now, STOP_POLL));
            Verdict::Wait
        }
    }
}

/// The rule of a child that is not there: a child that was ever there is lost; one that nobody
/// can have created is created; all else is unknown, since an answer to its creation may have
/// been lost, as soon as nobody creates it any more.
fn judge_absent(
    pass: &mut Pass<'_>,
    operation: &Operation,
    active: &ActiveAttempt,
    absence: Absence,
    overdue: bool,
) -> Verdict {
    if matches!(operation.work, Work::UndoSaga) {
        let message = "its child saga is gone, and nobody else can undo it: undo it by hand, \
            then skip this compensation";
        return failed(Reached::Nothing, message.into()).into();
    }
    let Absence { seen, refused, known_for } = absence;
    let (child, in_process) = (operation.child(), matches!(operation.work, Work::Http(_)));
    if seen || active.child_uid.is_some() {
        if broken(Twin::VanishedNo) {
            return never_begun(format!("its {child} vanished"));
        }
        return unknown(format!("its {child} vanished before its end was seen"));
    }
    // A request that this process does not know of was never sent: only this process may send
    // it.
    let certain = in_process || refused;
    let age =
        Age { intended: between(pass.seen.skew.intended(active), pass.seen.now), known: known_for };
    match (age.may_create(certain), overdue) {
        (true, false) => Verdict::Begin,
        (true, true) if certain && pass.status.cancel_requested.is_some() => {
            never_begun("not begun")
        }
        (true, true) if certain => never_begun("not begun within its time"),
        (true, true) | (false, _) => {
            let at_least = between(pass.seen.skew.intended_by(active), pass.seen.now);
            if !is_past_creation(at_least, known_for) {
                pass.wake_at(later(
                    pass.seen.now,
                    CREATED_WITHIN.saturating_sub(at_least.max(known_for)),
                ));
                return Verdict::Wait;
            }
            unknown(format!("nobody can tell whether its {child} was created"))
        }
    }
}
