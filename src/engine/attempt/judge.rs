//! The meaning of a child's observed state for its active attempt: the attempt waits, begins, is
//! stopped, or settles.
//!
//! # Guarantees
//! If a child should exist and does not, the attempt is `Unknown`, unless it is certain that
//! nothing was ever begun.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    answer,
    child_saga::{self, ChildView},
    object::{self, ObjectView, gave_up},
    progress, wait,
};
use crate::{
    api::{
        ActiveAttempt, Direction, DirectionStatus, StepStatus, limits::KEPT_MESSAGE,
        names::AttemptId,
    },
    clock::{between, later},
    coordination::fence::{Age, CREATED_WITHIN, FRESH, is_past_creation},
    engine::{
        planner::{deadline, state::Planner},
        rules,
        settlement::{STOP_POLL, Verdict, failed, not_started, unknown},
    },
    model::{
        observation::{Absence, ChildState, PodTrouble, Present, Reached, Unavailable},
        saga::{Operation, ValidStep, Work},
    },
    text::clip,
};

/// The time after its own limit at which an HTTP request is stopped from outside. An HTTP request
/// normally ends itself at its own limit. It does not know its deadlines, because they may stand
/// still.
const REQUEST_SLACK: Duration = Duration::from_secs(2);

/// The instants that limit an attempt, and whether they have passed.
#[derive(Clone, Copy)]
struct Limits {
    /// Whether this process performs the attempt itself: the attempt is an HTTP request.
    in_process: bool,
    /// Whether the saga is cancelled.
    cancelled: bool,
    /// Whether nothing more may begin for the attempt: the saga is cancelled or `limit` has passed.
    overdue: bool,
    /// The instant at which the attempt's time is over.
    limit: Timestamp,
    /// The instant at which the attempt is stopped from outside.
    ends: Timestamp,
}

impl Limits {
    fn of(
        planner: &Planner<'_>,
        operation: &Operation,
        id: &AttemptId,
        record: &DirectionStatus,
    ) -> Self {
        let in_process = matches!(operation.work, Work::Http(_));
        let cancelled = planner.status.cancel_requested.is_some();
        let own = deadline::own_limit(planner, operation, record);
        let deadline = deadline::deadline(planner, operation, id.direction, record);
        let deadline = deadline.unwrap_or(Timestamp::MAX);
        let limit = own.min(deadline);
        let slack = if in_process { REQUEST_SLACK } else { Duration::ZERO };
        let ends = later(own, slack).min(deadline);
        let overdue = cancelled || planner.input.now >= limit;
        Self { in_process, cancelled, overdue, limit, ends }
    }
}

/// Judges one active attempt.
pub(in crate::engine) fn judge(
    planner: &mut Planner<'_>,
    step: &ValidStep,
    record: &DirectionStatus,
    active: &ActiveAttempt,
    id: &AttemptId,
    status: &mut StepStatus,
) -> Verdict {
    let Some(operation) = step.operation(id.direction) else { return Verdict::Wait };
    if operation.only_waits() {
        return wait::judge_wait(planner, operation, record, active)
            .map_or(Verdict::Wait, Verdict::Settled);
    }
    let limits = Limits::of(planner, operation, id, record);
    let Limits { in_process, overdue, limit, .. } = limits;
    if let Some(verdict) = object::judge_deletion(planner, operation, status, id, overdue) {
        return verdict;
    }
    match planner.input.surroundings.children.get(id) {
        Some(ChildState::Ended(end)) => {
            answer::judge_end(planner, step, status, id.direction, end).into()
        }
        Some(ChildState::Unavailable(Unavailable::Elsewhere { look_again_in })) => {
            planner.wake_at(later(planner.input.now, *look_again_in));
            rules::request_of_another_executor()
        }
        Some(ChildState::Present(Present::Object { judged, age })) => {
            let view = ObjectView { judged, age: *age, overdue, limit };
            object::judge_object(planner, step, status, id, &view)
        }
        Some(ChildState::Present(Present::Saga(child))) => {
            let uncertain = record.uncertain;
            let view = ChildView { child, attempt: id, overdue, limit, uncertain };
            child_saga::judge_child(planner, step, status, &view)
        }
        Some(ChildState::Active { uid, age, detail, trouble }) => {
            let (child, said) = ((uid.as_ref(), *age), (detail.as_str(), *trouble));
            judge_active(planner, (operation, id.direction), status, child, said, limits)
        }
        Some(
            ChildState::Unavailable(Unavailable::Refused { known_for, .. })
            | ChildState::Absent(Absence { refused: true, known_for, .. }),
        ) if overdue && !in_process && rules::may_be_late(*known_for) => {
            planner.wake_at(later(planner.input.now, FRESH.saturating_sub(*known_for)));
            Verdict::Wait
        }
        Some(ChildState::Unavailable(Unavailable::Refused { message, retry_in, .. })) => {
            judge_refused(planner, status, (message, *retry_in), limits)
        }
        Some(ChildState::Absent(absence)) => {
            judge_absent(planner, operation, active, *absence, limits)
        }
        Some(ChildState::Present(Present::Standing { .. })) | None => {
            planner.wake_at(later(planner.input.now, STOP_POLL));
            Verdict::Wait
        }
    }
}

