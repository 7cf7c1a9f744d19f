//! Decides which process may send, from the clocks of the executors' Leases. The functions use the
//! instants that they are given.
//!
//! An executor is an id under which one process sends HTTP requests. Each executor has a Lease. The
//! process of the executor uses a [`Tenure`] to decide whether it may still send. Every other
//! process uses a [`LeaseWatch`] to decide whether the executor is gone.
//!
//! # Guarantees
//! - While a watch of a Lease reports that an executor is gone, no tenure of the executor holds,
//!   and none will ever hold again. This is so however late an answer arrives, and however long
//!   either process was frozen. Each process uses only its own monotonic clock. Each process is
//!   cautious by the duration of a call. A renewal counts from the instant at which it was sent. An
//!   observation counts from the instant at which its answer came. A term ends only when a read
//!   that was sent after the end of the term still shows the same.
//! - The term is the constant below, never the value in the Lease, because the content of the Lease
//!   is input.
//!
//! # Assumptions
//! Reads are live, not from a cache. The Lease exists before the first intent that names its
//! executor. A release is written only after the tenure has ended in this process.
//!
//! # Caveats
//! If a whole machine is suspended, its monotonic clock may stop, too. An HTTP request that the
//! machine sends when it resumes has the same idempotency key. If a process is frozen between the
//! call of [`Tenure::holds`] and the first byte, only the two seconds between the two limits
//! protect against a late HTTP request.

use std::time::{Duration, Instant};

pub(crate) use super::rules::may_last;
#[cfg(feature = "operator")]
pub(crate) use super::rules::may_send;

/// How long a tenure holds after its last acknowledged renewal was sent.
pub const HOLDS_FOR: Duration = Duration::from_secs(4);
/// How long another process must see that an executor's Lease is not renewed, or is absent, before
/// the executor is gone.
pub const TERM: Duration = Duration::from_secs(6);
/// How often a Lease is renewed, and the longest time between two reads of another executor's
/// Lease.
pub const EVERY: Duration = Duration::from_secs(2);

/// The state of this process's own executor: whether it may send, and let calls continue.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tenure {
    /// When the last acknowledged renewal was sent.
    renewed: Instant,
    /// Whether the tenure has ended. It never holds again.
    over: bool,
}

impl Tenure {
    /// Creates a tenure. Its Lease was created by a call that was sent at `sent` and was just
    /// acknowledged.
    #[must_use]
    pub const fn new(sent: Instant) -> Self {
        Self { renewed: sent, over: false }
    }

    /// Returns whether the tenure holds at `now`. Once the tenure does not hold, it never holds
    /// again.
    pub fn holds(&mut self, now: Instant) -> bool {
        self.over |= now.saturating_duration_since(self.renewed) >= HOLDS_FOR;
        !self.over
    }

    /// Records an acknowledgement, seen at `now`, of a renewal that was sent at `sent`. An
    /// acknowledgement that is seen after the tenure ended changes nothing.
    pub fn acknowledged(&mut self, sent: Instant, now: Instant) {
        if self.holds(now) {
            self.renewed = self.renewed.max(sent);
        }
    }

    /// Ends the tenure: a renewal was refused, or the Lease is about to be released.
    pub const fn end(&mut self) {
        self.over = true;
    }

    /// Returns when the last acknowledged renewal was sent.
    #[must_use]
    pub const fn renewed(&self) -> Instant {
        self.renewed
    }

    /// Returns until when the tenure holds without a further renewal.
    #[must_use]
    pub fn until(&self) -> Instant {
        self.renewed + HOLDS_FOR
    }
}

/// What a live read of an executor's Lease showed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LeaseState {
    /// The Lease has a holder. The text changes with every write of the Lease, and so with every
    /// renewal.
    Held(String),
    /// The Lease has no holder any more.
    Released,
    /// The Lease does not exist.
    Absent,
}

/// The state of another process's executor: whether the executor is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LeaseWatch {
    /// The last state, and since when it has been the same.
    last: Option<(LeaseState, Instant)>,
    gone: bool,
}

impl LeaseWatch {
    /// Records the result of a read that was sent at `asked` and answered at `answered`. A read
    /// that failed says nothing and is not passed to this function.
    pub fn saw(&mut self, state: LeaseState, asked: Instant, answered: Instant) {
        self.gone |= state == LeaseState::Released;
        match &self.last {
            Some((last, since)) if *last == state => {
                self.gone |= asked.saturating_duration_since(*since) >= TERM;
            }
            Some(_) | None => self.last = Some((state, answered)),
        }
    }

    /// Returns whether the executor is gone for ever.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        self.gone
    }

    /// Returns how long to wait from `now` before the next read of the Lease, after a read that was
    /// sent at `asked`. A failed read counts, too.
    #[must_use]
    pub fn next_look(&self, asked: Instant, now: Instant) -> Duration {
        let over = self.last.as_ref().map(|(_, since)| *since + TERM);
        // A successful read after the end of the term would have decided. If a read at that time
        // failed, the next read is not urgent.
        over.filter(|over| asked < *over)
            .map_or(EVERY, |over| over.saturating_duration_since(now).min(EVERY))
    }
}

#[cfg(test)]
mod tests;
