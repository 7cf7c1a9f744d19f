//! The reasons in conditions, in events and in the statuses of steps.

/// The reason of a saga that was refused before its first step.
pub(crate) const REFUSED: &str = "Refused";

/// The reason of a step that waits because the breaker of its host admits no more HTTP requests.
pub const CIRCUIT_OPEN: &str = "CircuitOpen";
