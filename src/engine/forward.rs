//! The way forward: what starts next, and what a failure means.

use super::{
    attempt::begin,
    forward,
    planner::{
        capacity, deadline,
        pivot::past_pivot,
        state::{Pass, Standing, is_active},
        transition::StepEvent,
    },
    rules,
};
use crate::{
    api::{Direction, OnFailure, StepPhase, StepStatus},
    model::saga::ValidStep,
};

/// Goes forward as far as possible now.
pub(super) fn forward(pass: &mut Pass<'_>) -> Standing {
    drop_undo_past_pivot(pass);
    if may_start(pass) {
        // This comes first, because nothing begins after a step failed.
        begin::fail_what_may_not_begin(pass, StepPhase::Retrying, Direction::Action);
    }
    if may_start(pass) && prepare(pass) {
        start_runnable(pass);
    }
    standing(pass)
}

fn may_start(pass: &Pass<'_>) -> bool {
    !pass.seen.draining && !pass.is_paused() && !must_turn_back(pass)
}

/// Returns whether the saga turns back whatever its steps do.
fn must_turn_back(pass: &Pass<'_>) -> bool {
    rules::turns_back(pass.seen.deleting, pass.status.compensation_requested.as_deref())
}

/// Drops a request for the undo if the pivot was passed while active attempts settled. After the
/// pivot the undo cannot be requested any more.
fn drop_undo_past_pivot(pass: &mut Pass<'_>) {
    if pass.status.compensation_requested.is_some() && !pass.steps_where(past_pivot).is_empty() {
        pass.status.compensation_requested = None;
        pass.publish(
            true,
            "PivotPassed",
            "the saga is not undone, although that was asked for: its pivot was passed \
             meanwhile, or may be",
        );
    }
}

fn standing(pass: &mut Pass<'_>) -> Standing {
    let (failed, must_turn_back) = (pass.has_failure(), must_turn_back(pass));
    let done = rules::are_done(pass.status.steps.iter().map(|status| status.phase));
    // If the saga is deleted or must turn back, the step that settled last is undone as well,
    // unless the pivot is passed.
    if done && (!must_turn_back || !pass.steps_where(past_pivot).is_empty()) {
        return Standing::Done;
    }
    if !must_turn_back {
        wake_for_retries(pass, failed);
    }
    deadline::wake_for_timeout(pass);
    if !failed && !must_turn_back {
        return Standing::Forward;
    }
    let retried =
        |status: &StepStatus| status.phase == StepPhase::Retrying && status.retry_requested;
    let goes_on = !must_turn_back && pass.status.steps.iter().any(retried);
    if goes_on || !rules::may_turn_back(pass.with_children()) {
        return Standing::Settling;
    }
    let turn_back = must_turn_back || pass.saga.on_failure == OnFailure::Compensate;
    let past_pivot = !pass.steps_where(past_pivot).is_empty();
    match (turn_back, past_pivot) {
        (true, false) => Standing::Undoing,
        (true, true) => Standing::Held { past_pivot: true },
        (false, _) => Standing::Held { past_pivot: false },
    }
}

/// Skips the steps that are not wanted, and fails the steps that cannot begin, as far as there are
/// slots. Returns whether all steps can begin: after a step failed, nothing begins.
fn prepare(pass: &mut Pass<'_>) -> bool {
    if !pass.saga.has_expressions() {
        return true;
    }
    let (failed, mut slots, mut all_can) = (pass.has_failure(), capacity::slots(pass), true);
    pass.each_step(|pass, place, step, status| {
        let done = pass.steps_where(|_, status| status.phase.is_done());
        let ready = status.phase == StepPhase::Pending
            && rules::starts_new_steps(failed)
            && rules::dependencies_are_done(pass.graph.depends_on(place), done);
        let again = status.phase == StepPhase::Retrying
            && rules::may_go_on(failed, status)
            && !is_active(status)
            && rules::is_due(status.next_attempt_at.as_ref(), pass.seen.now);
        if !((ready && slots.has_free(true)) || (again && slots.take_kept())) {
            return;
        }
        // A retried step that never began is evaluated again, too.
        let first = status.action.as_ref().is_none_or(|record| record.attempt == 0);
        let wanted = if first { forward::is_wanted(pass, step, status) } else { Ok(true) };
        match wanted.map(|wanted| {
            wanted.then(|| pass.resolve(&step.action, status, Direction::Action).map(drop))
        }) {
            Ok(None) => forward::leave_out(pass, status),
            Ok(Some(Ok(()))) => _ = ready && slots.take_new(),
            Ok(Some(Err(why))) | Err(why) => {
                begin::cannot_begin(pass, status, Direction::Action, &why);
                all_can = false;
            }
        }
    });
    all_can
}

/// Begins attempts in list order until every slot is taken.
fn start_runnable(pass: &mut Pass<'_>) {
    let done = pass.steps_where(|_, status| status.phase.is_done());
    let (failed, mut slots) = (pass.has_failure(), capacity::slots(pass));
    pass.each_step(|pass, place, step, status| {
        let begins = match status.phase {
            StepPhase::Pending => {
                rules::starts_new_steps(failed)
                    && rules::dependencies_are_done(pass.graph.depends_on(place), done)
                    && slots.take_new()
            }
            StepPhase::Retrying => {
                rules::may_go_on(failed, status)
                    && rules::is_due(status.next_attempt_at.as_ref(), pass.seen.now)
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
        if begins
            && !capacity::waits_for_room(
                pass,
                step,
                Direction::Action,
                &mut slots,
                status.phase == StepPhase::Pending,
            )
        {
            begin::begin(pass, place, step, status, Direction::Action);
        }
    });
    capacity::forget_overtaken(pass, &slots);
}

fn wake_for_retries(pass: &mut Pass<'_>, failed: bool) {
    if pass.is_paused() {
        return;
    }
    let waits = |status: &&StepStatus| {
        status.phase == StepPhase::Retrying
            && !is_active(status)
            && rules::may_go_on(failed, status)
    };
    let retrying = pass.status.steps.iter().filter(waits);
    let instants = retrying.filter_map(|status| status.next_attempt_at.as_ref()).map(|next| next.0);
    if let Some(next) = rules::next_retry(instants, pass.seen.now) {
        pass.wake_at(next);
    }
}

/// Returns whether a step that is about to begin for the first time is wanted.
///
/// # Errors
/// One line: the step's `when` cannot be evaluated.
pub(crate) fn is_wanted(
    pass: &Pass<'_>,
    step: &ValidStep,
    status: &StepStatus,
) -> Result<bool, String> {
    let Some(when) = &step.when else { return Ok(true) };
    when.holds(&pass.values().scope(status, None, None)).map_err(|error| format!("when: {error}"))
}

/// Skips a step that is not wanted.
pub(crate) fn leave_out(pass: &mut Pass<'_>, status: &mut StepStatus) {
    pass.move_step(status, StepEvent::Skip);
    status.unwanted = true;
    status.message = Some("not wanted: its when is false".into());
    status.completed_at =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime(pass.seen.now));
}
