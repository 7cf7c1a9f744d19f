//! The labels under which metrics count a saga: two fixed words of this program.

use crate::api::{SagaPhase, SagaStatus, StoredSaga};

/// The reasons of the condition `Ready` that are not phases.
const REASONS: [&str; 13] = [
    "AwaitingApproval",
    "CompensatedExcept",
    "DefinitionTooOld",
    "InvalidSpec",
    "InvalidStatus",
    "PivotPassed",
    "Refused",
    "Retrying",
    "SpecChanged",
    "StepFailed",
    "TimedOut",
    "UnknownField",
    "Other",
];

/// Returns the phase and the reason of the condition `Ready`.
///
/// The phase is `Pending` if the saga has none yet, and `Unknown` if the status cannot be read. The
/// reason is empty if there is none, and `Other` if this operator does not know it.
#[must_use]
pub fn counted_as(saga: &StoredSaga) -> (&'static str, &'static str) {
    match &saga.status {
        Ok(status) => (status.phase.unwrap_or(SagaPhase::Pending).as_str(), ready_reason(status)),
        Err(_) => ("Unknown", ready_reason(&saga.salvaged)),
    }
}

fn ready_reason(status: &SagaStatus) -> &'static str {
    let Some(ready) = status.conditions.iter().find(|condition| condition.type_ == "Ready") else {
        return "";
    };
    let words = SagaPhase::ALL.map(SagaPhase::as_str).into_iter().chain(REASONS);
    words.into_iter().find(|word| *word == ready.reason).unwrap_or("Other")
}
