//! Bounds that more than one room keeps.

/// The most bytes of all steps' outputs together.
pub(crate) const MAX_ALL_OUTPUTS: usize = 32 * 1024;

/// The longest message that is kept of an attempt, in characters.
pub(crate) const KEPT_MESSAGE: usize = 400;

/// Requests under way at once to one host and port for one namespace.
pub const MAX_CALLS_PER_HOST: usize = 32;
