//! The fences between a decision and its effects, as verdicts on values: may an effect leave
//! without another look, may a child be created whose creation may have been tried before, and is a
//! copy new enough to decide from.
//!
//! # Guarantees
//! All fail closed: what cannot be told asks for a live read.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::{
    clock::{between, later},
    model::skew::Skew,
    mutants::{Twin, broken},
};

/// How long after its acknowledged write was sent an effect may leave without a live read.
pub const FRESH: Duration = Duration::from_secs(2);

/// After this long nobody creates a child whose first creation may have been answered to nobody.
pub const CREATED_WITHIN: Duration = Duration::from_secs(30);

/// Whether an effect may leave without a live read, so long after the acknowledged write that names
/// it was sent; `None` where no such write was made. Else the saga is read live, and the effect is
/// dropped unless its attempt is still the active one.
#[must_use]
pub fn leaves_unread(since_written: Option<Duration>) -> bool {
    broken(Twin::TwoSeconds) || since_written.is_some_and(|since| since < FRESH)
}

/// What this process's clocks showed when it compared them with that of the API server.
///
/// The wall clock may be set at any time, and the next comparison is a renewal away: the monotonic
/// clock tells by how much it was set since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    skew: Skew,
    shown: Timestamp,
    at: Instant,
}

impl Comparison {
    /// From a write that left when the wall clock and the monotonic clock showed `sent`, that was
    /// answered at `answered` by the monotonic one, and that the API server stamped with whole
    /// seconds.
    #[must_use]
    pub fn of((shown, at): (Timestamp, Instant), stamped: Timestamp, answered: Instant) -> Self {
        // As the clock would have shown it that was not set meanwhile.
        let answer_shown = later(shown, answered.saturating_duration_since(at));
        Self { skew: Skew::of(shown, stamped, answer_shown), shown, at }
    }

    /// How far the wall clock may be from that of the API server, now that the two clocks show
    /// this.
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

/// How old an attempt is to whoever would create its child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// Since the earliest instant at which its intent may have been written, by this process's
    /// clock: see [`Skew::intended`].
    pub intended: Duration,
    /// Since this process first read the intent, by its monotonic clock.
    pub known: Duration,
}

impl Age {
    /// The same so much later by this process's monotonic clock. What its wall clock says meanwhile
    /// does not count: it may be set back.
    #[must_use]
    pub const fn later(self, passed: Duration) -> Self {
        Self {
            intended: self.intended.saturating_add(passed),
            known: self.known.saturating_add(passed),
        }
    }

    /// Whether its child may be created although nobody can tell whether it was created before.
    /// `refused`: this process is certain that it was not, since its own creation was definitely
    /// refused.
    #[must_use]
    pub fn may_create(self, refused: bool) -> bool {
        refused || self.intended.max(self.known) < CREATED_WITHIN || broken(Twin::CreateLate)
    }

    /// The same, asked once more when the creation leaves: an operator may stand still after it
    /// decided, and a status that it writes then makes the effect fresh, but the attempt no
    /// younger.
    #[must_use]
    pub fn may_leave(self, refused: bool) -> bool {
        self.may_create(refused) || broken(Twin::LeavesLate)
    }
}

/// Whether no operator creates the child of an attempt any more, whatever its clock shows: only
/// then is a child that is not there known not to come. `at_least`: since the latest instant at
/// which its intent may have been written, by this process's clock: see [`Skew::intended_by`].
/// `known`: since this process first read it, by its monotonic clock.
#[must_use]
pub fn is_past_creation(at_least: Duration, known: Duration) -> bool {
    at_least.max(known) >= CREATED_WITHIN || broken(Twin::UnknownEarly)
}

/// How a copy compares with the newest version that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It is that version, or newer.
    Fresh,
    /// It is older.
    Older,
    /// Nobody can tell.
    Incomparable,
}

/// Judges a copy by its resourceVersion against the newest one that this process wrote or decided
/// from. Kubernetes' own are decimal numbers that grow (KEP-5504).
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
