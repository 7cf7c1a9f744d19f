//! From the standing of a saga to what a person reads: phase, message, progress, conditions,
//! events.
//!
//! # Guarantees
//! A function of the status alone (and of the present generation), so that a pass that changes
//! nothing writes nothing.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, Time};

use super::{
    budget,
    message::{failures, message},
    pass::{Pass, Standing},
    plan::undo_set,
    undo::is_in_effect,
    versions::too_old,
};
use crate::{
    api::{RELEASE, SagaPhase, SagaStatus, StepPhase, StepStatus},
    fault::Fault,
    model::{
        input::Seen,
        saga::{ValidSaga, ValidStep, Work},
    },
    mutants::{Twin, broken},
    text::{all_that_fit, clip, join, list},
    validate::warnings::warnings,
};

/// The most characters of a saga's message.
const MESSAGE: usize = 1500;
/// The most characters of the condition that tells all faults: a quarter of what a condition may
/// hold.
const ALL_FAULTS: usize = 8192;
/// How many warnings are told at acceptance.
const SHOWN_WARNINGS: usize = 3;

/// The reason of a saga that was refused before its first step.
pub(super) const REFUSED: &str = "Refused";
/// The reason of a saga that waits for a newer definition before its first step.
const TOO_OLD: &str = "DefinitionTooOld";

/// Why a saga cannot go on before a person mended it.
pub(super) enum Hold {
    /// The spec is not valid.
    Spec(Vec<Fault>),
    /// A trial before the first step found what cannot work.
    Refused(Vec<Fault>),
    /// The spec holds fields or words that this version does not know.
    UnknownField(Vec<String>),
    /// The definition that is served would lose what has to be recorded: these fields, and words.
    DefinitionTooOld(Vec<String>),
    /// What was pinned at acceptance has changed.
    SpecChanged,
    /// The status cannot be read or contradicts itself.
    Status(Vec<String>),
}

impl Hold {
    /// Whether it is the reason of a hold.
    pub(super) fn is_reason(reason: &str) -> bool {
        let (spec, refused, status) =
            (Self::Spec(Vec::new()), Self::Refused(Vec::new()), Self::Status(Vec::new()));
        let (unknown, too_old) =
            (Self::UnknownField(Vec::new()), Self::DefinitionTooOld(Vec::new()));
        [spec, refused, unknown, too_old, Self::SpecChanged, status]
            .iter()
            .any(|hold| hold.reason() == reason)
    }

