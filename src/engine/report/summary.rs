//! Turns the course of a saga into the part of the status for users: phase, message, progress,
//! conditions and events.
//!
//! # Guarantees
//! The result is a function of the status and of the present generation alone, so a reconcile that
//! changes nothing writes nothing.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    blocked::Blocked,
    conditions::{Wanted, conditions, wanted},
    doubts,
    message::{MESSAGE, message},
    size,
};
use crate::{
    api::{SagaPhase, SagaStatus, StepPhase, StepStatus},
    engine::{
        planner::{
            state::{Planner, SagaCourse},
            undo_set::{is_in_effect, undo_set},
        },
        rules,
    },
    model::{
        input::PlanInput,
        saga::{ValidStep, Work},
    },
    text::{clip, list},
};

/// Returns the status of a saga that is held. Only the fields that say why the saga is blocked
/// change.
pub(in crate::engine) fn held(
    status: &SagaStatus,
    block: &Blocked,
    input: &PlanInput<'_>,
) -> SagaStatus {
    let mut new = status.clone();
    let message = clip(&block.message(), MESSAGE);
    let accepted = status.spec_hash.is_some();
    let mut wanted = vec![
        Wanted::new("Ready", "False", block.reason()),
        Wanted::new("Stalled", "True", block.reason()),
    ];
    wanted.insert(
        0,
        if accepted {
            Wanted::new("Accepted", "True", "Accepted")
        } else {
            Wanted::new("Accepted", "False", block.reason())
        },
    );
    new.phase.get_or_insert(SagaPhase::Pending);
    new.observed_generation = Some(input.stored.generation);
    new.conditions = conditions(&status.conditions, &wanted, &message, input, None);
    for refused in new
        .conditions
        .iter_mut()
        .filter(|condition| condition.type_ == "Accepted" && condition.status == "False")
    {
        refused.message = block.whole_message();
    }
    new.message = Some(message);
    new
}

/// Publishes the phase that the saga enters.
fn publish_phase(
    planner: &mut Planner<'_>,
    phase: SagaPhase,
    reason: &'static str,
    still: Option<&[String]>,
    message: &str,
) {
    let left = phase == SagaPhase::Cancelled && still.is_some_and(|still| !still.is_empty());
    let reason = if phase == SagaPhase::Failed { phase.as_str() } else { reason };
    if left
        || matches!(phase, SagaPhase::Failed | SagaPhase::CompensationFailed)
        || reason == "CompensatedExcept"
    {
        planner.warn(reason, message);
    } else {
        planner.publish(reason, message);
    }
}

/// Writes the part of the status for users.
pub(in crate::engine) fn summarise(planner: &mut Planner<'_>, course: SagaCourse) {
    size::fit(&mut planner.status.steps, planner.input.versions.bytes);
    let paused = planner.is_paused();
    let phase = match course {
        SagaCourse::Forward | SagaCourse::Settling | SagaCourse::Cancelling { undoing: false }
            if paused =>
        {
            SagaPhase::Paused
        }
        SagaCourse::Forward | SagaCourse::Settling | SagaCourse::Cancelling { undoing: false } => {
            SagaPhase::Running
        }
        SagaCourse::Cancelled => SagaPhase::Cancelled,
        SagaCourse::Held { .. } => SagaPhase::Failed,
        SagaCourse::Undoing | SagaCourse::Cancelling { undoing: true } => SagaPhase::Compensating,
        SagaCourse::UndoFailed => SagaPhase::CompensationFailed,
        SagaCourse::Undone => SagaPhase::Compensated,
        SagaCourse::Done => SagaPhase::Completed,
    };
    let entered = planner.status.phase != Some(phase);
    let still = still_in_effect(planner, phase);
    let reason = reason(planner, phase, still.as_deref());
    let message = clip(&message(planner, course, still.as_deref()), MESSAGE);
    if entered && phase != SagaPhase::Running {
        publish_phase(planner, phase, reason, still.as_deref(), &message);
    }
    let ready = if paused && !phase.is_terminal() { "Paused" } else { reason };
    let wanted = wanted(phase, paused, ready, reason);
    let (input, saga) = (planner.input, planner.saga);
    let mut conditions =
        conditions(&planner.status.conditions, &wanted, &message, input, Some(saga));
    doubts::report(planner, &mut conditions);
    let (progress, current, retries) =
        (progress(planner, phase), current_steps(planner, phase), retries(&planner.status));
    let status = &mut planner.status;
    // This also applies if one end follows another: a Completed saga of which nothing can be
    // undone.
    if entered || !phase.is_terminal() {
        status.completed_at = phase.is_terminal().then_some(MicroTime(planner.input.now));
    }
    if phase.is_terminal() {
        status.paused = None;
    }
    status.observed_generation = Some(planner.input.stored.generation);
    status.phase = Some(phase);
    status.progress = Some(progress);
    status.current_steps = current;
    status.retries = Some(retries);
    status.still_in_effect = still;
    status.conditions = conditions;
    status.message = Some(message);
}

