//! The wall clocks of operators.

use super::world::Who;
use jiff::SignedDuration;
use jiff::Timestamp;

/// The wall clock of the machine that an operator runs on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    /// By how much it is ahead of the time of the world; negative where it is behind.
    pub(crate) ahead: SignedDuration,
    /// Since when it is set otherwise than at the last renewal of the Lease, and by how much it was
    /// ahead then.
    pub(crate) set: Option<(Timestamp, SignedDuration)>,
}

/// When an intent was really decided that a clock dated which is wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dated {
    pub(crate) who: Who,
    pub(crate) at: Timestamp,
}
