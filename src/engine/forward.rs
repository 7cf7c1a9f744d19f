//! The way forward: what starts next, and what a failure means.

use super::{
    attempt::begin,
    forward,
    planner::{
        capacity, deadline,
        pivot::past_pivot,
        state::{Planner, SagaCourse, is_active},
        transition::StepEvent,
    },
    rules,
};
use crate::{
    api::{Direction, OnFailure, StepPhase, StepStatus},
    model::saga::ValidStep,
};

/// Goes forward as far as possible now.
pub(super) fn forward(planner: &mut Planner<'_>) -> SagaCourse {
    drop_undo_past_pivot(planner);
    if may_start(planner) {
        // This comes first, because nothing begins after a step failed.
        begin::fail_what_may_not_begin(planner, StepPhase::Retrying, Direction::Action);
    }
    if may_start(planner) && prepare(planner) {
        start_runnable(planner);
    }
    course(planner)
}

fn may_start(planner: &Planner<'_>) -> bool {
    !planner.input.process.draining && !planner.is_paused() && !must_turn_back(planner)
}

/// Returns whether the saga turns back whatever its steps do.
fn must_turn_back(planner: &Planner<'_>) -> bool {
    rules::turns_back(
        planner.input.stored.deleting,
        planner.status.compensation_requested.as_deref(),
    )
}

/// Drops a request for the undo if the pivot was passed while active attempts settled. After the
/// pivot the undo cannot be requested any more.
fn drop_undo_past_pivot(planner: &mut Planner<'_>) {
    if planner.status.compensation_requested.is_some()
        && !planner.steps_where(past_pivot).is_empty()
    {
        planner.status.compensation_requested = None;
        planner.warn(
            "PivotPassed",
            "the saga is not undone although a request asked for it: the pivot was passed \
             meanwhile, or may be",
        );
    }
}

fn course(planner: &mut Planner<'_>) -> SagaCourse {
    let (failed, must_turn_back) = (planner.has_failure(), must_turn_back(planner));
    let done = rules::are_done(planner.status.steps.iter().map(|status| status.phase));
    // If the saga is deleted or must turn back, the step that settled last is undone as well,
    // unless the pivot is passed.
    if done && (!must_turn_back || !planner.steps_where(past_pivot).is_empty()) {
        return SagaCourse::Done;
    }
    if !must_turn_back {
        wake_for_retries(planner);
    }
    deadline::wake_for_timeout(planner);
    if !failed && !must_turn_back {
        return SagaCourse::Forward;
    }
    let retried =
        |status: &StepStatus| status.phase == StepPhase::Retrying && status.retry_requested;
    let goes_on = !must_turn_back && planner.status.steps.iter().any(retried);
    if goes_on || !rules::may_turn_back(planner.with_children()) {
        return SagaCourse::Settling;
    }
    let turn_back = must_turn_back || planner.saga.on_failure == OnFailure::Compensate;
    let past_pivot = !planner.steps_where(past_pivot).is_empty();
    match (turn_back, past_pivot) {
        (true, false) => SagaCourse::Undoing,
        (true, true) => SagaCourse::Held { past_pivot: true },
        (false, _) => SagaCourse::Held { past_pivot: false },
    }
}

