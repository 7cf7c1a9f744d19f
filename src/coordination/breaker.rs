//! One HTTP circuit breaker: a pure function of the outcomes of calls and of the instants that it
//! is given.
//!
//! ```text
//!          enough calls within the window, enough of them Unknown
//!   Closed ─────────────────────────────────────────────────────────► Open
//!     ▲                                                               │  ▲
//!     │                                              open time passed │  │
//!     │ the probe is answered                                         ▼  │ the probe ends Unknown
//!     └─────────────────────────────────────────────────────────── HalfOpen
//! ```
//! The breaker is written here, because existing breakers do not fit. They read their own clock, or
//! count consecutive failures or all errors alike, or do not give back the place of a call that was
//! planned and never made.
//!
//! # Guarantees
//! - Only calls that were sent count, at the instant at which they end. They count only in the
//!   closed period in which they began. A call that was sent before a breaker opened does not count
//!   afterwards.
//! - While the breaker is half-open, at most one probe is under way. A probe that was never sent
//!   gives its place back.
//! - The memory of a breaker is bounded, however many calls there are.
//!
//! # Caveats
//! The window moves in steps of one sixtieth of its length, so a call counts for at most the window
//! and at least 59/60 of it. A probe ends with its own time limit, however long that is. Until then
//! the breaker admits no other call.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::model::observation::{End, Reached};

/// The number of slices in the window.
const SLICES: u64 = 60;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The least number of calls within the window for the breaker to open; at least 1.
    pub calls: u32,
    /// How long a call counts; at least a millisecond.
    pub window: Duration,
    /// The percentage of calls that must end `Unknown` for the breaker to open: 1 to 100.
    pub unknown_percent: u32,
    /// How long the breaker stays open before it admits a probe.
    pub open: Duration,
}

/// The end of a call, as a breaker counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// The service answered. A refusal is an answer.
    Answered,
    /// The outcome is unknown: no answer came in time, the connection was lost, or the service
    /// could not handle the call (5xx).
    Unknown,
    /// Nothing of the call was sent, or it was called off. The end says nothing about the service.
    NotSent,
}

/// How far an HTTP request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallProgress {
    /// Whether any part of the HTTP request may have been sent.
    pub may_have_left: bool,
    /// The status code, if an answer came.
    pub status: Option<u16>,
}

impl CallEnd {
    /// Returns how the end of an HTTP request counts. A 4xx shows that the service is reachable,
    /// even if its outcome is unknown (408).
    #[must_use]
    pub fn of(end: &End, progress: CallProgress) -> Self {
        match end {
            End::Unknown { .. } if matches!(progress.status, Some(400..=499)) => Self::Answered,
            End::Answered(answer) if answer.status >= 500 => Self::Unknown,
            End::Succeeded(_) | End::Answered(_) => Self::Answered,
            End::Failed(failure) => match failure.reached {
                Reached::Rejected
                | Reached::Work
                | Reached::Accepted
                | Reached::Answer
                | Reached::Settled => Self::Answered,
                Reached::Nothing => Self::NotSent,
            },
            End::Unknown { .. } if progress.may_have_left => Self::Unknown,
            End::Unknown { .. } | End::UnknownForGood { .. } | End::CalledOff { .. } => {
                Self::NotSent
            }
        }
    }
}

/// The state of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Every call is admitted.
    Closed,
    /// No call is admitted.
    Open {
        /// The instant at which the breaker becomes half-open.
        until: Instant,
    },
    /// One call at a time is admitted, as a probe.
    HalfOpen {
        /// Whether the probe is under way.
        probing: bool,
    },
}

/// The permission for one call. It is handed back once, with the end of the call.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a probe whose ticket is not handed back lets nothing else through"]
pub struct Ticket {
    term: u64,
    probe: bool,
}

impl Ticket {
    /// Creates the ticket for the first call, before anything is counted.
    pub const fn first() -> Self {
        Self { term: 0, probe: false }
    }
}

/// Why no call is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerRefusal {
    /// The breaker is open until this instant.
    Open(Instant),
    /// The probe is under way.
    Probing,
}

/// The calls that ended within one slice of the window.
#[derive(Clone, Copy, Debug)]
struct Slice {
    number: u128,
    calls: u32,
    unknown: u32,
}

/// One circuit breaker.
#[derive(Clone, Debug)]
pub struct Circuit {
    settings: Settings,
    state: BreakerState,
    /// Increases with every change of the state. A ticket names the term in which it was issued.
    term: u64,
    /// The instant of the last change of the state.
    turned: Instant,
    /// The instant at which the numbering of slices begins.
    origin: Instant,
    /// The slices with calls, the oldest first.
    slices: VecDeque<Slice>,
    /// The calls, and the Unknown calls among them, that were counted when the breaker last opened.
    opened_at: (u32, u32),
}

impl Circuit {
    /// Creates a closed breaker without calls.
    #[must_use]
    pub const fn new(settings: Settings, now: Instant) -> Self {
        Self {
            settings,
            state: BreakerState::Closed,
            term: 0,
            turned: now,
            origin: now,
            slices: VecDeque::new(),
            opened_at: (0, 0),
        }
    }

