//! Functions that read the status of a saga.

use kube::ResourceExt;
use saga_operator::api::{Direction, Outcome, RequestRecord, Saga, StepStatus};

/// Returns the status of a step.
pub fn step<'a>(saga: &'a Saga, name: &str) -> &'a StepStatus {
    step_of(saga, name).unwrap()
}

pub(super) fn step_of<'a>(saga: &'a Saga, name: &str) -> Option<&'a StepStatus> {
    saga.status.as_ref()?.steps.iter().find(|step| step.name == name)
}

/// Returns whether the status contains the UID of the active child of the step's action.
pub fn names_its_child(saga: &Saga, name: &str) -> bool {
    let active = step_of(saga, name).and_then(|step| step.action.as_ref()?.active.as_ref());
    active.is_some_and(|active| active.child_uid.is_some())
}

/// Returns the outcomes of the attempts of a step's action, oldest first.
pub fn outcomes(saga: &Saga, name: &str) -> Vec<Outcome> {
    let record = step(saga, name).direction(Direction::Action);
    record.into_iter().flat_map(|record| &record.attempts).map(|attempt| attempt.outcome).collect()
}

/// Returns the records of the requests of a saga, with their results.
pub fn records(saga: &Saga) -> &[RequestRecord] {
    saga.status.as_ref().map(|status| status.requests.as_slice()).unwrap_or_default()
}

/// Returns the steps that are still in effect after the end of a saga.
pub fn still_in_effect(saga: &Saga) -> Vec<&str> {
    let still = saga.status.as_ref().and_then(|status| status.still_in_effect.as_deref());
    still
        .unwrap_or_else(|| panic!("{:?} says nothing of what is in effect", saga.status))
        .iter()
        .map(String::as_str)
        .collect()
}

/// Returns the message of a saga.
pub fn message(saga: &Saga) -> &str {
    saga.status.as_ref().and_then(|status| status.message.as_deref()).unwrap_or_default()
}

/// Returns a condition as `status/reason`, or an empty text if the saga does not have the
/// condition.
pub fn condition(saga: &Saga, kind: &str) -> String {
    let found = saga
        .status
        .iter()
        .flat_map(|status| &status.conditions)
        .find(|condition| condition.type_ == kind);
    found.map(|condition| format!("{}/{}", condition.status, condition.reason)).unwrap_or_default()
}

/// Returns the scope of the idempotency keys of a saga.
pub fn scope(saga: &Saga) -> String {
    saga.spec.idempotency_prefix.clone().unwrap_or_else(|| saga.uid().unwrap())
}
