//! The wall clock. This file is the only place that reads it.

use jiff::Timestamp;

use crate::clock;

/// Returns the time of the wall clock, in microseconds, because a status holds no finer time.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place where the wall clock is read")]
pub fn now() -> Timestamp {
    clock::to_micros(Timestamp::now())
}
