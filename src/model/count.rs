//! As what a saga is counted among all sagas that there are: two words of this program.

use crate::api::{SagaPhase, SagaStatus, StoredSaga};

/// The reasons of the condition `Ready` that are no phases.
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

/// The phase, and the reason of the condition `Ready`. `Pending` where there is no phase yet,
/// `Unknown` where the status cannot be read; no reason where there is none, `Other` where it is no
/// word of this operator.
#[must_use]
pub fn counted_as(saga: &StoredSaga) -> (&'static str, &'static str) {
    match &saga.status {
        Ok(status) => (status.phase.unwrap_or(SagaPhase::Pending).as_str(), ready_reason(status)),
        Err(_) => ("Unknown", ready_reason(&saga.remains)),
    }
}

fn ready_reason(status: &SagaStatus) -> &'static str {
    let Some(ready) = status.conditions.iter().find(|condition| condition.type_ == "Ready") else {
        return "";
    };
    let words = SagaPhase::ALL.map(SagaPhase::as_str).into_iter().chain(REASONS);
    words.into_iter().find(|word| *word == ready.reason).unwrap_or("Other")
}
