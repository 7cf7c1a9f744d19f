//! Steps with an attempt whose outcome is uncertain.
//!
//! # Guarantees
//! The message of a step names the command that settles it (the hint) only while the step failed
//! permanently. A message is composed from parts without the hint, so the hint stands in it once
//! and is never taken off: the record of an attempt holds the message of the attempt alone.

use crate::api::{Direction, Outcome, RequestAction, StepStatus};

/// Returns the current direction of a step.
pub(in crate::engine) const fn direction_of(status: &StepStatus) -> Direction {
    if status.phase.is_backward() { Direction::Compensation } else { Direction::Action }
}

/// Returns whether the step is uncertain in `direction`: nobody can tell whether one of its
/// attempts acted.
pub(in crate::engine) fn is_uncertain(status: &StepStatus, direction: Direction) -> bool {
    status.direction(direction).is_some_and(|record| record.uncertain)
}

/// Returns the message of a step that fails permanently. If the step is uncertain, the command by
/// which a user settles it is appended.
pub(in crate::engine) fn with_hint(
    message: &str,
    status: &StepStatus,
    direction: Direction,
) -> String {
    if !is_uncertain(status, direction) {
        return message.to_owned();
    }
    let (settle, step) = (RequestAction::Settle.annotation(), &status.name);
    format!(
        "{message}; it may have acted: if you know, annotate {settle}={step}=Failed or \
         {settle}={step}=Succeeded"
    )
}

/// Returns the message about a settled attempt: `attempt 2 failed: …`.
pub(in crate::engine) fn attempt_message(number: i64, outcome: Outcome, message: &str) -> String {
    format!("attempt {number} {}: {message}", outcome.verb())
}

/// Returns the message about the newest settled attempt, without the hint; `None` if no attempt is
/// recorded.
pub(in crate::engine) fn newest_message(
    status: &StepStatus,
    direction: Direction,
) -> Option<String> {
    let newest = status.direction(direction)?.attempts.last()?;
    let message = newest.message.as_deref().unwrap_or_default();
    Some(attempt_message(newest.attempt, newest.outcome, message))
}
