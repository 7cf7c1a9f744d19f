//! How far clocks may be apart.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::{
    api::ActiveAttempt,
    clock::{between, later},
    mutants::{Twin, broken},
};

/// The most seconds that an intent tells: more than any clock is off.
pub(crate) const MOST_TOLD: i64 = 1 << 40;

/// What a clock may be ahead or behind without an intent saying so.
pub(crate) const UNTOLD: Duration = Duration::from_secs(2);

/// How far this process's clock may be from that of the API server, as the Lease of its executor
/// shows: the API server stamps each renewal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Skew {
    /// By how much at most it is ahead.
    pub ahead: Duration,
    /// By how much at most it is behind.
    pub behind: Duration,
    /// By how much the clock of another process may be ahead or behind without its intents saying
    /// so.
    pub untold: Duration,
}

impl Skew {
    /// From a write that left at `sent` and was answered at `answered`, both by this process's
    /// clock, and that the API server stamped with whole seconds.
    #[must_use]
    pub fn of(sent: Timestamp, stamped: Timestamp, answered: Timestamp) -> Self {
        let behind = between(sent, later(stamped, Duration::from_secs(1)));
        Self { ahead: between(stamped, answered), behind, untold: Duration::ZERO }
    }

    /// The same after this process's clock was set ahead or back by so much.
    pub(crate) const fn moved(self, ahead: Duration, back: Duration) -> Self {
        Self {
            ahead: self.ahead.saturating_add(ahead).saturating_sub(back),
            behind: self.behind.saturating_add(back).saturating_sub(ahead),
            untold: self.untold,
        }
    }

    /// The same where another process's clock may be off by a little that its intents do not tell.
    #[must_use]
    pub const fn towards_others(self) -> Self {
        Self { untold: UNTOLD, ..self }
    }

    /// By how many seconds it is ahead at most, as an intent tells it.
    #[must_use]
    pub fn told_ahead(self) -> i64 {
        told(self.ahead)
    }

    /// By how many seconds it is behind at most, as an intent tells it.
    #[must_use]
    pub fn told_behind(self) -> i64 {
        told(self.behind)
    }

    /// The earliest instant, by this process's clock, at which an intent may have been written.
    #[must_use]
    pub fn intended(self, intent: &ActiveAttempt) -> Timestamp {
        let apart = if broken(Twin::Skew) {
            Duration::ZERO
        } else {
            self.apart(intent.clock_ahead_seconds, self.behind)
        };
        SignedDuration::try_from(apart)
            .ok()
            .and_then(|apart| intent.started_at.0.checked_sub(apart).ok())
            .unwrap_or(Timestamp::MIN)
    }

    /// The latest instant, by this process's clock, at which an intent may have been written.
    #[must_use]
    pub fn intended_by(self, intent: &ActiveAttempt) -> Timestamp {
        later(intent.started_at.0, self.apart(intent.clock_behind_seconds, self.ahead))
    }

    /// How far this clock may be from that of another process, which told so much of its own.
    fn apart(self, told: i64, own: Duration) -> Duration {
        Duration::from_secs(u64::try_from(told).unwrap_or_default())
            .saturating_add(self.untold)
            .saturating_add(own)
    }
}

/// What an intent tells of how far its clock may be off, in whole seconds.
pub(crate) fn told(apart: Duration) -> i64 {
    if apart <= UNTOLD {
        0
    } else {
        i64::try_from(apart.as_secs()).unwrap_or(MOST_TOLD).min(MOST_TOLD).saturating_add(1)
    }
}
