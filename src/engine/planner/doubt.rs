//! Steps with an attempt whose outcome is uncertain.

use crate::api::{Direction, RequestAction, StepStatus};

/// The beginning of the hint in the message of a step that failed permanently and may have acted.
pub(in crate::engine) const HINT: &str = "; it may have acted: if you know, annotate ";

/// Returns the current direction of a step.
pub(in crate::engine) const fn direction_of(status: &StepStatus) -> Direction {
    if status.phase.is_backward() { Direction::Compensation } else { Direction::Action }
}

/// Returns whether the step is uncertain in `direction`: nobody can tell whether one of its
/// attempts acted.
pub(in crate::engine) fn is_uncertain(status: &StepStatus, direction: Direction) -> bool {
    status.direction(direction).is_some_and(|record| record.uncertain)
}

/// Returns the message. If the step is uncertain, the command by which a user settles it is
/// appended once.
pub(in crate::engine) fn with_hint(
    message: &str,
    status: &StepStatus,
    direction: Direction,
) -> String {
    if !is_uncertain(status, direction) || message.contains(HINT) {
        return message.to_owned();
    }
    let (settle, step) = (RequestAction::Settle.annotation(), &status.name);
    format!("{message}{HINT}{settle}={step}=Failed or {settle}={step}=Succeeded")
}
