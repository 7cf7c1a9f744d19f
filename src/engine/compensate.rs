//! The way back: which steps are undone, and in which order.
//!
//! # Guarantees
//! The undo set holds every step that is done, every step that may have been done, and every failed
//! step that asks for the undo. A step that did not start is never in the undo set. A step is
//! undone when all its dependants in the set are undone. Among the steps that can be undone, the
//! step that settled last comes first.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    attempt::{begin, wait},
    compensate,
    planner::{
        capacity,
        doubt::with_hint,
        state::{Planner, SagaCourse, is_active},
        throttled,
        transition::StepEvent,
        undo_set::{in_undo_set, is_undoing, is_undone},
    },
    rules,
};
use crate::{
    api::{Direction, StepPhase, StepStatus},
    model::{graph::StepSet, saga::ValidStep},
};

/// Undoes as much as possible now.
pub(in crate::engine) fn undo(planner: &mut Planner<'_>) -> SagaCourse {
    compensate::end_retries(planner);
    wait::withdraw_waits(planner);
    let set = planner.steps_where(in_undo_set);
    if !planner.input.process.draining && !planner.is_paused() {
        start_compensations(planner, set);
    }
    undo_course(planner, set)
}

fn start_compensations(planner: &mut Planner<'_>, set: StepSet) {
    // This comes first, so that a step that must not begin takes no slot.
    begin::fail_what_may_not_begin(planner, StepPhase::Compensating, Direction::Compensation);
    let undone =
        planner.steps_where(|step, status| in_undo_set(step, status) && is_undone(step, status));
    let mut free = Vec::new();
    for (place, (step, status)) in planner.saga.steps.iter().zip(&planner.status.steps).enumerate()
    {
        let waits = match status.phase {
            // The undo set decides which of these steps are undone.
            StepPhase::Completed | StepPhase::Failed | StepPhase::Skipped => true,
            StepPhase::Compensating => {
                !is_active(status)
                    && rules::is_due(status.next_attempt_at.as_ref(), planner.input.now)
            }
            StepPhase::Pending
            | StepPhase::Running
            | StepPhase::Retrying
            | StepPhase::Waiting
            | StepPhase::Compensated
            | StepPhase::CompensationFailed
            | StepPhase::CompensationSkipped => false,
        };
        let dependants = planner.graph.dependants(place).and(set);
        let free_now = rules::dependants_are_undone(dependants, undone);
        if waits && set.contains(place) && !is_undone(step, status) && free_now {
            let settled =
                status.action.as_ref().and_then(|action| action.sequence).unwrap_or_default();
            let order = rules::undo_order(settled, place);
            free.push((order, status.phase == StepPhase::Compensating));
        }
    }
    free.sort_unstable();
    let mut slots = capacity::slots(planner);
    let mut chosen = Vec::new();
    for (((_, place), kept), step) in
        free.into_iter().filter_map(|free| Some((free, planner.saga.steps.get(free.0.1)?)))
    {
        let taken = if kept { slots.take_kept() } else { slots.take_new() };
        if taken
            && !capacity::waits_for_host(planner, step, Direction::Compensation, &mut slots, !kept)
        {
            chosen.push(place);
        }
    }
    capacity::forget_overtaken(planner, &slots);
    let chosen = StepSet::of(chosen);
    for place in planner.places() {
        let Some(mut draft) = planner.draft(place, |_, _| chosen.contains(place)) else { continue };
        begin::begin(planner, draft.step, &mut draft.status, Direction::Compensation);
        planner.store(draft);
    }
}

/// Stops everything that is active. After that the saga goes neither forward nor back.
pub(in crate::engine) fn cancel(planner: &mut Planner<'_>) -> SagaCourse {
    if !rules::may_be_cancelled(planner.with_children()) {
        return SagaCourse::Cancelling { undoing: is_undoing(planner) };
    }
    compensate::end_retries(planner);
    wait::withdraw_waits(planner);
    let compensates = |_: &ValidStep, status: &StepStatus| status.phase == StepPhase::Compensating;
    for place in planner.places() {
        let Some(mut draft) = planner.draft(place, compensates) else { continue };
        draft.status.next_attempt_at = None;
        planner.move_step(&mut draft.status, StepEvent::UndoFailed);
        planner.store(draft);
    }
    SagaCourse::Cancelled
}

fn undo_course(planner: &mut Planner<'_>, set: StepSet) -> SagaCourse {
    let undone =
        planner.steps_where(|step, status| in_undo_set(step, status) && is_undone(step, status));
    if set.is_subset(undone) {
        return SagaCourse::Undone;
    }
    let failed = planner.steps_where(|_, status| status.phase == StepPhase::CompensationFailed);
    let open = planner.saga.steps.iter().zip(&planner.status.steps).enumerate().any(
        |(place, (step, status))| {
            let settled = is_undone(step, status) || status.phase == StepPhase::CompensationFailed;
            set.contains(place)
                && !settled
                && planner.graph.dependants(place).and(failed).is_empty()
        },
    );
    if !open && planner.with_children().is_empty() {
        return SagaCourse::UndoFailed;
    }
    let next = planner
        .status
        .steps
        .iter()
        .filter(|status| status.phase == StepPhase::Compensating && !is_active(status));
    let instants = next.filter_map(|status| status.next_attempt_at.as_ref()).map(|next| next.0);
    let next = rules::next_retry_of_undo(instants, planner.input.now);
    if let Some(next) = next.filter(|_| !planner.is_paused()) {
        planner.wake_at(next);
    }
    SagaCourse::Undoing
}

/// Turns the saga back: a step that waited for a retry fails permanently.
pub(in crate::engine) fn end_retries(planner: &mut Planner<'_>) {
    let retries = |_: &ValidStep, status: &StepStatus| status.phase == StepPhase::Retrying;
    for place in planner.places() {
        let Some(mut draft) = planner.draft(place, retries) else { continue };
        let status = &mut draft.status;
        status.next_attempt_at = None;
        status.retry_requested = false;
        status.completed_at = Some(MicroTime(planner.input.now));
        throttled::withdraw(status);
        status.message =
            status.message.take().map(|message| with_hint(&message, status, Direction::Action));
        planner.move_step(status, StepEvent::FailForGood);
        planner.store(draft);
    }
}
