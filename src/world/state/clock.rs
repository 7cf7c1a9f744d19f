//! The wall clocks of the replicas.

use jiff::{SignedDuration, Timestamp};

use super::attempt::AttemptRef;

/// The wall clock of the machine on which a replica runs.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::world) struct Clock {
    /// How far the clock is ahead of the simulated time. The value is negative if it is behind.
    pub(in crate::world) ahead: SignedDuration,
    /// If the clock was set after the last renewal of the Lease: when, and how far the clock was
    /// ahead before.
    pub(in crate::world) set: Option<(Timestamp, SignedDuration)>,
}

/// When an intent was really decided, if the clock that dated the intent may be wrong.
#[derive(Clone, Copy, Debug)]
pub(in crate::world) struct Dated {
    pub(in crate::world) attempt: AttemptRef,
    pub(in crate::world) at: Timestamp,
}
