//! The rule on the age of an intent. The rule has the name of the mutant that breaks it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Rule "clock skew": an intent counts as old as it may be. Returns the earliest instant, by this
/// process's clock, at which the intent may have been written. `started_at`: the instant in the
/// intent, by the clock of its writer. `apart`: how far the two clocks may be apart.
pub(in crate::model) fn earliest(started_at: Timestamp, apart: Duration) -> Timestamp {
    SignedDuration::try_from(apart)
        .ok()
        .and_then(|apart| started_at.checked_sub(apart).ok())
        .unwrap_or(Timestamp::MIN)
}
