//! The fences between a decision and its effects, as verdicts on values: may an effect leave without another look, may a child be created
//! whose creation may have been tried before, and is a copy new enough to decide from.
//!
//! # Guarantees
//! All fail closed: what cannot be told asks for a live read.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::clock::{between, later};
use crate::{
    api::ActiveAttempt,
    twins::{Twin, broken},
};

/// How long after its acknowledged write was sent an effect may leave without a live read.
pub const FRESH: Duration = Duration::from_secs(2);

/// After this long nobody creates a child whose first creation may have been answered to nobody.
pub const CREATED_WITHIN: Duration = Duration::from_secs(30);

/// The most seconds that an intent tells: more than any clock is off.
const MOST_TOLD: i64 = 1 << 40;

/// Whether an effect may leave without a live read, so long after the acknowledged write that names it was sent; `None` where no such
/// write was made. Else the saga is read live, and the effect is dropped unless its attempt is still the active one.
#[must_use]
pub fn leaves_unread(since_written: Option<Duration>) -> bool {
    broken(Twin::TwoSeconds) || since_written.is_some_and(|since| since < FRESH)
}

/// What a clock may be ahead without an intent saying so.
const UNTOLD: Duration = Duration::from_secs(2);

/// How far this process's clock may be from that of the API server, as the Lease of its executor shows: the API server stamps each renewal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Skew {
    /// By how much at most it is ahead.
    pub ahead: Duration,
    /// By how much at most it is behind.
    pub behind: Duration,
}

impl Skew {
    /// From a write that left at `sent` and was answered at `answered`, both by this process's clock, and that the API server stamped with
    /// whole seconds.
    #[must_use]
    pub fn of(sent: Timestamp, stamped: Timestamp, answered: Timestamp) -> Self {
        Self { ahead: between(stamped, answered), behind: between(sent, later(stamped, Duration::from_secs(1))) }
    }

    /// The same after this process's clock was set ahead or back by so much.
    const fn moved(self, ahead: Duration, back: Duration) -> Self {
        Self {
            ahead: self.ahead.saturating_add(ahead).saturating_sub(back),
            behind: self.behind.saturating_add(back).saturating_sub(ahead),
        }
    }

    /// The same where another process's clock may be ahead by a little that its intents do not tell.
    #[must_use]
    pub fn towards_others(self) -> Self {
        Self { behind: self.behind.saturating_add(UNTOLD), ..self }
    }

    /// What an intent tells of it, in whole seconds.
    #[must_use]
    pub fn told(self) -> i64 {
        if self.ahead <= UNTOLD { 0 } else { i64::try_from(self.ahead.as_secs()).unwrap_or(MOST_TOLD).min(MOST_TOLD).saturating_add(1) }
    }

    /// The earliest instant, by this process's clock, at which an intent may have been written.
    #[must_use]
    pub fn intended(self, intent: &ActiveAttempt) -> Timestamp {
        let ahead = Duration::from_secs(u64::try_from(intent.clock_ahead_seconds).unwrap_or_default());
        let apart = if broken(Twin::Skew) { Duration::ZERO } else { ahead.saturating_add(self.behind) };
        SignedDuration::try_from(apart).ok().and_then(|apart| intent.started_at.0.checked_sub(apart).ok()).unwrap_or(Timestamp::MIN)
    }
}

/// What this process's clocks showed when it compared them with that of the API server.
///
/// The wall clock may be set at any time, and the next comparison is a renewal away: the monotonic clock tells by how much it was set since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    skew: Skew,
    shown: Timestamp,
    at: Instant,
}

impl Comparison {
    /// From a write that left when the wall clock and the monotonic clock showed `sent`, that was answered at `answered` by the monotonic one,
    /// and that the API server stamped with whole seconds.
    #[must_use]
    pub fn of((shown, at): (Timestamp, Instant), stamped: Timestamp, answered: Instant) -> Self {
        // As the clock would have shown it that was not set meanwhile.
        let answer_shown = later(shown, answered.saturating_duration_since(at));
        Self { skew: Skew::of(shown, stamped, answer_shown), shown, at }
    }

    /// How far the wall clock may be from that of the API server, now that the two clocks show this.
    #[must_use]
    pub fn skew(&self, (shown, at): (Timestamp, Instant)) -> Skew {
        let unset = later(self.shown, at.saturating_duration_since(self.at));
        if broken(Twin::ClockSet) { self.skew } else { self.skew.moved(between(unset, shown), between(shown, unset)) }
    }
}

