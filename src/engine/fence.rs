//! The fences between a decision and its effects, as verdicts on values: may an effect leave without another look, may a child be created
//! whose creation may have been tried before, and is a copy new enough to decide from.
//!
//! # Guarantees
//! All fail closed: what cannot be told asks for a live read.

use std::time::Duration;

use crate::twins::{Twin, broken};

/// How long after its acknowledged write was sent an effect may leave without a live read.
pub const FRESH: Duration = Duration::from_secs(2);

/// After this long nobody creates a child whose first creation may have been answered to nobody.
pub const CREATED_WITHIN: Duration = Duration::from_secs(30);

/// Whether an effect may leave without a live read, so long after the acknowledged write that names it was sent; `None` where no such
/// write was made. Else the saga is read live, and the effect is dropped unless its attempt is still the active one.
#[must_use]
pub fn leaves_unread(since_written: Option<Duration>) -> bool {
    broken(Twin::TwoSeconds) || since_written.is_some_and(|since| since < FRESH)
}

/// How old an attempt is to whoever would create its child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// Since the instant that its intent names, by this process's clock.
    pub intended: Duration,
    /// Since this process first read the intent, by its monotonic clock.
    pub known: Duration,
}

impl Age {
    /// Whether its child may be created although nobody can tell whether it was created before. `refused`: this process is certain that it
    /// was not, since its own creation was definitely refused.
    #[must_use]
    pub fn may_create(self, refused: bool) -> bool {
        refused || self.intended.max(self.known) < CREATED_WITHIN || broken(Twin::CreateLate)
    }

    /// The same, asked once more when the creation leaves: an operator may stand still after it decided, and a status that it writes then
    /// makes the effect fresh, but the attempt no younger.
    #[must_use]
    pub fn may_leave(self, refused: bool) -> bool {
        self.may_create(refused) || broken(Twin::LeavesLate)
    }
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

/// Judges a copy by its resourceVersion against the newest one that this process wrote or decided from. Kubernetes' own are decimal
/// numbers that grow (KEP-5504).
#[must_use]
pub fn freshness(known: Option<&str>, copy: &str) -> Freshness {
    let Some(known) = known.filter(|known| *known != copy && !broken(Twin::OwnWrites)) else { return Freshness::Fresh };
    match (copy.parse::<u128>(), known.parse::<u128>()) {
        (Ok(copy), Ok(known)) if copy > known => Freshness::Fresh,
        (Ok(_), Ok(_)) => Freshness::Older,
        (Err(_), _) | (_, Err(_)) => Freshness::Incomparable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_leaves_unread_for_two_seconds_and_never_without_a_write() {
        for (since, leaves) in [(Some(0), true), (Some(1_999), true), (Some(2_000), false), (None, false)] {
            assert_eq!(leaves_unread(since.map(Duration::from_millis)), leaves, "{since:?}");
        }
    }

    #[test]
    fn a_child_is_created_again_for_thirty_seconds_by_both_clocks_or_after_a_definite_refusal() {
        let may_create = |intended, known, refused| {
            Age { intended: Duration::from_millis(intended), known: Duration::from_millis(known) }.may_create(refused)
        };
        assert!(may_create(29_999, 29_999, false));
        assert!(!may_create(30_000, 0, false), "another process wrote the intent");
        assert!(!may_create(0, 30_000, false), "the clock was set back");
        assert!(may_create(30_000, 30_000, true));
    }

    #[test]
    fn a_copy_is_fresh_from_the_known_version_on() {
        assert_eq!(freshness(None, "7"), Freshness::Fresh);
        for (copy, judged) in
            [("9", Freshness::Older), ("10", Freshness::Fresh), ("11", Freshness::Fresh), ("x-11", Freshness::Incomparable)]
        {
            assert_eq!(freshness(Some("10"), copy), judged, "{copy}");
        }
    }
}
