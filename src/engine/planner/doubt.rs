//! Steps of which nobody can tell what became of their attempt.

use crate::api::{Direction, RequestAction, StepStatus};

/// What the message of a step says that failed for good and may have acted.
pub(crate) const HINT: &str = "; it may have acted: if you know, annotate ";

/// The direction in which a step goes.
pub(crate) const fn direction_of(status: &StepStatus) -> Direction {
    if status.phase.is_backward() { Direction::Compensation } else { Direction::Action }
}

/// Whether nobody can tell what became of an attempt of the step, in the direction in which it
/// goes.
pub(crate) fn is_uncertain(status: &StepStatus, direction: Direction) -> bool {
    status.direction(direction).is_some_and(|record| record.uncertain)
}

/// A message, and how a person settles the step where it is uncertain.
pub(crate) fn with_hint(message: &str, status: &StepStatus, direction: Direction) -> String {
    if !is_uncertain(status, direction) || message.contains(HINT) {
        return message.to_owned();
    }
    let (settle, step) = (RequestAction::Settle.annotation(), &status.name);
    format!("{message}{HINT}{settle}={step}=Failed or {settle}={step}=Succeeded")
}
