//! Arithmetic on instants that cannot overflow or go backwards.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// `instant + delay`, at most the last instant there is.
#[must_use]
pub fn later(instant: Timestamp, delay: Duration) -> Timestamp {
    SignedDuration::try_from(delay)
        .ok()
        .and_then(|delay| instant.checked_add(delay).ok())
        .unwrap_or(Timestamp::MAX)
}

/// `until - from`, or zero where `until` is the earlier one.
#[must_use]
pub fn between(from: Timestamp, until: Timestamp) -> Duration {
    Duration::try_from(until.duration_since(from)).unwrap_or_default()
}

/// The instant without what a stored instant cannot hold, so that what was written compares equal
/// to what is read back.
#[must_use]
pub fn to_micros(instant: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(instant.as_microsecond()).unwrap_or(instant)
}
