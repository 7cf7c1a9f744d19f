//! The wall clocks of operators.

use jiff::{SignedDuration, Timestamp};

use super::world::Who;

/// The wall clock of the machine that an operator runs on.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::world) struct Clock {
    /// By how much it is ahead of the time of the world; negative where it is behind.
    pub(in crate::world) ahead: SignedDuration,
    /// Since when it is set otherwise than at the last renewal of the Lease, and by how much it was
    /// ahead then.
    pub(in crate::world) set: Option<(Timestamp, SignedDuration)>,
}

/// When an intent was really decided that a clock dated which is wrong.
#[derive(Clone, Copy, Debug)]
pub(in crate::world) struct Dated {
    pub(in crate::world) who: Who,
    pub(in crate::world) at: Timestamp,
}