pub(in crate::engine) fn reason(
    planner: &Planner<'_>,
    phase: SagaPhase,
    still: Option<&[String]>,
) -> &'static str {
    let retrying = planner.status.steps.iter().any(|status| status.phase == StepPhase::Retrying);
    let approval = |(step, status): (&ValidStep, &StepStatus)| {
        status.phase == StepPhase::Waiting && matches!(step.action.work, Work::Approval(_))
    };
    let asks = planner.saga.steps.iter().zip(&planner.status.steps).any(approval);
    match phase {
        SagaPhase::Running if asks => "AwaitingApproval",
        SagaPhase::Running if retrying => "Retrying",
        SagaPhase::Failed if planner.status.timed_out_at.is_some() => "TimedOut",
        // The saga was deleted after its pivot and is about to be released.
        SagaPhase::Failed if !planner.has_failure() => "PivotPassed",
        SagaPhase::Failed => "StepFailed",
        SagaPhase::Compensated if still.is_some_and(|still| !still.is_empty()) => {
            "CompensatedExcept"
        }
        SagaPhase::Pending
        | SagaPhase::Running
        | SagaPhase::Paused
        | SagaPhase::Compensating
        | SagaPhase::Compensated
        | SagaPhase::CompensationFailed
        | SagaPhase::Completed
        | SagaPhase::Cancelled => phase.as_str(),
    }
}

/// Returns the steps that did, or may have done, something that is not undone. Only a saga that
/// ended or could not be undone has them.
fn still_in_effect(planner: &Planner<'_>, phase: SagaPhase) -> Option<Vec<String>> {
    let steps = planner.saga.steps.iter().zip(&planner.status.steps);
    let named = steps
        .filter(|(step, status)| rules::is_named(phase, status, is_in_effect(step, status)))
        .map(|(step, _)| step.name.clone());
    match phase {
        SagaPhase::Completed
        | SagaPhase::Compensated
        | SagaPhase::CompensationFailed
        | SagaPhase::Cancelled => Some(named.collect()),
        SagaPhase::Pending
        | SagaPhase::Running
        | SagaPhase::Paused
        | SagaPhase::Failed
        | SagaPhase::Compensating => None,
    }
}

fn progress(planner: &Planner<'_>, phase: SagaPhase) -> String {
    let undone_before = || planner.status.steps.iter().any(|status| status.phase.is_backward());
    let (done, all) = match phase {
        SagaPhase::Cancelled if !undone_before() => (
            planner.steps_where(|_, status| status.phase.is_done()).len(),
            planner.saga.steps.len(),
        ),
        SagaPhase::Compensating
        | SagaPhase::Compensated
        | SagaPhase::CompensationFailed
        | SagaPhase::Cancelled => {
            let set =
                undo_set(planner).and(planner.steps_where(|step, _| step.compensation.is_some()));
            let undone =
                |phase| matches!(phase, StepPhase::Compensated | StepPhase::CompensationSkipped);
            (set.and(planner.steps_where(|_, status| undone(status.phase))).len(), set.len())
        }
        SagaPhase::Pending
        | SagaPhase::Running
        | SagaPhase::Paused
        | SagaPhase::Failed
        | SagaPhase::Completed => (
            planner.steps_where(|_, status| status.phase.is_done()).len(),
            planner.saga.steps.len(),
        ),
    };
    format!("{done}/{all}")
}

fn current_steps(planner: &Planner<'_>, phase: SagaPhase) -> Option<String> {
    let current = planner.status.steps.iter().filter(|status| match status.phase {
        StepPhase::Running | StepPhase::Retrying | StepPhase::Waiting | StepPhase::Compensating => {
            true
        }
        StepPhase::Failed => phase == SagaPhase::Failed,
        StepPhase::CompensationFailed => phase == SagaPhase::CompensationFailed,
        StepPhase::Pending
        | StepPhase::Completed
        | StepPhase::Skipped
        | StepPhase::Compensated
        | StepPhase::CompensationSkipped => false,
    });
    let names = list(current.map(|status| status.name.as_str()));
    (!names.is_empty()).then_some(names)
}

fn retries(status: &SagaStatus) -> i64 {
    let records = status.steps.iter().flat_map(|step| [&step.action, &step.compensation]).flatten();
    records.map(|record| record.attempt.saturating_sub(1).max(0)).fold(0, i64::saturating_add)
}
