//! Judges the requests of users, and does what is allowed.
//!
//! # Guarantees
//! A list of steps is handled as a whole or not at all. A refusal changes nothing and names what is
//! allowed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    allowed,
    chosen::chosen,
    inbox, missing,
    sentence::{are, words},
    settle_manually,
};
use crate::{
    api::{
        Direction, Pause, RequestAction, RequestBody, RequestResult, SagaPhase, StepPhase,
        StepStatus, UserRequest,
    },
    engine::{
        attempt::{outputs, wait},
        planner::{
            change::change_steps,
            deadline,
            doubt::{is_uncertain, newest_message},
            pivot::past_pivot,
            state::Planner,
            transition::StepEvent,
            undo_set::is_backward,
        },
        rules,
    },
    model::saga::ValidStep,
    text::clip,
};

/// The most characters of a reason that the status keeps.
const MAX_REASON: usize = 200;

/// Answers the requests of users. Returns whether at least one was accepted.
pub(in crate::engine) fn answer_requests(planner: &mut Planner<'_>) -> bool {
    let inbox =
        inbox::sort(planner.input.requests.asked, planner.input.requests.handled, &planner.status);
    let mut status = std::mem::take(&mut planner.status);
    let (effects, tally) = inbox.answer(planner.input, &mut status, |status, asked| {
        std::mem::swap(&mut planner.status, status);
        let answer = grant(planner, asked);
        std::mem::swap(&mut planner.status, status);
        match answer {
            Ok(message) => (RequestResult::Accepted, message),
            Err(message) => (RequestResult::Refused, message),
        }
    });
    planner.status = status;
    planner.effects.extend(effects);
    let accepted = tally.iter().any(|(_, result)| *result == RequestResult::Accepted);
    planner.tally.requests.extend(tally);
    accepted
}

/// Performs a request. Returns what was done, or an error that says why nothing was done.
fn grant(planner: &mut Planner<'_>, asked: &UserRequest) -> Result<String, String> {
    let body = asked.body()?;
    let (action, phase) = (asked.action, planner.status.phase.unwrap_or(SagaPhase::Pending));
    let phases = allowed::in_saga_phases(action);
    if !phases.contains(&phase) {
        let allowed = words(phases.iter().map(|phase| phase.as_str()));
        return Err(format!(
            "the saga is {}: {action} is allowed while it is {allowed}",
            phase.as_str()
        ));
    }
    if planner.status.cancel_requested.is_some() {
        return Err(
            "the saga is being cancelled: active attempts are stopped, and nothing else is done"
                .into(),
        );
    }
    match (action, &body) {
        (RequestAction::Cancel, RequestBody::Saga(reason)) => Ok(ask_to_cancel(planner, reason)),
        (RequestAction::Compensate, RequestBody::Saga(reason)) => ask_to_undo(planner, reason),
        (RequestAction::Pause, RequestBody::Saga(reason)) => pause(planner, reason),
        (RequestAction::Resume, _) => resume(planner),
        (RequestAction::Reject | RequestAction::Approve, _) => {
            let (names, approved) =
                (chosen(planner, action, &body)?, action == RequestAction::Approve);
            change_steps(planner, &names, |planner, step, status| {
                wait::answer_approval(planner, step, status, action);
            });
            Ok(are(&names, if approved { "approved" } else { "rejected" }))
        }
        (RequestAction::Settle, RequestBody::Settled(name, word)) => {
            chosen(planner, action, &RequestBody::Steps(vec![name.clone()]))?;
            settle_manually::settle_manually(planner, name, word)
        }
        (RequestAction::Skip, _) => ask_to_skip(planner, &body),
        (RequestAction::Retry, _) => ask_to_retry(planner, &body),
        (
            RequestAction::Cancel
            | RequestAction::Settle
            | RequestAction::Compensate
            | RequestAction::Pause,
            _,
        ) => Err(format!("{action} takes a reason, no steps")),
    }
}

fn ask_to_cancel(planner: &mut Planner<'_>, reason: &str) -> String {
    planner.status.cancel_requested = Some(clip(reason, MAX_REASON));
    "active attempts are stopped, and nothing is undone".into()
}

fn pause(planner: &mut Planner<'_>, reason: &str) -> Result<String, String> {
    if planner.input.stored.deleting {
        return Err("the saga is being deleted, and a pause does not stop a deletion".into());
    }
    let at = planner.status.paused.take().map_or(MicroTime(planner.input.now), |paused| paused.at);
    let pause = Pause { at, reason: clip(reason, MAX_REASON) };
    rules::store_pause(&mut planner.status, pause);
    Ok("active attempts settle, and nothing starts until the saga is resumed".into())
}

fn resume(planner: &mut Planner<'_>) -> Result<String, String> {
    if planner.saga.suspend {
        return Err("spec.suspend is true, which no request overrides: set it to false".into());
    }
    if planner.status.paused.take().is_none() {
        return Err("the saga is not paused".into());
    }
    Ok("the saga goes on".into())
}

