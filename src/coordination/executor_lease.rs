//! Who may send: the clock part of the executors' Leases, as verdicts on instants that are handed
//! in.
//!
//! An executor is an id under which one process sends requests; each id has a Lease of its own. The
//! executor's process judges by a [`Tenure`] whether it may still send; every other process judges
//! by a [`Vigil`] whether that executor is gone.
//!
//! # Guarantees
//! - While a vigil says gone, no tenure of that executor holds, nor will it ever again, whatever
//!   answer arrives how late, and however long either process was frozen. Each side uses its own
//!   monotonic clock alone, and each errs to the safe side by as long as a call takes: a renewal
//!   counts from when it was sent, a sighting from when its answer came, and a term is over only
//!   when a read that was sent after its end still shows the same.
//! - The term is the one below, never what the Lease says: its content is input.
//!
//! # Assumptions
//! Reads are live, not from a cache. The Lease exists before the first intent that names its
//! executor. A release is written only after the tenure has ended here.
//!
//! # Caveats
//! A machine that is suspended as a whole may stop its monotonic clock, too; what it sends when it
//! wakes carries the same idempotency key. A process that is frozen between asking
//! [`Tenure::holds`] and the first byte is caught only by the two seconds between the limits.

use std::time::{Duration, Instant};

/// How long a tenure holds after its last acknowledged renewal was sent.
pub const HOLDS_FOR: Duration = Duration::from_secs(4);
/// How long another process must see an executor's Lease not renewed, or absent, before that
/// executor is gone.
pub const TERM: Duration = Duration::from_secs(6);
/// How often a Lease is renewed, and the longest time between two looks at another executor's.
pub const EVERY: Duration = Duration::from_secs(2);
/// How much longer than its time limit a request may take before it is over in any case.
const GRACE: Duration = Duration::from_secs(30);

/// The executor's own side: whether it may send, and let calls go on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tenure {
    /// When the last acknowledged renewal was sent.
    renewed: Instant,
    /// Nothing makes a tenure hold again.
    over: bool,
}

impl Tenure {
    /// A tenure whose Lease was created by a call that was sent at `sent` and has just been
    /// acknowledged.
    #[must_use]
    pub const fn new(sent: Instant) -> Self {
        Self { renewed: sent, over: false }
    }

    /// Whether it holds. Once it does not, it never does again.
    pub fn holds(&mut self, now: Instant) -> bool {
        self.over |= now.saturating_duration_since(self.renewed) >= HOLDS_FOR;
        !self.over
    }

    /// Takes the acknowledgement, seen at `now`, of a renewal that was sent at `sent`. One that is
    /// seen too late changes nothing.
    pub fn acknowledged(&mut self, sent: Instant, now: Instant) {
        if self.holds(now) {
            self.renewed = self.renewed.max(sent);
        }
    }

    /// Ends it: a renewal was refused, or the Lease is about to be released.
    pub const fn end(&mut self) {
        self.over = true;
    }

    /// When the last acknowledged renewal was sent.
    #[must_use]
    pub const fn renewed(&self) -> Instant {
        self.renewed
    }

    /// Until when it holds without a further renewal.
    #[must_use]
    pub fn until(&self) -> Instant {
        self.renewed + HOLDS_FOR
    }
}

/// What a live read of an executor's Lease showed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sighting {
    /// It has a holder. The text differs after every write of the Lease, and so after every
    /// renewal.
    Held(String),
    /// It has no holder any more.
    Released,
    /// There is none.
    Absent,
}

/// The others' side: whether an executor of another process is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Vigil {
    /// What was seen last, and since when it has been seen so.
    last: Option<(Sighting, Instant)>,
    gone: bool,
}

impl Vigil {
    /// Takes what a read showed that was sent at `asked` and answered at `answered`. A read that
    /// failed says nothing and is not told here.
    pub fn saw(&mut self, sighting: Sighting, asked: Instant, answered: Instant) {
        self.gone |= sighting == Sighting::Released;
        match &self.last {
            Some((last, since)) if *last == sighting => {
                self.gone |= asked.saturating_duration_since(*since) >= TERM;
            }
            Some(_) | None => self.last = Some((sighting, answered)),
        }
    }

    /// Whether the executor is gone, for good.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        self.gone
    }

    /// How long to wait, from `now` on, before the Lease is read again after a read that was sent
    /// at `asked`, even one that failed.
    #[must_use]
    pub fn next_look(&self, asked: Instant, now: Instant) -> Duration {
        let over = self.last.as_ref().map(|(_, since)| *since + TERM);
        // A read that was sent after the end of the term would have told, had it not failed: the
        // next one has no haste.
        over.filter(|over| asked < *over)
            .map_or(EVERY, |over| over.saturating_duration_since(now).min(EVERY))
    }
}

/// How long, from `now` on, the request of another executor may still be under way although nobody
/// can tell: zero once its time limit and 30 s have passed since this process first read the
/// intent.
#[must_use]
pub fn may_last(first_read: Instant, timeout: Duration, now: Instant) -> Duration {
    timeout.saturating_add(GRACE).saturating_sub(now.saturating_duration_since(first_read))
}

#[cfg(test)]
mod tests;
