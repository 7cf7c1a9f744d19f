//! The wall clock, read in one place.

use jiff::Timestamp;

use crate::clock;

/// The wall clock, to the microsecond that a status can hold.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place where the wall clock is read")]
pub fn now() -> Timestamp {
    clock::to_micros(Timestamp::now())
}