    /// Whether nothing of the saga has run, so that it can be cancelled and tried again.
    pub(super) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::DefinitionTooOld(_))
    }

    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Spec(_) => "InvalidSpec",
            Self::Refused(_) => REFUSED,
            Self::UnknownField(_) => "UnknownField",
            Self::DefinitionTooOld(_) => TOO_OLD,
            Self::SpecChanged => "SpecChanged",
            Self::Status(_) => "InvalidStatus",
        }
    }

    /// The message, with the first faults.
    fn message(&self) -> String {
        self.told(|faults| join(faults.iter().map(ToString::to_string), "; "))
    }

    /// The message, with all faults.
    fn whole_message(&self) -> String {
        self.told(|faults| all_that_fit(faults.iter().map(ToString::to_string), "; ", ALL_FAULTS))
    }

    fn told(&self, list: impl Fn(&[Fault]) -> String) -> String {
        match self {
            Self::Spec(faults) => list(faults),
            Self::Refused(faults) => format!(
                "nothing has begun, since the saga could not come to its end: {}; it is tried \
                 again every few seconds (precheck: Skip on a step leaves it out)",
                list(faults)
            ),
            Self::UnknownField(strangers) => format!(
                "{}: take it out, or bring the operator to the version that knows it; nothing \
                 starts until then",
                join(strangers.iter().cloned(), "; ")
            ),
            Self::DefinitionTooOld(lacks) => too_old(lacks),
            Self::SpecChanged => "steps, params or idempotencyPrefix are not what was accepted: \
                restore the spec, or create a new Saga; nothing starts until then"
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

/// The reason for which a saga is stalled.
pub(super) fn stalled_reason(status: &SagaStatus) -> Option<&str> {
    let stalled = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Stalled" && condition.status == "True")?;
    Some(&stalled.reason)
}

/// Whether the saga cannot go on before a person mended it.
pub(super) fn is_held(status: &SagaStatus) -> bool {
    stalled_reason(status).is_some_and(Hold::is_reason)
}

/// Whether the saga refuses every request until a person mended it. One that was refused before its
/// first step can be cancelled.
#[must_use]
pub fn cannot_be_told(status: &SagaStatus) -> bool {
    stalled_reason(status)
        .is_some_and(|reason| ![REFUSED, TOO_OLD].contains(&reason) && Hold::is_reason(reason))
}

/// Writes what a person reads.
pub(super) fn summarise(pass: &mut Pass<'_>, standing: Standing) {
    budget::fit(&mut pass.status.steps, pass.seen.versions.bytes);
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
    // Also where one end follows the other: a Completed saga of which nothing can be undone.
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

fn reason(pass: &Pass<'_>, phase: SagaPhase, still: Option<&[String]>) -> &'static str {
    let retrying = pass.status.steps.iter().any(|status| status.phase == StepPhase::Retrying);
    let approval = |(step, status): (&ValidStep, &StepStatus)| {
        status.phase == StepPhase::Waiting && matches!(step.action.work, Work::Approval(_))
    };
    let asks = pass.saga.steps.iter().zip(&pass.status.steps).any(approval);
    match phase {
        SagaPhase::Running if asks => "AwaitingApproval",
        SagaPhase::Running if retrying => "Retrying",
        SagaPhase::Failed if pass.status.timed_out_at.is_some() => "TimedOut",
        // Deleted past its pivot, on its way out.
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

/// The conditions of a phase, as kstatus and Argo CD have to read them: `Reconciling` and `Stalled`
/// only while true, never both.
fn wanted(
    phase: SagaPhase,
    paused: bool,
    ready: &'static str,
    reason: &'static str,
) -> Vec<Wanted> {
    let mut wanted = vec![Wanted::new("Accepted", "True", "Accepted")];
    let status = match phase {
        SagaPhase::Completed => "True",
        SagaPhase::Pending | SagaPhase::Running => "Unknown",
        SagaPhase::Paused
        | SagaPhase::Failed
        | SagaPhase::Compensating
        | SagaPhase::Compensated
        | SagaPhase::CompensationFailed
        | SagaPhase::Cancelled => "False",
    };
    wanted.push(Wanted::new("Ready", status, ready));
    match phase {
        SagaPhase::Pending | SagaPhase::Running => {
            wanted.push(Wanted::new("Reconciling", "True", reason));
        }
        SagaPhase::Compensating if !paused => {
            wanted.push(Wanted::new("Reconciling", "True", reason));
        }
        SagaPhase::Failed
        | SagaPhase::Compensated
        | SagaPhase::CompensationFailed
        | SagaPhase::Cancelled => {
            wanted.push(Wanted::new("Stalled", "True", reason));
        }
        SagaPhase::Paused | SagaPhase::Compensating | SagaPhase::Completed => {}
    }
    wanted
}

/// Steps that did, or may have done, something that is not undone; only in an ended saga and in one
/// that could not be undone.
fn still_in_effect(pass: &Pass<'_>, phase: SagaPhase) -> Option<Vec<String>> {
    let names = |filter: &dyn Fn(&ValidStep, &StepStatus) -> bool| {
        let steps = pass.saga.steps.iter().zip(&pass.status.steps);
        steps
            .filter(|(step, status)| filter(step, status))
            .map(|(step, _)| step.name.clone())
            .collect()
    };
    match phase {
        // What a person skipped is done for; only that it may have happened has to be told.
        SagaPhase::Completed => Some(names(&|_, status| {
            status.phase == StepPhase::Skipped
                && status.action.as_ref().is_some_and(|action| action.uncertain)
        })),
        SagaPhase::Compensated | SagaPhase::CompensationFailed | SagaPhase::Cancelled => {
            Some(names(&|step, status| is_in_effect(step, status) && !broken(Twin::StillInEffect)))
        }
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

/// What is said of a saga as it is accepted: who may ask it for something, what it is warned of,
/// and what could not be tried.
fn accepted_as(warnings: &[Fault], seen: &Seen<'_>) -> String {
    let unchecked = &seen.precheck.unchecked;
    let shown = warnings.iter().take(SHOWN_WARNINGS).map(ToString::to_string);
    let more = warnings.len().saturating_sub(SHOWN_WARNINGS);
    let parts = [
        Some("the spec is valid".into()),
        seen.patch_alone.then(|| "requests are guarded by the verb patch alone".into()),
        (!warnings.is_empty()).then(|| format!("warning: {}", join(shown, "; "))),
        (more > 0).then(|| format!("and {more} more of these")),
        (!unchecked.is_empty()).then(|| {
            format!("not tried before it runs: {}", join(unchecked.iter().cloned(), "; "))
        }),
    ];
    clip(&join(parts.into_iter().flatten(), "; "), MESSAGE)
}

/// What this version finds wrong with a saga that was accepted.
fn doubts(doubts: &[Fault]) -> Option<String> {
    let first = || join(doubts.iter().take(SHOWN_WARNINGS).map(ToString::to_string), "; ");
    (!doubts.is_empty()).then(|| {
        clip(
            &format!("goes on as it was accepted, although {RELEASE} would refuse it: {}", first()),
            MESSAGE,
        )
    })
}

/// What was said at acceptance, and once for each version what that one finds wrong.
fn with_doubts(said: &str, saga: Option<&ValidSaga>) -> String {
    let doubts = saga.and_then(|saga| doubts(&saga.doubts)).filter(|doubts| !said.contains(doubts));
    let Some(doubts) = doubts else { return said.to_owned() };
    let before = said.split("; goes on as it was accepted").next().unwrap_or_default();
    format!("{before}; {doubts}")
}

fn conditions(
    old: &[Condition],
    wanted: &[Wanted],
    message: &str,
    seen: &Seen<'_>,
    saga: Option<&ValidSaga>,
) -> Vec<Condition> {
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
            // What a person is warned of, and what could not be tried at acceptance, is said as
            // long as the saga lives.
            message: match unchanged {
                Some(old) if accepted => with_doubts(&old.message, saga),
                Some(_) | None if accepted => {
                    with_doubts(&accepted_as(&saga.map(warnings).unwrap_or_default(), seen), saga)
                }
                Some(_) | None => message.to_owned(),
            },
            observed_generation: Some(seen.generation),
            last_transition_time: unchanged
                .map_or(Time(now), |old| old.last_transition_time.clone()),
        }
    };
    wanted.iter().map(make).collect()
}
