//! The fences between a decision and its effects, as functions of values. They decide whether an
//! effect may be performed without another read, whether a child may be created if its creation may
//! have been tried before, and whether a copy is new enough for a decision.
//!
//! # Guarantees
//! All fences fail closed: if a fact is unknown, a live read is required.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::rules;
pub(crate) use super::rules::{CREATED_WITHIN, FRESH, is_fresh, is_past_creation};
use crate::{clock::later, model::skew::Skew};

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
        let (ahead, back) = rules::set_by(unset, shown);
        self.skew.moved(ahead, back)
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
        refused || rules::is_created_in_time(self.intended, self.known)
    }

    /// Repeats `may_create` when the creation is performed. A replica may be frozen after
    /// it decided. The status that it then writes makes the effect fresh, but the attempt no
    /// younger.
    #[must_use]
    pub fn may_leave(self, refused: bool) -> bool {
        refused || rules::is_performed_in_time(self.intended, self.known)
    }
}

/// How a copy compares with the newest known version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionOrder {
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
pub fn freshness(known: Option<&str>, copy: &str) -> VersionOrder {
    let Some(known) = rules::newer_than_copy(known, copy) else { return VersionOrder::Fresh };
    match (copy.parse::<u128>(), known.parse::<u128>()) {
        (Ok(copy), Ok(known)) if copy > known => VersionOrder::Fresh,
        (Ok(_), Ok(_)) => VersionOrder::Older,
        (Err(_), _) | (_, Err(_)) => VersionOrder::Incomparable,
    }
}

#[cfg(test)]
mod tests;
