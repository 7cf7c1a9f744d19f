//! The clocks of a saga: the time limit of an attempt, the deadline of a budget, and the timeout of
//! the forward run.
//!
//! # Guarantees
//! Deadlines and the timeout stand still while the saga is paused, suspended or Failed. The time
//! limit of an attempt, of an approval and of a wait keeps running. All clocks count from recorded
//! instants, so a restarted operator computes the same ends.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::state::{Planner, SagaCourse};
use crate::{
    api::{ActiveAttempt, Direction, DirectionStatus, SagaPhase, StepPhase, StepStatus},
    clock::{between, later},
    model::saga::{Operation, ValidStep, Work},
};

/// Returns the time limit of an attempt itself: the limit in its intent, or else the limit in the
/// current spec. An HTTP request keeps the limit under which it was sent, because every other
/// replica uses that limit to judge how long the HTTP request may last.
#[must_use]
pub fn own_time(active: Option<&ActiveAttempt>, timeout: Duration) -> Duration {
    let written =
        active.and_then(|active| Some(between(active.started_at.0, active.ends_by.as_ref()?.0)));
    written.unwrap_or(timeout)
}

/// Returns the instant against which deadlines are compared: now, or the instant at which the clock
/// stopped.
pub(in crate::engine) fn frozen_now(planner: &Planner<'_>) -> Timestamp {
    planner.status.clock_stopped_at.as_ref().map_or(planner.input.now, |stopped| stopped.0)
}

/// Restarts the deadlines. The instants from which they count move forward by the time for which
/// the clock stood still.
pub(in crate::engine) fn resume_clock(planner: &mut Planner<'_>) {
    let Some(MicroTime(stopped)) = planner.status.clock_stopped_at.take() else { return };
    let stood = between(stopped, planner.input.now);
    let timeout_began = timeout_began(planner).cloned();
    planner.status.timeout_started_at = timeout_began;
    let records = planner
        .status
        .steps
        .iter_mut()
        .flat_map(|status| [&mut status.action, &mut status.compensation])
        .flatten();
    let began = records
        .filter_map(|record| record.budget_started_at.as_mut())
        .chain(&mut planner.status.timeout_started_at);
    for began in began {
        *began = MicroTime(later(began.0, stood));
    }
}

/// Stops the clock if the saga is paused or waits for a user's decision, and starts it otherwise.
/// The clock of a saga that ended does not stand still.
pub(in crate::engine) fn set_clock(planner: &mut Planner<'_>, course: SagaCourse) {
    let ended = matches!(course, SagaCourse::Done | SagaCourse::Undone | SagaCourse::Cancelled);
    let stands = !ended && (planner.is_paused() || matches!(course, SagaCourse::Held { .. }));
    match (stands, planner.status.clock_stopped_at.is_some()) {
        (true, false) => planner.status.clock_stopped_at = Some(MicroTime(planner.input.now)),
        (false, true) => planner.status.clock_stopped_at = None,
        (true, true) | (false, false) => {}
    }
}

/// Returns the instant from which the timeout counts.
fn timeout_began<'p>(planner: &'p Planner<'_>) -> Option<&'p MicroTime> {
    planner.status.timeout_started_at.as_ref().or(planner.status.started_at.as_ref())
}

/// Returns how much of the saga's timeout is left, or `None` if the saga has no timeout.
fn saga_left(planner: &Planner<'_>) -> Option<Duration> {
    let timeout = planner.saga.timeout?;
    let began = timeout_began(planner)?;
    Some(timeout.saturating_sub(between(began.0, frozen_now(planner))))
}

/// Returns whether the forward run has used up the saga's timeout.
pub(in crate::engine) fn is_past_timeout(planner: &Planner<'_>) -> bool {
    saga_left(planner).is_some_and(|left| left.is_zero())
}

/// Records that the timeout passed, if it passed during the forward run. Steps that wait for a
/// retry fail permanently. Active attempts end by their time limits.
pub(in crate::engine) fn enforce_timeout(planner: &mut Planner<'_>) {
    let backward = matches!(
        planner.status.phase,
        Some(SagaPhase::Compensating | SagaPhase::CompensationFailed)
    );
    let done = planner.status.steps.iter().all(|status| status.phase.is_done());
    if backward || done || planner.status.timed_out_at.is_some() || !is_past_timeout(planner) {
        return;
    }
    planner.status.timed_out_at = Some(MicroTime(planner.input.now));
    let text = timeout_passed(planner);
    planner.warn("TimedOut", text.clone());
    let retries = |_: &ValidStep, status: &StepStatus| status.phase == StepPhase::Retrying;
    for place in planner.places() {
        let Some(mut draft) = planner.draft(place, retries) else { continue };
        let status = &mut draft.status;
        let last = status.message.take().unwrap_or_default();
        status.message =
            Some(crate::text::clip(&format!("{text}; {last}"), crate::api::limits::KEPT_MESSAGE));
        status.next_attempt_at = None;
        planner.give_up(status, Direction::Action);
        planner.store(draft);
    }
}

