//! The fences between a decision and its effects, as functions of values. They decide whether an
//! effect may be performed without another read, whether a child may be created if its creation may
//! have been tried before, and whether a copy is new enough for a decision.
//!
//! # Guarantees
//! All fences fail closed: if a fact is unknown, a live read is required.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::{
    clock::{between, later},
    model::skew::Skew,
    mutants::{Twin, broken},
};

/// How long after its acknowledged write was sent an effect may be performed without a live read.
pub const FRESH: Duration = Duration::from_secs(2);

/// How long a child may be created whose first creation may have been answered to no one. After
/// this time no replica creates the child.
pub const CREATED_WITHIN: Duration = Duration::from_secs(30);

/// Returns whether an effect may be performed without a live read. `since_written` is the time
/// since the status write that names the effect was sent; `None` if there was no such write.
/// Otherwise the saga is read live, and the effect is dropped unless its attempt is still active.
#[must_use]
pub fn leaves_unread(since_written: Option<Duration>) -> bool {
    broken(Twin::TwoSeconds) || since_written.is_some_and(|since| since < FRESH)
}

/// What this process's clocks showed when it compared them with the API server's clock.
///
/// The wall clock may be set at any time, and the next comparison waits for the next renewal. The
/// monotonic clock shows by how much the wall clock was set since the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    skew: Skew,
    shown: Timestamp,
    at: Instant,
}

impl Comparison {
    /// Creates a comparison from a write. The wall clock and the monotonic clock showed `sent` when
    /// the write was sent. The monotonic clock showed `answered` when the answer came. The API
    /// server stamped the write with whole seconds.
    #[must_use]
    pub fn of((shown, at): (Timestamp, Instant), stamped: Timestamp, answered: Instant) -> Self {
        // The reading of the wall clock if it had not been set since.
        let answer_shown = later(shown, answered.saturating_duration_since(at));
        Self { skew: Skew::of(shown, stamped, answer_shown), shown, at }
    }

    /// Returns how far the wall clock may be from the API server's clock, given what the two clocks
    /// show now.
    #[must_use]
    pub fn skew(&self, (shown, at): (Timestamp, Instant)) -> Skew {
        let unset = later(self.shown, at.saturating_duration_since(self.at));
        if broken(Twin::ClockSet) {
            self.skew
        } else {
            self.skew.moved(between(unset, shown), between(shown, unset))
        }
    }
}

/// The age of an attempt, for the creation of its child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// Since the earliest instant at which its intent may have been written, by this process's
    /// clock: see [`Skew::intended`].
    pub intended: Duration,
    /// Since this process first read the intent, by its monotonic clock.
    pub known: Duration,
}

impl Age {
    /// Returns the age after `passed` of this process's monotonic clock. The wall clock does not
    /// count, because it may be set back.
    #[must_use]
    pub const fn later(self, passed: Duration) -> Self {
        Self {
            intended: self.intended.saturating_add(passed),
            known: self.known.saturating_add(passed),
        }
    }

    /// Returns whether the child may be created if its first creation may have happened. `refused`:
    /// this process knows that the child was not created, because its own creation was definitely
    /// refused.
    #[must_use]
    pub fn may_create(self, refused: bool) -> bool {
        refused || self.intended.max(self.known) < CREATED_WITHIN || broken(Twin::CreateLate)
    }

    /// Repeats `may_create` when the creation is performed. A replica may be frozen after
    /// it decided. The status that it then writes makes the effect fresh, but the attempt no
    /// younger.
    #[must_use]
    pub fn may_leave(self, refused: bool) -> bool {
        self.may_create(refused) || broken(Twin::LeavesLate)
    }
}

/// Returns whether no replica creates the child of an attempt any more, whatever its clock shows.
/// Only then is a missing child known not to appear later. `at_least`: since the latest instant at
/// which its intent may have been written, by this process's clock: see [`Skew::intended_by`].
/// `known`: since this process first read the intent, by its monotonic clock.
#[must_use]
pub fn is_past_creation(at_least: Duration, known: Duration) -> bool {
    at_least.max(known) >= CREATED_WITHIN || broken(Twin::UnknownEarly)
}

/// How a copy compares with the newest known version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// The copy has that version, or a newer one.
    Fresh,
    /// The copy is older.
    Older,
    /// The order of the two versions is unknown.
    Incomparable,
}

/// Compares a copy by its resourceVersion with the newest one that this process wrote or used for a
/// decision. The resourceVersions of Kubernetes are decimal numbers that grow (KEP-5504).
#[must_use]
pub fn freshness(known: Option<&str>, copy: &str) -> Freshness {
    let Some(known) = known.filter(|known| *known != copy && !broken(Twin::OwnWrites)) else {
        return Freshness::Fresh;
    };
    match (copy.parse::<u128>(), known.parse::<u128>()) {
        (Ok(copy), Ok(known)) if copy > known => Freshness::Fresh,
        (Ok(_), Ok(_)) => Freshness::Older,
        (Err(_), _) | (_, Err(_)) => Freshness::Incomparable,
    }
}

#[cfg(test)]
mod tests;