/// Skips the steps that are not wanted, and fails the steps that cannot begin, as far as there are
/// slots. Returns whether all steps can begin: after a step failed, nothing begins.
fn prepare(planner: &mut Planner<'_>) -> bool {
    if !planner.saga.has_expressions() {
        return true;
    }
    let (failed, mut slots, mut all_can) = (planner.has_failure(), capacity::slots(planner), true);
    for place in planner.places() {
        let Some((step, status)) = planner.step(place) else { continue };
        let done = planner.steps_where(|_, status| status.phase.is_done());
        let ready = status.phase == StepPhase::Pending
            && rules::starts_new_steps(failed)
            && rules::dependencies_are_done(planner.graph.depends_on(place), done);
        let again = status.phase == StepPhase::Retrying
            && rules::may_go_on(failed, status)
            && !is_active(status)
            && rules::is_due(status.next_attempt_at.as_ref(), planner.input.now);
        if !((ready && slots.has_free(true)) || (again && slots.take_kept())) {
            continue;
        }
        // A retried step that never began is evaluated again, too.
        let first = status.action.as_ref().is_none_or(|record| record.attempt == 0);
        let wanted = if first { forward::is_wanted(planner, step, status) } else { Ok(true) };
        let begins = wanted.map(|wanted| {
            wanted.then(|| planner.resolve(&step.action, status, Direction::Action).map(drop))
        });
        let Some(mut draft) = planner.draft(place, |_, _| true) else { continue };
        match begins {
            Ok(None) => forward::leave_out(planner, &mut draft.status),
            Ok(Some(Ok(()))) => _ = ready && slots.take_new(),
            Ok(Some(Err(why))) | Err(why) => {
                begin::cannot_begin(planner, &mut draft.status, Direction::Action, &why);
                all_can = false;
            }
        }
        planner.store(draft);
    }
    all_can
}

/// Begins attempts in list order until every slot is taken.
fn start_runnable(planner: &mut Planner<'_>) {
    let done = planner.steps_where(|_, status| status.phase.is_done());
    let (failed, mut slots) = (planner.has_failure(), capacity::slots(planner));
    for place in planner.places() {
        let Some((step, status)) = planner.step(place) else { continue };
        let begins = match status.phase {
            StepPhase::Pending => {
                rules::starts_new_steps(failed)
                    && rules::dependencies_are_done(planner.graph.depends_on(place), done)
                    && slots.take_new()
            }
            StepPhase::Retrying => {
                rules::may_go_on(failed, status)
                    && rules::is_due(status.next_attempt_at.as_ref(), planner.input.now)
                    && slots.take_kept()
            }
            StepPhase::Running
            | StepPhase::Waiting
            | StepPhase::Completed
            | StepPhase::Skipped
            | StepPhase::Failed
            | StepPhase::Compensating
            | StepPhase::Compensated
            | StepPhase::CompensationFailed
            | StepPhase::CompensationSkipped => false,
        };
        let is_new = status.phase == StepPhase::Pending;
        let begins = begins
            && !capacity::waits_for_host(planner, step, Direction::Action, &mut slots, is_new);
        let Some(mut draft) = planner.draft(place, |_, _| begins) else { continue };
        begin::begin(planner, step, &mut draft.status, Direction::Action);
        planner.store(draft);
    }
    capacity::forget_overtaken(planner, &slots);
}

fn wake_for_retries(planner: &mut Planner<'_>) {
    if planner.is_paused() {
        return;
    }
    let failed = planner.has_failure();
    let waits = |status: &&StepStatus| {
        status.phase == StepPhase::Retrying
            && !is_active(status)
            && rules::may_go_on(failed, status)
    };
    let retrying = planner.status.steps.iter().filter(waits);
    let instants = retrying.filter_map(|status| status.next_attempt_at.as_ref()).map(|next| next.0);
    if let Some(next) = rules::next_retry(instants, planner.input.now) {
        planner.wake_at(next);
    }
}

/// Returns whether a step that is about to begin for the first time is wanted.
///
/// # Errors
/// One line: the step's `when` cannot be evaluated.
pub(in crate::engine) fn is_wanted(
    planner: &Planner<'_>,
    step: &ValidStep,
    status: &StepStatus,
) -> Result<bool, String> {
    let Some(when) = &step.when else { return Ok(true) };
    when.holds(&planner.values().scope(status, None, None))
        .map_err(|error| format!("when: {error}"))
}

/// Skips a step that is not wanted.
pub(in crate::engine) fn leave_out(planner: &mut Planner<'_>, status: &mut StepStatus) {
    planner.move_step(status, StepEvent::Skip);
    status.unwanted = true;
    status.message = Some("skipped: its when is false".into());
    status.completed_at =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime(planner.input.now));
}