/// Requeues the saga for the instant at which the timeout passes.
pub(in crate::engine) fn wake_for_timeout(planner: &mut Planner<'_>) {
    if let Some(left) = saga_left(planner).filter(|_| {
        planner.status.clock_stopped_at.is_none() && planner.status.timed_out_at.is_none()
    }) {
        planner.wake_at(later(planner.input.now, left));
    }
}

/// Restarts the timeout of the forward run from now.
pub(in crate::engine) fn restart_timeout(planner: &mut Planner<'_>) {
    planner.status.timed_out_at = None;
    // If the clock stands still, this instant moves together with the others when the clock
    // restarts.
    planner.status.timeout_started_at = Some(MicroTime(frozen_now(planner)));
}

/// Returns the sentence that reports the passed timeout.
pub(in crate::engine) fn timeout_passed(planner: &Planner<'_>) -> String {
    let timeout = planner.saga.timeout.map(crate::api::GoDuration::from);
    timeout.map_or_else(
        || "the saga's timeout passed".into(),
        |timeout| format!("the saga's timeout of {timeout} passed"),
    )
}

/// Returns how much of the budget's deadline is left, or `None` if the budget has no deadline.
pub(in crate::engine) fn budget_left(
    planner: &Planner<'_>,
    operation: &Operation,
    record: &DirectionStatus,
) -> Option<Duration> {
    let deadline = operation.retry.deadline?;
    let began = record.budget_started_at.as_ref()?;
    Some(deadline.saturating_sub(between(began.0, frozen_now(planner))))
}

/// Returns the instant at which the active attempt is past its time: the earliest of its own time
/// limit, which keeps running, and its deadlines.
pub(in crate::engine) fn limit(
    planner: &Planner<'_>,
    operation: &Operation,
    direction: Direction,
    record: &DirectionStatus,
) -> Timestamp {
    deadline(planner, operation, direction, record)
        .unwrap_or(Timestamp::MAX)
        .min(own_limit(planner, operation, record))
}

/// Returns the instant at which the active attempt passes its own time limit, which keeps running
/// while the saga is paused.
pub(in crate::engine) fn own_limit(
    planner: &Planner<'_>,
    operation: &Operation,
    record: &DirectionStatus,
) -> Timestamp {
    let active = record.active.as_ref();
    later(
        active.map_or(planner.input.now, |active| active.started_at.0),
        own_time(active, operation.timeout),
    )
}

/// Returns the earliest of the deadlines that apply to the attempt: that of its budget and, for an
/// action, the saga's timeout. Returns `None` if no deadline applies, or if the clock stopped
/// before each of them.
pub(in crate::engine) fn deadline(
    planner: &Planner<'_>,
    operation: &Operation,
    direction: Direction,
    record: &DirectionStatus,
) -> Option<Timestamp> {
    let budget = operation.retry.deadline.zip(record.budget_started_at.as_ref());
    let forward = planner.saga.timeout.filter(|_| direction == Direction::Action);
    let saga = forward.zip(timeout_began(planner));
    [budget, saga]
        .into_iter()
        .flatten()
        .filter_map(|(may_take, began)| ends_at(planner, began.0, may_take))
        .min()
}

/// Returns the instant at which `may_take` has passed since `began`. Returns `None` if the clock
/// stopped before that instant, because the end is then not known yet.
fn ends_at(planner: &Planner<'_>, began: Timestamp, may_take: Duration) -> Option<Timestamp> {
    let end = later(began, may_take);
    planner.status.clock_stopped_at.as_ref().is_none_or(|stopped| end <= stopped.0).then_some(end)
}

/// Returns the instant at which a `wait` step is done, or `None` for an `approval` step.
pub(in crate::engine) fn done_at(
    operation: &Operation,
    active: &ActiveAttempt,
) -> Option<Timestamp> {
    if let Work::Wait(duration) = operation.work {
        Some(later(active.started_at.0, duration))
    } else {
        None
    }
}
