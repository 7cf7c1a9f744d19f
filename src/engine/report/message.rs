//! The messages that say why a saga is in its state, and what happens next.
//!
//! # Guarantees
//! A message is a function of the status alone, so a reconcile that changes nothing writes the same
//! message. If a user has to act, the message holds the full command.

use crate::{
    api::{Direction, RequestAction, StepPhase, StepStatus},
    engine::planner::{
        approval, deadline,
        pivot::past_pivot,
        state::{Planner, SagaCourse, is_active},
        throttle,
        throttled::own_message,
    },
    model::saga::{Operation, Work},
    text::{NAMED, instant, join, list, sentences},
};

pub(in crate::engine) fn message(
    planner: &Planner<'_>,
    course: SagaCourse,
    still: Option<&[String]>,
) -> String {
    let still = still.map(|still| list(still.iter().map(String::as_str))).unwrap_or_default();
    let paused = paused(planner);
    match course {
        // Only a process that is about to end or gets a new Lease leaves a saga without activity.
        // Such a process does not write a status that differs in message texts alone.
        SagaCourse::Forward if paused.is_empty() && activity(planner).is_empty() => {
            "the operator starts no step now, because it is restarting or waits for a new Lease: \
             the next step starts afterwards"
                .into()
        }
        SagaCourse::Forward => sentences(&[paused, activity(planner)]),
        SagaCourse::Settling => settling(planner, paused),
        SagaCourse::Held { past_pivot } => held(planner, paused, past_pivot),
        SagaCourse::Cancelling { .. } => sentences(&[
            cancelled(planner),
            "active attempts are stopped".into(),
            activity(planner),
        ]),
        SagaCourse::Cancelled if still.is_empty() => {
            sentences(&[cancelled(planner), "nothing is in effect".into()])
        }
        SagaCourse::Cancelled => {
            sentences(&[cancelled(planner), format!("still in effect: {still}")])
        }
        SagaCourse::Undoing => sentences(&[paused, because(planner), activity(planner)]),
        SagaCourse::UndoFailed => undo_failed(planner, paused, &still),
        SagaCourse::Undone if still.is_empty() => {
            sentences(&[because(planner), "everything that was done is undone".into()])
        }
        SagaCourse::Undone => {
            sentences(&[because(planner), format!("undone, except {still}, which stays in effect")])
        }
        SagaCourse::Done => format!("all {} steps are done", planner.saga.steps.len()),
    }
}

/// Returns the message that active attempts settle, and why nothing else happens before.
fn settling(planner: &Planner<'_>, paused: String) -> String {
    let then_undone = "active attempts settle first, then the saga is undone";
    if planner.input.stored.deleting {
        return sentences(&[format!("deleted: {then_undone}"), activity(planner)]);
    }
    if planner.status.compensation_requested.is_some() {
        return sentences(&[paused, because(planner), then_undone.into(), activity(planner)]);
    }
    let failed = failures(planner, StepPhase::Failed);
    sentences(&[paused, failed, "active attempts settle first".into(), activity(planner)])
}

/// Returns the message that the saga waits for a user, why, and what the user may do.
fn held(planner: &Planner<'_>, paused: String, past_pivot: bool) -> String {
    let failed = failures(planner, StepPhase::Failed);
    if past_pivot {
        let why = if failed.is_empty() { "the saga was deleted".into() } else { failed };
        let help = ways_out(planner, StepPhase::Failed, false);
        return format!(
            "{}. Nothing is undone, because the pivot {} is passed, or may be{help}",
            sentences(&[paused, why]),
            pivots(planner)
        );
    }
    let may_undo = pivots(planner).is_empty();
    let waits = approvals(planner);
    let waits = if waits.is_empty() { waits } else { format!(". Besides, {waits}") };
    let why = sentences(&[paused, failed]);
    let help = ways_out(planner, StepPhase::Failed, may_undo);
    format!("{why}. The saga waits for you{help}{waits}")
}

