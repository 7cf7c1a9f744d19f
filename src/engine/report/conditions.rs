//! The conditions of a saga.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::message::MESSAGE;
use crate::{
    api::SagaPhase,
    fault::Fault,
    model::{input::PlanInput, saga::ValidSaga},
    text::{clip, join},
    validate::warnings::warnings,
};

/// How many warnings are reported at acceptance.
pub(in crate::engine) const SHOWN_WARNINGS: usize = 3;

/// Returns the conditions of a phase, in the form that kstatus and Argo CD read. `Reconciling` and
/// `Stalled` are present only while they are true, and never both.
pub(in crate::engine) fn wanted(
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

/// A condition as it should be.
pub(in crate::engine) struct Wanted {
    kind: &'static str,
    status: &'static str,
    reason: &'static str,
}

impl Wanted {
    pub(in crate::engine) const fn new(
        kind: &'static str,
        status: &'static str,
        reason: &'static str,
    ) -> Self {
        Self { kind, status, reason }
    }
}

/// Returns the text for the acceptance of a saga: who may make requests, what the warnings are, and
/// what could not be tried.
pub(in crate::engine) fn accepted_as(warnings: &[Fault], input: &PlanInput<'_>) -> String {
    let unchecked =
        input.surroundings.precheck.map_or(&[][..], |precheck| precheck.unchecked.as_slice());
    let shown = warnings.iter().take(SHOWN_WARNINGS).map(ToString::to_string);
    let more = warnings.len().saturating_sub(SHOWN_WARNINGS);
    let parts = [
        Some("the spec is valid".into()),
        input.requests.patch_alone.then(|| "requests are guarded by the verb patch alone".into()),
        (!warnings.is_empty()).then(|| format!("warning: {}", join(shown, "; "))),
        (more > 0).then(|| format!("and {more} more of these")),
        (!unchecked.is_empty()).then(|| {
            format!("not checked before the first step: {}", join(unchecked.iter().cloned(), "; "))
        }),
    ];
    clip(&join(parts.into_iter().flatten(), "; "), MESSAGE)
}

pub(in crate::engine) fn conditions(
    old: &[Condition],
    wanted: &[Wanted],
    message: &str,
    input: &PlanInput<'_>,
    saga: Option<&ValidSaga>,
) -> Vec<Condition> {
    let make = |wanted: &Wanted| {
        let Wanted { kind, status, reason } = wanted;
        let unchanged = old.iter().find(|old| old.type_ == *kind && old.status == *status);
        // Conditions carry whole seconds.
        let now = Timestamp::from_second(input.now.as_second()).unwrap_or(input.now);
        let accepted = *kind == "Accepted" && *status == "True";
        Condition {
            type_: (*kind).to_owned(),
            status: (*status).to_owned(),
            reason: (*reason).to_owned(),
            // The warnings and the unchecked operations of the acceptance stay in the message for
            // the life of the saga.
            message: match unchanged {
                Some(old) if accepted => old.message.clone(),
                Some(_) | None if accepted => {
                    accepted_as(&saga.map(warnings).unwrap_or_default(), input)
                }
                Some(_) | None => message.to_owned(),
            },
            observed_generation: Some(input.stored.generation),
            last_transition_time: unchanged
                .map_or(Time(now), |old| old.last_transition_time.clone()),
        }
    };
    wanted.iter().map(make).collect()
}
