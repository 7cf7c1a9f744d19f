//! From the standing of a saga to what a person reads: phase, message, progress, conditions, events.
//!
//! # Guarantees
//! A function of the status alone (and of the present generation), so that a pass that changes nothing writes nothing.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, Time};

use super::{
    Seen, budget,
    pass::{Pass, Standing, is_active, past_pivot},
    plan::undo_set,
    saga::{Operation, ValidStep},
    settle::clip,
    undo::in_undo_set,
    valid::Fault,
};
use crate::api::{Direction, SagaPhase, SagaStatus, StepPhase, StepStatus};

/// The most characters of a saga's message.
const MESSAGE: usize = 1500;
/// The most steps that are spelled out in one line.
const NAMED: usize = 5;

/// Why a saga cannot go on before a person mended it.
pub(super) enum Hold {
    /// The spec is not valid.
    Spec(Vec<Fault>),
    /// What was pinned at acceptance has changed.
    SpecChanged,
    /// The status cannot be read or contradicts itself.
    Status(Vec<String>),
}

impl Hold {
    /// Whether it is the reason of a hold.
    pub(super) fn is_reason(reason: &str) -> bool {
        [Self::Spec(Vec::new()), Self::SpecChanged, Self::Status(Vec::new())].iter().any(|hold| hold.reason() == reason)
    }

    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Spec(_) => "InvalidSpec",
            Self::SpecChanged => "SpecChanged",
            Self::Status(_) => "InvalidStatus",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Spec(faults) => join(faults.iter().map(ToString::to_string), "; "),
            Self::SpecChanged => "steps, params or idempotencyPrefix are not what was accepted: restore the spec, or create a new Saga; \
                 nothing starts until then"
                .into(),
            Self::Status(sentences) => format!(
                "the stored status cannot be acted on, restore it: {}; nothing starts until then",
                join(sentences.iter().cloned(), "; ")
            ),
        }
    }
}

/// The status of a saga that is held: nothing of it changes but what says so.
pub(super) fn held(status: &SagaStatus, hold: &Hold, seen: &Seen<'_>) -> SagaStatus {
    let mut new = status.clone();
    let message = clip(&hold.message(), MESSAGE);
    let accepted = status.spec_hash.is_some();
    let mut wanted = vec![Wanted::new("Ready", "False", hold.reason()), Wanted::new("Stalled", "True", hold.reason())];
    wanted.insert(0, if accepted { Wanted::new("Accepted", "True", "Accepted") } else { Wanted::new("Accepted", "False", hold.reason()) });
    new.phase.get_or_insert(SagaPhase::Pending);
    new.observed_generation = Some(seen.generation);
    new.conditions = conditions(&status.conditions, &wanted, &message, seen);
    new.message = Some(message);
    new
}

/// The reason for which a saga is stalled.
pub(super) fn stalled_reason(status: &SagaStatus) -> Option<&str> {
    let stalled = status.conditions.iter().find(|condition| condition.type_ == "Stalled" && condition.status == "True")?;
    Some(&stalled.reason)
}