/// Returns the message that a compensation failed permanently, what stays in effect, and what a
/// user may do.
fn undo_failed(planner: &Planner<'_>, paused: String, still: &str) -> String {
    let why = sentences(&[paused, failures(planner, StepPhase::CompensationFailed)]);
    let help = ways_out(planner, StepPhase::CompensationFailed, false);
    let way_out = ". To delete the saga without undoing it, set spec.deletionPolicy to Abandon";
    let way_out = if planner.input.stored.deleting { way_out } else { "" };
    format!("{why}. Still in effect: {still}. The saga waits for you{help}{way_out}")
}

/// Returns the commands with which a user makes the steps in this phase continue.
fn ways_out(planner: &Planner<'_>, phase: StepPhase, may_undo: bool) -> String {
    let steps: Vec<_> = planner
        .status
        .steps
        .iter()
        .filter(|status| status.phase == phase)
        .map(|status| status.name.as_str())
        .collect();
    if steps.is_empty() && planner.status.timed_out_at.is_none() {
        return String::new();
    }
    if steps.is_empty() {
        let (saga, namespace, retry) =
            (&planner.saga.name, &planner.saga.namespace, RequestAction::Retry.annotation());
        return format!(
            ". To go on with a fresh timeout: kubectl annotate --overwrite saga/{saga} \
             {retry}='*' -n {namespace}"
        );
    }
    let named = if steps.len() > NAMED { "STEP".into() } else { steps.join(",") };
    let annotation = RequestAction::annotation;
    let (saga, namespace) = (&planner.saga.name, &planner.saga.namespace);
    let skipped =
        if phase == StepPhase::Failed { "to go on without it" } else { "to leave it in effect" };
    let undo = if may_undo {
        format!(", or {}=REASON to undo what was done", annotation(RequestAction::Compensate))
    } else {
        String::new()
    };
    format!(
        ". To try again: kubectl annotate --overwrite saga/{saga} {}={named} -n {namespace}. Or \
         annotate {}={named} {skipped}{undo}",
        annotation(RequestAction::Retry),
        annotation(RequestAction::Skip)
    )
}

/// Returns the message that nothing new starts, and until when; empty if the saga is not paused.
fn paused(planner: &Planner<'_>) -> String {
    let resume = RequestAction::Resume.annotation();
    match &planner.status.paused {
        _ if !planner.is_paused() => String::new(),
        _ if planner.saga.suspend => {
            "suspended: nothing new starts until spec.suspend is false".into()
        }
        Some(paused) if !paused.reason.is_empty() => {
            format!("paused ({}): nothing new starts until {resume} is set", paused.reason)
        }
        Some(_) | None => format!("paused: nothing new starts until {resume} is set"),
    }
}

fn cancelled(planner: &Planner<'_>) -> String {
    let reason = planner.status.cancel_requested.as_deref().filter(|reason| !reason.is_empty());
    reason.map_or_else(|| "cancelled".into(), |reason| format!("cancelled: {reason}"))
}

/// Returns the approvals that the saga waits for.
fn approvals(planner: &Planner<'_>) -> String {
    let steps = planner.saga.steps.iter().zip(&planner.status.steps);
    let waiting = steps.filter(|(step, status)| {
        status.phase == StepPhase::Waiting && matches!(step.action.work, Work::Approval(_))
    });
    join(waiting.map(|(step, status)| one_wait(planner, &step.action, status)), "; ")
}

fn one_wait(planner: &Planner<'_>, operation: &Operation, status: &StepStatus) -> String {
    if matches!(operation.work, Work::Approval(_)) {
        return approval::asks_for_approval(planner, operation, status);
    }
    let done = status
        .action
        .as_ref()
        .and_then(|record| record.active.as_ref())
        .and_then(|active| deadline::done_at(operation, active));
    let until = done.map(|done| format!(" until {}", instant(done))).unwrap_or_default();
    format!("step {} waits{until}", status.name)
}

/// Returns why a saga is undone.
fn because(planner: &Planner<'_>) -> String {
    let mut failed = failures(planner, StepPhase::Failed);
    if failed.is_empty() {
        failed = failed_before(planner).unwrap_or_default();
    }
    match &planner.status.compensation_requested {
        Some(reason) if reason.is_empty() => sentences(&[failed, "the undo was requested".into()]),
        Some(reason) => sentences(&[failed, format!("the undo was requested: {reason}")]),
        None if failed.is_empty() => "the saga was deleted".into(),
        None => failed,
    }
}

