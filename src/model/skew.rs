//! How far clocks may be apart.

use std::time::Duration;

use jiff::Timestamp;

use super::rules;
use crate::{
    api::ActiveAttempt,
    clock::{between, later},
};

/// The most seconds that count for the clock error of an intent, more than any clock is off.
pub(in crate::model) const MOST_TOLD: i64 = 1 << 40;

/// The clock error, ahead or behind, up to which an intent states 0.
pub(crate) const UNTOLD: Duration = Duration::from_secs(2);

/// How far this process's clock may be from the API server's clock. The Lease of the executor shows
/// the difference, because the API server stamps each renewal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Skew {
    /// The most by which this process's clock is ahead.
    pub ahead: Duration,
    /// The most by which this process's clock is behind.
    pub behind: Duration,
    /// The most by which the clock of another process may be ahead or behind although its intents
    /// state 0.
    pub untold: Duration,
}

impl Skew {
    /// Computes the skew from a write that was sent at `sent` and answered at `answered`, both by
    /// this process's clock. The API server stamped the write with whole seconds.
    #[must_use]
    pub fn of(sent: Timestamp, stamped: Timestamp, answered: Timestamp) -> Self {
        let behind = between(sent, later(stamped, Duration::from_secs(1)));
        Self { ahead: between(stamped, answered), behind, untold: Duration::ZERO }
    }

    /// Returns the skew after this process's clock was set ahead or back by these durations.
    pub(crate) const fn moved(self, ahead: Duration, back: Duration) -> Self {
        Self {
            ahead: self.ahead.saturating_add(ahead).saturating_sub(back),
            behind: self.behind.saturating_add(back).saturating_sub(ahead),
            untold: self.untold,
        }
    }

    /// Returns the skew to use for intents of other processes, whose clocks may be off by up to 2 s
    /// that their intents do not state.
    #[must_use]
    pub const fn towards_others(self) -> Self {
        Self { untold: UNTOLD, ..self }
    }

    /// Returns the most by which the clock is ahead, in seconds, as an intent states it.
    #[must_use]
    pub fn stated_ahead(self) -> i64 {
        stated_seconds(self.ahead)
    }

    /// Returns the most by which the clock is behind, in seconds, as an intent states it.
    #[must_use]
    pub fn stated_behind(self) -> i64 {
        stated_seconds(self.behind)
    }

    /// Returns the earliest instant, by this process's clock, at which an intent may have been
    /// written.
    #[must_use]
    pub fn intended(self, intent: &ActiveAttempt) -> Timestamp {
        rules::earliest(intent.started_at.0, self.apart(intent.clock_ahead_seconds, self.behind))
    }

    /// Returns the latest instant, by this process's clock, at which an intent may have been
    /// written.
    #[must_use]
    pub fn intended_by(self, intent: &ActiveAttempt) -> Timestamp {
        later(intent.started_at.0, self.apart(intent.clock_behind_seconds, self.ahead))
    }

    /// Returns how far this clock may be from the clock of another process. `told` is the clock
    /// error that the other process stated. `own` is the clock error of this process.
    fn apart(self, told: i64, own: Duration) -> Duration {
        Duration::from_secs(u64::try_from(told).unwrap_or_default())
            .saturating_add(self.untold)
            .saturating_add(own)
    }
}

/// Returns the clock error as an intent states it, in whole seconds. Errors up to 2 s become 0.
pub(in crate::model) fn stated_seconds(apart: Duration) -> i64 {
    if apart <= UNTOLD {
        0
    } else {
        i64::try_from(apart.as_secs()).unwrap_or(MOST_TOLD).min(MOST_TOLD).saturating_add(1)
    }
}
