//! The reasons in conditions and events.

/// The reason of a saga that was refused before its first step.
pub(crate) const REFUSED: &str = "Refused";