/// Returns why a step that is now being undone failed. Its phase is no longer Failed, but its last
/// attempt still holds the message.
fn failed_before(planner: &Planner<'_>) -> Option<String> {
    planner.status.steps.iter().filter(|status| status.phase.is_backward()).find_map(|status| {
        let action = status.action.as_ref()?;
        let last =
            action.attempts.last().filter(|last| last.outcome != crate::api::Outcome::Succeeded)?;
        Some(format!(
            "step {} failed: {}",
            status.name,
            last.message.as_deref().unwrap_or("no message")
        ))
    })
}

fn failures(planner: &Planner<'_>, phase: StepPhase) -> String {
    let verb = if phase == StepPhase::Failed { "failed" } else { "could not be undone" };
    let timed_out = phase == StepPhase::Failed && planner.status.timed_out_at.is_some();
    let timed_out = timed_out.then(|| deadline::timeout_passed(planner));
    let failed = planner.status.steps.iter().filter(|status| status.phase == phase);
    let failed = failed.map(|status| {
        let why = own_message(status).unwrap_or("no message");
        format!("step {} {verb}: {why}", status.name)
    });
    join(timed_out.into_iter().chain(failed), "; ")
}

fn pivots(planner: &Planner<'_>) -> String {
    let steps = planner.saga.steps.iter().zip(&planner.status.steps);
    list(
        steps.filter(|(step, status)| past_pivot(step, status)).map(|(step, _)| step.name.as_str()),
    )
}

/// Returns what is active and what the saga waits for, step by step.
fn activity(planner: &Planner<'_>) -> String {
    // The line about a breaker already says when the step continues, so such steps are left out.
    let others = planner
        .saga
        .steps
        .iter()
        .zip(&planner.status.steps)
        .filter(|(_, status)| !throttle::reports_breaker(planner, status));
    let lines = others.filter_map(|(step, status)| {
        let direction = match status.phase {
            StepPhase::Running | StepPhase::Retrying => Direction::Action,
            StepPhase::Waiting => return Some(one_wait(planner, &step.action, status)),
            StepPhase::Compensating => Direction::Compensation,
            StepPhase::Pending
            | StepPhase::Completed
            | StepPhase::Skipped
            | StepPhase::Failed
            | StepPhase::Compensated
            | StepPhase::CompensationFailed
            | StepPhase::CompensationSkipped => return None,
        };
        Some(one_activity(step.operation(direction)?, status, direction))
    });
    join(
        lines.chain(planner.throttled.iter().map(|throttled| throttled.sentence(&planner.status))),
        "; ",
    )
}

fn one_activity(operation: &Operation, status: &StepStatus, direction: Direction) -> String {
    let doing = if direction == Direction::Action { "runs" } else { "is being undone" };
    let used = status.direction(direction).map_or(0, |record| record.budget_used);
    let most = operation.retry.max_attempts;
    match &status.next_attempt_at {
        Some(next) if !is_active(status) => {
            let why = status.message.as_deref().unwrap_or("it failed");
            format!(
                "step {} waits: {why}; attempt {} of {most} begins at {}",
                status.name,
                used.saturating_add(1),
                instant(next.0)
            )
        }
        Some(_) | None => format!(
            "step {} {doing}, attempt {used} of {most}{}",
            status.name,
            trouble(status, direction)
        ),
    }
}

/// Returns what keeps the child from continuing, in brackets.
fn trouble(status: &StepStatus, direction: Direction) -> String {
    let active = status.direction(direction).and_then(|record| record.active.as_ref());
    let troubled = active.is_some_and(|active| active.trouble.is_some());
    status
        .message
        .as_ref()
        .filter(|_| troubled)
        .map(|message| format!(" ({message})"))
        .unwrap_or_default()
}

/// The most characters of a saga's message.
pub(in crate::engine) const MESSAGE: usize = 1500;
