//! Arithmetic on instants. No result overflows, and no duration is negative.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Returns `instant + delay`, at most `Timestamp::MAX`.
#[must_use]
pub fn later(instant: Timestamp, delay: Duration) -> Timestamp {
    SignedDuration::try_from(delay)
        .ok()
        .and_then(|delay| instant.checked_add(delay).ok())
        .unwrap_or(Timestamp::MAX)
}

/// Returns `until - from`, or zero if `until` is earlier than `from`.
#[must_use]
pub fn between(from: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(from)).unwrap_or_default()
}

/// Returns the instant in whole microseconds, which is the precision of a stored instant. An
/// instant that was written then compares equal to the instant that is read back.
#[must_use]
pub fn to_micros(instant: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(instant.as_microsecond()).unwrap_or(instant)
}
