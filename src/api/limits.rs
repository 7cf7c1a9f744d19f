//! Bounds that more than one room checks.

/// The most bytes of all steps' outputs together.
pub(crate) const MAX_ALL_OUTPUTS: usize = 32 * 1024;

/// The longest message that is kept of an attempt, in characters.
pub(crate) const KEPT_MESSAGE: usize = 400;

/// The most HTTP requests in progress at the same time to one host and port for one namespace.
pub const MAX_CALLS_PER_HOST: usize = 32;