    /// Returns the state at `now`. An open breaker whose time has passed becomes half-open.
    pub fn look(&mut self, now: Instant) -> BreakerState {
        if let BreakerState::Open { until } = self.state
            && now >= until
        {
            self.turn(BreakerState::HalfOpen { probing: false }, until);
        }
        self.state
    }

    /// Admits a call, if the state allows one.
    ///
    /// # Errors
    /// The reason, if no call is admitted.
    pub fn admit(&mut self, now: Instant) -> Result<Ticket, BreakerRefusal> {
        match self.look(now) {
            BreakerState::Closed => Ok(self.ticket()),
            BreakerState::Open { until } => Err(BreakerRefusal::Open(until)),
            BreakerState::HalfOpen { probing: true } => Err(BreakerRefusal::Probing),
            BreakerState::HalfOpen { probing: false } => {
                self.state = BreakerState::HalfOpen { probing: true };
                Ok(Ticket { probe: true, ..self.ticket() })
            }
        }
    }

    /// Admits a call in any state. The call is the probe if the breaker is half-open and has no
    /// probe. If the breaker admits no call, the result of the call does not count.
    pub fn insist(&mut self, now: Instant) -> Ticket {
        self.admit(now).unwrap_or_else(|_| self.ticket())
    }

    /// Records the end of a call.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is handed back once")]
    pub fn ended(&mut self, ticket: Ticket, end: CallEnd, now: Instant) {
        let state = self.look(now);
        let Ticket { term, probe } = ticket;
        if term != self.term {
            return;
        }
        match (state, probe, end) {
            (BreakerState::Closed, _, CallEnd::Answered | CallEnd::Unknown) => self.count(end, now),
            (BreakerState::HalfOpen { .. }, true, CallEnd::Answered) => {
                self.turn(BreakerState::Closed, now);
            }
            (BreakerState::HalfOpen { .. }, true, CallEnd::Unknown) => self.open(now),
            (BreakerState::HalfOpen { .. }, true, CallEnd::NotSent) => {
                self.state = BreakerState::HalfOpen { probing: false }
            }
            (BreakerState::Closed, _, CallEnd::NotSent)
            | (BreakerState::HalfOpen { .. }, false, _)
            | (BreakerState::Open { .. }, _, _) => {}
        }
    }

    /// Returns how many calls count now, and how many of them ended `Unknown`.
    #[must_use]
    pub fn counted(&self, now: Instant) -> (u32, u32) {
        let oldest = self.oldest(now);
        let counting = self.slices.iter().filter(|slice| slice.number >= oldest);
        counting.fold((0, 0), |(calls, unknown), slice| {
            (slice.calls.saturating_add(calls), slice.unknown.saturating_add(unknown))
        })
    }

    /// Returns the same counts. While the breaker is not closed, returns the counts at which it
    /// opened.
    #[must_use]
    pub fn reported(&self, now: Instant) -> (u32, u32) {
        if self.state == BreakerState::Closed { self.counted(now) } else { self.opened_at }
    }

    /// Returns whether the breaker can be forgotten. It can be forgotten if it has been closed, or
    /// half-open without a probe, for the length of the window, and has no calls in the window.
    #[must_use]
    pub fn is_idle(&mut self, now: Instant) -> bool {
        let used = matches!(
            self.look(now),
            BreakerState::Open { .. } | BreakerState::HalfOpen { probing: true }
        );
        !used
            && now.saturating_duration_since(self.turned) >= self.settings.window
            && self.counted(now).0 == 0
    }

    /// Returns a ticket of this term for a call that is not the probe.
    const fn ticket(&self) -> Ticket {
        Ticket { term: self.term, probe: false }
    }

    fn turn(&mut self, to: BreakerState, now: Instant) {
        self.state = to;
        self.turned = now;
        self.term = self.term.saturating_add(1);
        self.slices.clear();
    }

    fn open(&mut self, now: Instant) {
        self.turn(BreakerState::Open { until: now + self.settings.open }, now);
    }

    fn count(&mut self, end: CallEnd, now: Instant) {
        let (number, oldest) = (self.slice(now), self.oldest(now));
        self.slices.retain(|slice| slice.number >= oldest);
        if self.slices.back().is_none_or(|last| last.number < number) {
            self.slices.push_back(Slice { number, calls: 0, unknown: 0 });
        }
        if let Some(last) = self.slices.back_mut() {
            last.calls = last.calls.saturating_add(1);
            last.unknown = last.unknown.saturating_add(u32::from(end == CallEnd::Unknown));
        }
        let (calls, unknown) = self.counted(now);
        let enough = u64::from(unknown).saturating_mul(100)
            >= u64::from(calls).saturating_mul(self.settings.unknown_percent.into());
        if calls >= self.settings.calls && unknown > 0 && enough {
            self.opened_at = (calls, unknown);
            self.open(now);
        }
    }

    /// Returns the number of the slice that contains this instant.
    fn slice(&self, now: Instant) -> u128 {
        let width = (self.settings.window.as_nanos() / u128::from(SLICES)).max(1);
        now.saturating_duration_since(self.origin).as_nanos() / width
    }

    /// Returns the number of the oldest slice whose calls count.
    fn oldest(&self, now: Instant) -> u128 {
        self.slice(now).saturating_sub(u128::from(SLICES).saturating_sub(1))
    }
}

#[cfg(test)]
mod tests;