/// Writes what a person reads.
pub(super) fn summarise(pass: &mut Pass<'_>, standing: Standing) {
    budget::fit(&mut pass.status.steps);
    let suspended = pass.saga.suspend && !pass.seen.deleting;
    let phase = match standing {
        Standing::Forward | Standing::Settling if suspended => SagaPhase::Paused,
        Standing::Forward | Standing::Settling => SagaPhase::Running,
        Standing::Held { .. } => SagaPhase::Failed,
        Standing::Undoing => SagaPhase::Compensating,
        Standing::UndoFailed => SagaPhase::CompensationFailed,
        Standing::Undone => SagaPhase::Compensated,
        Standing::Done => SagaPhase::Completed,
    };
    let entered = pass.status.phase != Some(phase);
    let still = still_in_effect(pass, phase);
    let reason = reason(pass, phase, still.as_deref());
    let message = clip(&message(pass, standing, suspended, still.as_deref()), MESSAGE);
    if entered && phase != SagaPhase::Running {
        let warning = matches!(phase, SagaPhase::Failed | SagaPhase::CompensationFailed) || reason == "CompensatedExcept";
        let reason = if phase == SagaPhase::Failed { phase.as_str() } else { reason };
        pass.publish(warning, reason, message.clone());
    }
    let ready = if suspended && !phase.is_terminal() { "Paused" } else { reason };
    let wanted = wanted(phase, suspended, ready, reason);
    let conditions = conditions(&pass.status.conditions, &wanted, &message, pass.seen);
    let (progress, current, retries) = (progress(pass, phase), current_steps(pass, phase), retries(&pass.status));
    let status = &mut pass.status;
    if phase.is_terminal() {
        status.completed_at.get_or_insert(MicroTime(pass.seen.now));
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

fn reason(pass: &Pass<'_>, phase: SagaPhase, still: Option<&[String]>) -> &'static str {
    let retrying = pass.status.steps.iter().any(|status| status.phase == StepPhase::Retrying);
    match phase {
        SagaPhase::Running if retrying => "Retrying",
        // Deleted past its pivot, on its way out.
        SagaPhase::Failed if failures(pass, StepPhase::Failed).is_empty() => "PivotPassed",
        SagaPhase::Failed => "StepFailed",
        SagaPhase::Compensated if still.is_some_and(|still| !still.is_empty()) => "CompensatedExcept",
        SagaPhase::Pending
        | SagaPhase::Running
        | SagaPhase::Paused
        | SagaPhase::Compensating
        | SagaPhase::Compensated
        | SagaPhase::CompensationFailed
        | SagaPhase::Completed => phase.as_str(),
    }
}

/// The conditions of a phase, as kstatus and Argo CD have to read them: `Reconciling` and `Stalled` only while true, never both.
fn wanted(phase: SagaPhase, suspended: bool, ready: &'static str, reason: &'static str) -> Vec<Wanted> {
    let mut wanted = vec![Wanted::new("Accepted", "True", "Accepted")];
    let status = match phase {
        SagaPhase::Completed => "True",
        SagaPhase::Pending | SagaPhase::Running => "Unknown",
        SagaPhase::Paused | SagaPhase::Failed | SagaPhase::Compensating | SagaPhase::Compensated | SagaPhase::CompensationFailed => "False",
    };
    wanted.push(Wanted::new("Ready", status, ready));
    match phase {
        SagaPhase::Pending | SagaPhase::Running => wanted.push(Wanted::new("Reconciling", "True", reason)),
        SagaPhase::Compensating if !suspended => wanted.push(Wanted::new("Reconciling", "True", reason)),
        SagaPhase::Failed | SagaPhase::Compensated | SagaPhase::CompensationFailed => wanted.push(Wanted::new("Stalled", "True", reason)),
        SagaPhase::Paused | SagaPhase::Compensating | SagaPhase::Completed => {}
    }
    wanted
}

/// Steps that did, or may have done, something that is not undone; only in an ended saga and in one that could not be undone.
fn still_in_effect(pass: &Pass<'_>, phase: SagaPhase) -> Option<Vec<String>> {
    let names = |filter: &dyn Fn(&ValidStep, &StepStatus) -> bool| {
        let steps = pass.saga.steps.iter().zip(&pass.status.steps);
        steps.filter(|(step, status)| filter(step, status)).map(|(step, _)| step.name.clone()).collect()
    };
    match phase {
        SagaPhase::Completed => Some(Vec::new()),
        SagaPhase::Compensated | SagaPhase::CompensationFailed => {
            Some(names(&|step, status| in_undo_set(step, status) && status.phase != StepPhase::Compensated))
        }
        SagaPhase::Pending | SagaPhase::Running | SagaPhase::Paused | SagaPhase::Failed | SagaPhase::Compensating => None,
    }
}

fn message(pass: &Pass<'_>, standing: Standing, suspended: bool, still: Option<&[String]>) -> String {
    let still = still.map(|still| list(still.iter().map(String::as_str))).unwrap_or_default();
    let failed = || failures(pass, StepPhase::Failed);
    let paused = if suspended { "suspended: nothing new starts until spec.suspend is false" } else { "" };
    match standing {
        // Only a process that is about to end leaves it at that. One that still has something to say writes nothing for this.
        Standing::Forward if !suspended && activity(pass).is_empty() => "the operator is restarting: the next step starts then".into(),
        Standing::Forward => sentences(&[paused.into(), activity(pass)]),
        Standing::Settling if pass.seen.deleting => {
            sentences(&["deleted: what is active settles, then all is undone".into(), activity(pass)])
        }
        Standing::Settling => sentences(&[failed(), "what is active settles first".into(), activity(pass)]),
        Standing::Held { past_pivot: true } => {
            let why = Some(failed()).filter(|failed| !failed.is_empty()).unwrap_or_else(|| "the saga was deleted".into());
            format!("{why}. Nothing is undone, because the pivot {} is passed", pivots(pass))
        }
        Standing::Held { past_pivot: false } => {
            format!("{}. The saga waits: set spec.onFailure to Compensate, or delete the saga, to undo what was done", failed())
        }
        Standing::Undoing => sentences(&[paused.into(), because(pass), activity(pass)]),
        Standing::UndoFailed => format!(
            "{}. Still in effect: {still}. Nothing more can be undone; to let the saga go as it is, set spec.deletionPolicy to Abandon and \
             delete it",
            failures(pass, StepPhase::CompensationFailed)
        ),
        Standing::Undone if still.is_empty() => sentences(&[because(pass), "everything that was done is undone".into()]),
        Standing::Undone => sentences(&[because(pass), format!("undone, except {still}, which cannot be undone")]),
        Standing::Done => format!("all {} steps are done", pass.saga.steps.len()),
    }
}

/// Why a saga is undone.
fn because(pass: &Pass<'_>) -> String {
    let failed = failures(pass, StepPhase::Failed);
    if !failed.is_empty() {
        return failed;
    }
    // A failed step that is being undone is no longer in phase Failed; its last attempt still tells.
    let failed = pass.status.steps.iter().find_map(|status| {
        let action = status.action.as_ref()?;
        let last = action.attempts.last().filter(|last| last.outcome != crate::api::Outcome::Succeeded)?;
        Some(format!("step {} failed: {}", status.name, last.message.as_deref().unwrap_or("no message")))
    });
    failed.unwrap_or_else(|| "the saga was deleted".into())
}

fn failures(pass: &Pass<'_>, phase: StepPhase) -> String {
    let verb = if phase == StepPhase::Failed { "failed" } else { "could not be undone" };
    let failed = pass.status.steps.iter().filter(|status| status.phase == phase);
    join(failed.map(|status| format!("step {} {verb}: {}", status.name, status.message.as_deref().unwrap_or("no message"))), "; ")
}

fn pivots(pass: &Pass<'_>) -> String {
    let steps = pass.saga.steps.iter().zip(&pass.status.steps);
    list(steps.filter(|(step, status)| past_pivot(step, status)).map(|(step, _)| step.name.as_str()))
}

/// What is active and what is waited for, step by step.
fn activity(pass: &Pass<'_>) -> String {
    let lines = pass.saga.steps.iter().zip(&pass.status.steps).filter_map(|(step, status)| {
        let direction = match status.phase {
            StepPhase::Running | StepPhase::Retrying => Direction::Action,
            StepPhase::Compensating => Direction::Compensation,
            StepPhase::Pending | StepPhase::Completed | StepPhase::Failed | StepPhase::Compensated | StepPhase::CompensationFailed => {
                return None;
            }
        };
        Some(one_activity(step.operation(direction)?, status, direction))
    });
    join(lines, "; ")
}

fn one_activity(operation: &Operation, status: &StepStatus, direction: Direction) -> String {
    let doing = if direction == Direction::Action { "runs" } else { "is being undone" };
    let used = status.direction(direction).map_or(0, |record| record.budget_used);
    let most = operation.retry.max_attempts;
    match &status.next_attempt_at {
        Some(next) if !is_active(status) => {
            let why = status.message.as_deref().unwrap_or("it failed");
            format!("step {} waits: {why}; attempt {} of {most} begins at {}", status.name, used.saturating_add(1), instant(next.0))
        }
        Some(_) | None => format!("step {} {doing}, attempt {used} of {most}", status.name),
    }
}

fn progress(pass: &Pass<'_>, phase: SagaPhase) -> String {
    let (done, all) = match phase {
        SagaPhase::Compensating | SagaPhase::Compensated | SagaPhase::CompensationFailed => {
            let set = undo_set(pass).and(pass.steps_where(|step, _| step.compensation.is_some()));
            (set.and(pass.steps_where(|_, status| status.phase == StepPhase::Compensated)).len(), set.len())
        }
        SagaPhase::Pending | SagaPhase::Running | SagaPhase::Paused | SagaPhase::Failed | SagaPhase::Completed => {
            (pass.steps_where(|_, status| status.phase == StepPhase::Completed).len(), pass.saga.steps.len())
        }
    };
    format!("{done}/{all}")
}

fn current_steps(pass: &Pass<'_>, phase: SagaPhase) -> Option<String> {
    let current = pass.status.steps.iter().filter(|status| match status.phase {
        StepPhase::Running | StepPhase::Retrying | StepPhase::Compensating => true,
        StepPhase::Failed => phase == SagaPhase::Failed,
        StepPhase::CompensationFailed => phase == SagaPhase::CompensationFailed,
        StepPhase::Pending | StepPhase::Completed | StepPhase::Compensated => false,
    });
    let names = list(current.map(|status| status.name.as_str()));
    (!names.is_empty()).then_some(names)
}

fn retries(status: &SagaStatus) -> i64 {
    let records = status.steps.iter().flat_map(|step| [&step.action, &step.compensation]).flatten();
    records.map(|record| record.attempt.saturating_sub(1).max(0)).fold(0, i64::saturating_add)
}

/// A condition as it should be.
struct Wanted {
    kind: &'static str,
    status: &'static str,
    reason: &'static str,
}

impl Wanted {
    const fn new(kind: &'static str, status: &'static str, reason: &'static str) -> Self {
        Self { kind, status, reason }
    }
}

fn conditions(old: &[Condition], wanted: &[Wanted], message: &str, seen: &Seen<'_>) -> Vec<Condition> {
    let make = |wanted: &Wanted| {
        let Wanted { kind, status, reason } = wanted;
        let unchanged = old.iter().find(|old| old.type_ == *kind && old.status == *status);
        // Conditions carry whole seconds.
        let now = Timestamp::from_second(seen.now.as_second()).unwrap_or(seen.now);
        let accepted = *kind == "Accepted" && *status == "True";
        Condition {
            type_: (*kind).to_owned(),
            status: (*status).to_owned(),
            reason: (*reason).to_owned(),
            message: if accepted { "the spec is valid".into() } else { message.to_owned() },
            observed_generation: Some(seen.generation),
            last_transition_time: unchanged.map_or(Time(now), |old| old.last_transition_time.clone()),
        }
    };
    wanted.iter().map(make).collect()
}

fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The non-empty parts, as one line.
fn sentences(parts: &[String]) -> String {
    join(parts.iter().filter(|part| !part.is_empty()).cloned(), "; ")
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    join(names.map(str::to_owned), ",")
}

/// At most [`NAMED`] parts, and how many more there are.
fn join(parts: impl Iterator<Item = String>, between: &str) -> String {
    let mut parts: Vec<_> = parts.collect();
    let more = parts.len().saturating_sub(NAMED);
    parts.truncate(NAMED);
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    parts.join(between)
}