/// How old an attempt is to whoever would create its child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// Since the earliest instant at which its intent may have been written, by this process's clock: see [`Skew::intended`].
    pub intended: Duration,
    /// Since this process first read the intent, by its monotonic clock.
    pub known: Duration,
}

impl Age {
    /// The same so much later by this process's monotonic clock. What its wall clock says meanwhile does not count: it may be set back.
    #[must_use]
    pub const fn later(self, passed: Duration) -> Self {
        Self { intended: self.intended.saturating_add(passed), known: self.known.saturating_add(passed) }
    }

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
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

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

    fn intent(started_at: Timestamp, clock_ahead_seconds: i64) -> ActiveAttempt {
        ActiveAttempt {
            started_at: MicroTime(started_at),
            executor: None,
            ends_by: None,
            clock_ahead_seconds,
            child_uid: None,
            trouble: None,
        }
    }

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_767_225_600_000 + milliseconds).unwrap()
    }

    /// A write at this instant of the API server's clock by a process whose clock is ahead by so much.
    fn seen_by(ahead: i64) -> Skew {
        // The call takes 200 ms, half of it there; the stamp has no fractions.
        Skew::of(at(ahead + 700), at(0), at(ahead + 900))
    }

    #[test]
    fn a_clock_that_is_behind_makes_no_intent_younger() {
        for behind in [0, 1_000, 25_000, 40_000, 3_600_000] {
            for writer in [-40_000, -1_000, 0, 1_000, 2_000, 25_000, 40_000] {
                let reader = seen_by(-behind).towards_others();
                let told = seen_by(writer).told();
                for age in [0, 10_000, 29_000, 30_000, 50_000, 100_000] {
                    let (started, now) = (at(writer), at(age - behind));
                    let intended = between(reader.intended(&intent(started, told)), now);
                    let may = Age { intended, known: Duration::ZERO }.may_create(false);
                    assert!(!may || age < 30_000, "created {age} ms after the intent; reader {behind} behind, writer {writer} ahead");
                    assert!(may || age > 10_000 || writer < 0, "not created after {age} ms; reader {behind} behind, writer {writer} ahead");
                }
            }
        }
    }

    #[test]
    fn a_clock_that_is_set_between_two_renewals_makes_no_intent_younger() {
        let (origin, seconds) = (Instant::now(), |seconds| Duration::from_secs(seconds));
        // The answer takes half a second, and the clock is set two seconds after the write left.
        let compared = Comparison::of((at(300), origin), at(0), origin + Duration::from_millis(500));
        assert_eq!(compared.skew((at(300), origin)), Skew::of(at(300), at(0), at(800)));
        for set in [-3_600_000, -40_000, -1_000, 0, 1_000, 40_000] {
            let skew = compared.skew((at(2_300 + set), origin + seconds(2)));
            let told = Duration::from_secs(u64::try_from(skew.told()).unwrap());
            assert!(told + UNTOLD >= between(at(0), at(set)), "told {told:?} of a clock that was set by {set} ms");
            for age in [0, 29_000, 30_000, 100_000] {
                // The intent was written by a clock that is right, so long before the clock was set.
                let intended = between(skew.towards_others().intended(&intent(at(2_000 - age), 0)), at(2_000 + set));
                assert!(
                    intended >= Duration::from_millis(age.unsigned_abs()),
                    "{age} ms is {intended:?} by a clock that was set by {set} ms"
                );
            }
        }
    }

    #[test]
    fn an_attempt_grows_older_by_the_monotonic_clock() {
        let age = Age { intended: Duration::from_secs(29), known: Duration::ZERO };
        assert!(age.later(Duration::from_millis(999)).may_leave(false) && !age.later(Duration::from_secs(1)).may_leave(false));
    }

    #[test]
    fn an_intent_tells_of_a_clock_that_is_ahead_by_more_than_calls_and_stamps_explain() {
        assert_eq!([-10_000, 0, 1_000, 2_000, 40_000].map(|ahead| seen_by(ahead).told()), [0, 0, 0, 3, 41]);
        let far = Skew { ahead: Duration::MAX, behind: Duration::MAX };
        assert!(far.told() > 0 && far.towards_others().behind == Duration::MAX);
        assert_eq!(far.intended(&intent(Timestamp::MIN, i64::MAX)), Timestamp::MIN);
        assert_eq!(Skew::default().intended(&intent(at(0), -7)), at(0), "a stored status is input");
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
