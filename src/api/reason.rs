//! Words by which conditions and events say why.

/// The reason of a saga that was refused before its first step.
pub(crate) const REFUSED: &str = "Refused";
