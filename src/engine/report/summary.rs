//! Turns the standing of a saga into the part of the status for users: phase, message, progress,
//! conditions and events.
//!
//! # Guarantees
//! The result is a function of the status and of the present generation alone, so a reconcile that
//! changes nothing writes nothing.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    blocked::Hold,
    conditions::{Wanted, conditions, doubts, wanted},
    message::{MESSAGE, failures, message},
    size,
};
use crate::{
    api::{SagaPhase, SagaStatus, StepPhase, StepStatus},
    engine::{
        planner::{
            state::{Pass, Standing},
            undo_set::{is_in_effect, undo_set},
        },
        rules,
    },
    model::{
        input::Seen,
        saga::{ValidStep, Work},
    },
    text::{clip, list},
};

/// Returns the status of a saga that is held. Only the fields that report the hold change.
pub(crate) fn held(status: &SagaStatus, hold: &Hold, seen: &Seen<'_>) -> SagaStatus {
    let mut new = status.clone();
    let message = clip(&hold.message(), MESSAGE);
    let accepted = status.spec_hash.is_some();
    let mut wanted = vec![
        Wanted::new("Ready", "False", hold.reason()),
        Wanted::new("Stalled", "True", hold.reason()),
    ];
    wanted.insert(
        0,
        if accepted {
            Wanted::new("Accepted", "True", "Accepted")
        } else {
            Wanted::new("Accepted", "False", hold.reason())
        },
    );
    new.phase.get_or_insert(SagaPhase::Pending);
    new.observed_generation = Some(seen.generation);
    new.conditions = conditions(&status.conditions, &wanted, &message, seen, None);
    for refused in new
        .conditions
        .iter_mut()
        .filter(|condition| condition.type_ == "Accepted" && condition.status == "False")
    {
        refused.message = hold.whole_message();
    }
    new.message = Some(message);
    new
}

/// Writes the part of the status for users.
pub(crate) fn summarise(pass: &mut Pass<'_>, standing: Standing) {
    size::fit(&mut pass.status.steps, pass.seen.versions.bytes);
    let paused = pass.is_paused();
    let phase = match standing {
        Standing::Forward | Standing::Settling | Standing::Cancelling { undoing: false }
            if paused =>
        {
            SagaPhase::Paused
        }
        Standing::Forward | Standing::Settling | Standing::Cancelling { undoing: false } => {
            SagaPhase::Running
        }
        Standing::Cancelled => SagaPhase::Cancelled,
        Standing::Held { .. } => SagaPhase::Failed,
        Standing::Undoing | Standing::Cancelling { undoing: true } => SagaPhase::Compensating,
        Standing::UndoFailed => SagaPhase::CompensationFailed,
        Standing::Undone => SagaPhase::Compensated,
        Standing::Done => SagaPhase::Completed,
    };
    let entered = pass.status.phase != Some(phase);
    let still = still_in_effect(pass, phase);
    let reason = reason(pass, phase, still.as_deref());
    let message = clip(&message(pass, standing, still.as_deref()), MESSAGE);
    if entered && phase != SagaPhase::Running {
        let left =
            phase == SagaPhase::Cancelled && still.as_ref().is_some_and(|still| !still.is_empty());
        let warning = left
            || matches!(phase, SagaPhase::Failed | SagaPhase::CompensationFailed)
            || reason == "CompensatedExcept";
        let reason = if phase == SagaPhase::Failed { phase.as_str() } else { reason };
        pass.publish(warning, reason, message.clone());
    }
    let ready = if paused && !phase.is_terminal() { "Paused" } else { reason };
    let wanted = wanted(phase, paused, ready, reason);
    let conditions =
        conditions(&pass.status.conditions, &wanted, &message, pass.seen, Some(pass.saga));
    if let Some(doubts) = doubts(&pass.saga.doubts)
        .filter(|doubts| !pass.status.conditions.iter().any(|old| old.message.contains(doubts)))
    {
        pass.publish(true, "SpecDoubted", doubts);
    }
    let (progress, current, retries) =
        (progress(pass, phase), current_steps(pass, phase), retries(&pass.status));
    let status = &mut pass.status;
    // This also applies if one end follows another: a Completed saga of which nothing can be
    // undone.
    if entered || !phase.is_terminal() {
        status.completed_at = phase.is_terminal().then_some(MicroTime(pass.seen.now));
    }
    if phase.is_terminal() {
        status.paused = None;
    }
    status.observed_generation = Some(pass.seen.generation);
    status.phase = Some(phase);
    status.progress = Some(progress);
    status.current_steps = current;
    status.retries = Some(retries);
    status.still_in_effect = still;
    status.conditions = conditions;
    status.message = Some(message);
}

pub(crate) fn reason(pass: &Pass<'_>, phase: SagaPhase, still: Option<&[String]>) -> &'static str {
    let retrying = pass.status.steps.iter().any(|status| status.phase == StepPhase::Retrying);
    let approval = |(step, status): (&ValidStep, &StepStatus)| {
        status.phase == StepPhase::Waiting && matches!(step.action.work, Work::Approval(_))
    };
    let asks = pass.saga.steps.iter().zip(&pass.status.steps).any(approval);
    match phase {
        SagaPhase::Running if asks => "AwaitingApproval",
        SagaPhase::Running if retrying => "Retrying",
        SagaPhase::Failed if pass.status.timed_out_at.is_some() => "TimedOut",
        // The saga was deleted after its pivot and is about to be released.
        SagaPhase::Failed if failures(pass, StepPhase::Failed).is_empty() => "PivotPassed",
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
fn still_in_effect(pass: &Pass<'_>, phase: SagaPhase) -> Option<Vec<String>> {
    let steps = pass.saga.steps.iter().zip(&pass.status.steps);
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

fn progress(pass: &Pass<'_>, phase: SagaPhase) -> String {
    let undone_before = || pass.status.steps.iter().any(|status| status.phase.is_backward());
    let (done, all) = match phase {
        SagaPhase::Cancelled if !undone_before() => {
            (pass.steps_where(|_, status| status.phase.is_done()).len(), pass.saga.steps.len())
        }
        SagaPhase::Compensating
        | SagaPhase::Compensated
        | SagaPhase::CompensationFailed
        | SagaPhase::Cancelled => {
            let set = undo_set(pass).and(pass.steps_where(|step, _| step.compensation.is_some()));
            let undone =
                |phase| matches!(phase, StepPhase::Compensated | StepPhase::CompensationSkipped);
            (set.and(pass.steps_where(|_, status| undone(status.phase))).len(), set.len())
        }
        SagaPhase::Pending
        | SagaPhase::Running
        | SagaPhase::Paused
        | SagaPhase::Failed
        | SagaPhase::Completed => {
            (pass.steps_where(|_, status| status.phase.is_done()).len(), pass.saga.steps.len())
        }
    };
    format!("{done}/{all}")
}

fn current_steps(pass: &Pass<'_>, phase: SagaPhase) -> Option<String> {
    let current = pass.status.steps.iter().filter(|status| match status.phase {
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