fn ask_to_retry(planner: &mut Planner<'_>, body: &RequestBody) -> Result<String, String> {
    if planner.was_refused && *body == RequestBody::EveryStep {
        // This retry grants no attempt, so it does not count towards `spec.maxRetryRequests`.
        return Ok("the saga was checked again, and is accepted now".into());
    }
    let (most, used) = (planner.saga.max_retry_requests, planner.status.retry_requests);
    if !rules::may_ask_for_retry(used, most) {
        return Err(format!(
            "{used} retry requests were accepted, as many as spec.maxRetryRequests allows: \
             raise it first"
        ));
    }
    let timed_out = planner.status.timed_out_at.is_some() && !is_backward(planner);
    let names = match chosen(planner, RequestAction::Retry, body) {
        // No step failed: the saga as a whole took too long.
        Err(_) if timed_out && *body == RequestBody::EveryStep => Vec::new(),
        chosen => chosen?,
    };
    planner.status.retry_requests = used.saturating_add(1);
    change_steps(planner, &names, |planner, _, status| retry(planner, status));
    if !is_backward(planner) {
        deadline::restart_timeout(planner);
    }
    let when = if planner.is_paused() { "as soon as the saga is no longer paused" } else { "now" };
    if names.is_empty() {
        return Ok(format!("the saga goes on {when}, with a fresh timeout"));
    }
    Ok(format!("{} {when}, with a fresh budget", are(&names, "tried again")))
}

fn ask_to_skip(planner: &mut Planner<'_>, body: &RequestBody) -> Result<String, String> {
    let backward = is_backward(planner);
    let (names, outputs) = match body {
        RequestBody::StepWithOutputs(name, outputs) => (
            chosen(planner, RequestAction::Skip, &RequestBody::Steps(vec![name.clone()]))?,
            Some((name, outputs)),
        ),
        RequestBody::Steps(_)
        | RequestBody::EveryStep
        | RequestBody::Settled(..)
        | RequestBody::Saga(_) => (chosen(planner, RequestAction::Skip, body)?, None),
    };
    if outputs.is_some() && backward {
        return Err("the saga is being undone, and no step reads outputs then: write only the \
            step's name"
            .into());
    }
    let outputs = outputs
        .map(|(name, outputs)| outputs::taken(planner, name, outputs.clone()))
        .transpose()?;
    if rules::skip_needs_outputs(backward) {
        missing::check(
            planner.saga,
            &planner.status.steps,
            &names,
            outputs.as_ref(),
            RequestAction::Skip,
        )?;
    }
    change_steps(planner, &names, |planner, step, status| {
        skip(planner, step, status);
        if outputs.is_some() {
            status.outputs.clone_from(&outputs);
        }
    });
    Ok(are(
        &names,
        if backward { "not undone and stays in effect" } else { "skipped and counts as done" },
    ))
}

fn ask_to_undo(planner: &mut Planner<'_>, reason: &str) -> Result<String, String> {
    // A child saga that ended is kept until its parent ends, and is undone together with its
    // parent.
    let kept = planner.input.surroundings.parent_holds
        && planner.input.stored.finalizer
        && planner.status.phase == Some(SagaPhase::Completed);
    if planner.input.stored.deleting && !kept {
        return Err(
            "the saga is being deleted: an unfinished saga is undone without a request, and \
            a finished saga is not undone"
                .into(),
        );
    }
    if planner.status.compensation_requested.is_some() {
        return Err(
            "an earlier request already asked for the undo: active attempts settle first".into()
        );
    }
    let pivots = planner
        .saga
        .steps
        .iter()
        .zip(&planner.status.steps)
        .filter(|(step, status)| past_pivot(step, status));
    let pivots: Vec<_> = pivots.map(|(step, _)| step.name.as_str()).collect();
    if !pivots.is_empty() {
        return Err(format!(
            "the pivot {} is passed, or may be: nothing can be undone any more",
            words(pivots.into_iter())
        ));
    }
    // The spec can have changed here only if the saga ended.
    if planner
        .status
        .spec_hash
        .as_ref()
        .is_some_and(|pinned| pinned != planner.input.stored.spec_hash)
    {
        return Err("steps, params or idempotencyPrefix are not what was accepted: restore the \
            spec first"
            .into());
    }
    planner.status.compensation_requested = Some(clip(reason, MAX_REASON));
    Ok("active attempts settle first, then what was done is undone".into())
}

/// Gives the step a new budget that starts now. Attempt numbers and the idempotency key continue.
fn retry(planner: &mut Planner<'_>, status: &mut StepStatus) {
    let direction =
        if status.phase.is_backward() { Direction::Compensation } else { Direction::Action };
    // The message of a step that failed permanently may name the command that settles the step.
    let failed = matches!(status.phase, StepPhase::Failed | StepPhase::CompensationFailed);
    if failed && is_uncertain(status, direction) {
        status.message = newest_message(status, direction);
    }
    planner.move_step(status, StepEvent::Retry);
    status.retry_requested = direction == Direction::Action;
    if direction == Direction::Action {
        status.completed_at = None;
    }
    status.next_attempt_at = Some(MicroTime(planner.input.now));
    let record = status.direction_mut(direction);
    record.budget_used = 0;
    record.called_off = 0;
    record.attempt = rules::number_after_retry(record.attempt);
    record.budget_started_at = None;
}

fn skip(planner: &mut Planner<'_>, step: &ValidStep, status: &mut StepStatus) {
    let forward = !status.phase.is_backward();
    wait::end_wait(planner, step, status, "skipped by request");
    planner.move_step(status, StepEvent::Skip);
    status.retry_requested = false;
    status.next_attempt_at = None;
    let why = status.message.take();
    status.message = Some(why.map_or_else(
        || "skipped by request".into(),
        |why| format!("skipped by request, after {why}"),
    ));
    if forward && status.phase == StepPhase::Skipped {
        status.completed_at = Some(MicroTime(planner.input.now));
    }
}