/// Judges an attempt whose child has not ended: waits for the child until the attempt's time is
/// over.
fn judge_active(
    planner: &mut Planner<'_>,
    (operation, direction): (&Operation, Direction),
    status: &mut StepStatus,
    child: (Option<&String>, Duration),
    said: (&str, Option<PodTrouble>),
    limits: Limits,
) -> Verdict {
    let now = planner.input.now;
    if limits.overdue && operation.is_about_an_object() {
        return gave_up(operation, said.0);
    }
    if now >= limits.ends {
        return rules::past_its_time();
    }
    if limits.cancelled {
        return Verdict::Stop;
    }
    progress::note_child(planner, status, direction, child, said);
    if let Some(stop) = rules::next_stop(limits.ends, now) {
        planner.wake_at(stop);
    }
    Verdict::Wait
}

/// Judges an attempt whose child could not be created for now: the creation is retried until the
/// attempt's time is over.
fn judge_refused(
    planner: &mut Planner<'_>,
    status: &mut StepStatus,
    (message, retry_in): (&str, Duration),
    limits: Limits,
) -> Verdict {
    if rules::refusal_ends_the_attempt(limits.overdue) {
        return not_started(format!("not created within its time limit: {message}"));
    }
    status.message = Some(clip(message, KEPT_MESSAGE));
    planner.wake_at(later(planner.input.now, retry_in).min(limits.limit));
    Verdict::Wait
}

/// Judges an attempt whose child does not exist. A child that existed before is lost, and the
/// attempt is Unknown. A child that nobody can have created, or whose intent is young enough, is
/// created. In all other cases the attempt is Unknown, because the answer to a creation may have
/// been lost. This outcome is decided only when no replica creates the child any more.
fn judge_absent(
    planner: &mut Planner<'_>,
    operation: &Operation,
    active: &ActiveAttempt,
    absence: Absence,
    limits: Limits,
) -> Verdict {
    if matches!(operation.work, Work::UndoSaga) {
        let message = "its child saga is gone, so the operator cannot undo it: undo it by hand, \
            then skip this compensation";
        return failed(Reached::Nothing, message.into()).into();
    }
    let Absence { seen, refused, known_for } = absence;
    let child = operation.child();
    if seen || active.child_uid.is_some() {
        return rules::vanished(child);
    }
    // An HTTP request that this process does not know was never sent, because only this process may
    // send it.
    let certain = limits.in_process || refused;
    let age = Age {
        intended: between(planner.input.process.skew.intended(active), planner.input.now),
        known: known_for,
    };
    match (age.may_create(certain), limits.overdue) {
        (true, false) => Verdict::Begin,
        (true, true) if certain && planner.status.cancel_requested.is_some() => {
            not_started("not begun")
        }
        (true, true) if certain => not_started("not begun within its time limit"),
        (true, true) | (false, _) => {
            let at_least =
                between(planner.input.process.skew.intended_by(active), planner.input.now);
            if !is_past_creation(at_least, known_for) {
                planner.wake_at(later(
                    planner.input.now,
                    CREATED_WITHIN.saturating_sub(at_least.max(known_for)),
                ));
                return Verdict::Wait;
            }
            unknown(format!("its {child} may have been created"))
        }
    }
}
