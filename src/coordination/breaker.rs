//! One HTTP circuit breaker: a pure function of what came of calls and of instants that are handed
//! in.
//!
//! ```text
//!          so many calls within the window, so many of them Unknown
//!   Closed ─────────────────────────────────────────────────────────► Open
//!     ▲                                                               │  ▲
//!     │                                              its time is over │  │
//!     │ the probe is answered                                         ▼  │ the probe ends Unknown
//!     └─────────────────────────────────────────────────────────── HalfOpen
//! ```
//! Written here, since the breakers that can be had read a clock of their own, count failures in a
//! row or all errors alike, or keep one circuit and not its place in a plan that may come to
//! nothing.
//!
//! # Guarantees
//! - Only calls that were sent count, when they end, and only in the stretch of being closed in
//!   which they began: what was sent before a circuit opened says nothing of it afterwards.
//! - While half-open at most one probe is under way. One that was never sent gives its place back.
//! - The memory of a circuit is bounded whatever is called how often.
//!
//! # Caveats
//! The window moves by sixtieths of itself, so that a call counts for at most the window and for at
//! least 59/60 of it. A probe ends with its own time limit, however long that is: until then
//! nothing else is let through.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::model::observation::{ChildState, Reached};

/// The parts by which the window moves.
const SLICES: u64 = 60;

/// When a circuit opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// It opens only after at least so many calls within the window; at least 1.
    pub calls: u32,
    /// How long a call counts; at least a millisecond.
    pub window: Duration,
    /// It opens where at least so many of a hundred calls ended `Unknown`: 1 to 100.
    pub unknown_percent: u32,
    /// How long it stays open before a probe is let through.
    pub open: Duration,
}

/// What came of a call, as a circuit sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// The other side answered, be it with a refusal.
    Answered,
    /// Nobody can tell: no answer in time, the connection was lost, or the other side could not do
    /// it (5xx).
    Unknown,
    /// Nothing of it was sent, or it was called off: it says nothing of the other side.
    NotSent,
}

impl CallEnd {
    /// The same of a request's end. `may_have_left`: whether anything of it may have been sent.
    /// `status`: of the answer, where one came; with a 4xx the other side is there, also where
    /// nobody can tell what it did (408).
    #[must_use]
    pub fn of(end: &ChildState, may_have_left: bool, status: Option<u16>) -> Self {
        match end {
            ChildState::Unknown { .. } if matches!(status, Some(400..=499)) => Self::Answered,
            ChildState::Answered(answer) if answer.status >= 500 => Self::Unknown,
            ChildState::Succeeded(_) | ChildState::Answered(_) => Self::Answered,
            ChildState::Failed(failure) => match failure.reached {
                Reached::Door
                | Reached::Work
                | Reached::Accepted
                | Reached::Answer
                | Reached::Settled => Self::Answered,
                Reached::Nothing => Self::NotSent,
            },
            ChildState::Unknown { .. } if may_have_left => Self::Unknown,
            ChildState::Unknown { .. }
            | ChildState::Absent(_)
            | ChildState::Active { .. }
            | ChildState::Object { .. }
            | ChildState::Saga(_)
            | ChildState::Standing { .. }
            | ChildState::Refused { .. }
            | ChildState::Elsewhere { .. }
            | ChildState::CalledOff { .. } => Self::NotSent,
        }
    }
}

/// How a circuit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Every call is let through.
    Closed,
    /// None is.
    Open {
        /// When it is half-open.
        until: Instant,
    },
    /// One call at a time is let through, to see what comes of it.
    HalfOpen {
        /// Whether that call is under way.
        probing: bool,
    },
}

/// The right to one call. It is handed back, once, with what came of the call.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a probe whose ticket is not handed back lets nothing else through"]
pub struct Ticket {
    term: u64,
    probe: bool,
}

impl Ticket {
    /// The ticket of a call for which nothing is counted yet.
    pub const fn first() -> Self {
        Self { term: 0, probe: false }
    }
}

/// Why no call is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is open, until then.
    Open(Instant),
    /// Its probe is under way.
    Probing,
}

/// The calls that ended within one slice of the window.
#[derive(Clone, Copy, Debug)]
struct Slice {
    number: u128,
    calls: u32,
    unknown: u32,
}

/// One circuit.
#[derive(Clone, Debug)]
pub struct Circuit {
    settings: Settings,
    state: State,
    /// Goes up with every change of the state, so that a ticket tells in which one it was given.
    term: u64,
    /// Since when it stands as it does.
    turned: Instant,
    /// From when slices are numbered.
    origin: Instant,
    /// The slices with calls, the oldest first.
    slices: VecDeque<Slice>,
    /// The calls, and the unknown ones among them, at which it opened last.
    opened_at: (u32, u32),
}

impl Circuit {
    /// A closed circuit without calls.
    #[must_use]
    pub const fn new(settings: Settings, now: Instant) -> Self {
        Self {
            settings,
            state: State::Closed,
            term: 0,
            turned: now,
            origin: now,
            slices: VecDeque::new(),
            opened_at: (0, 0),
        }
    }

    /// How it stands now.
    pub fn look(&mut self, now: Instant) -> State {
        if let State::Open { until } = self.state
            && now >= until
        {
            self.turn(State::HalfOpen { probing: false }, until);
        }
        self.state
    }

    /// Lets a call through, if one may be.
    ///
    /// # Errors
    /// Where none may be, why.
    pub fn admit(&mut self, now: Instant) -> Result<Ticket, Refusal> {
        match self.look(now) {
            State::Closed => Ok(self.ticket(false)),
            State::Open { until } => Err(Refusal::Open(until)),
            State::HalfOpen { probing: true } => Err(Refusal::Probing),
            State::HalfOpen { probing: false } => {
                self.state = State::HalfOpen { probing: true };
                Ok(self.ticket(true))
            }
        }
    }

    /// Lets a call through that nothing may keep back: as the probe, where there is none; else
    /// beside what may be, without weight.
    pub fn insist(&mut self, now: Instant) -> Ticket {
        self.admit(now).unwrap_or_else(|_| self.ticket(false))
    }

    /// Takes what came of a call.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is handed back once")]
    pub fn ended(&mut self, ticket: Ticket, end: CallEnd, now: Instant) {
        let state = self.look(now);
        let Ticket { term, probe } = ticket;
        if term != self.term {
            return;
        }
        match (state, probe, end) {
            (State::Closed, _, CallEnd::Answered | CallEnd::Unknown) => self.count(end, now),
            (State::HalfOpen { .. }, true, CallEnd::Answered) => self.turn(State::Closed, now),
            (State::HalfOpen { .. }, true, CallEnd::Unknown) => self.open(now),
            (State::HalfOpen { .. }, true, CallEnd::NotSent) => {
                self.state = State::HalfOpen { probing: false }
            }
            (State::Closed, _, CallEnd::NotSent)
            | (State::HalfOpen { .. }, false, _)
            | (State::Open { .. }, _, _) => {}
        }
    }

    /// How many calls count now, and how many of them ended `Unknown`.
    #[must_use]
    pub fn counted(&self, now: Instant) -> (u32, u32) {
        let oldest = self.oldest(now);
        let counting = self.slices.iter().filter(|slice| slice.number >= oldest);
        counting.fold((0, 0), |(calls, unknown), slice| {
            (slice.calls.saturating_add(calls), slice.unknown.saturating_add(unknown))
        })
    }

    /// The same; while it is not closed, as when it opened.
    #[must_use]
    pub fn reported(&self, now: Instant) -> (u32, u32) {
        if self.state == State::Closed { self.counted(now) } else { self.opened_at }
    }

    /// Whether it can be forgotten: closed, or half-open without anybody who tries, for the window,
    /// and without calls in it.
    #[must_use]
    pub fn is_idle(&mut self, now: Instant) -> bool {
        let used = matches!(self.look(now), State::Open { .. } | State::HalfOpen { probing: true });
        !used
            && now.saturating_duration_since(self.turned) >= self.settings.window
            && self.counted(now).0 == 0
    }

    const fn ticket(&self, probe: bool) -> Ticket {
        Ticket { term: self.term, probe }
    }

    fn turn(&mut self, to: State, now: Instant) {
        self.state = to;
        self.turned = now;
        self.term = self.term.saturating_add(1);
        self.slices.clear();
    }

    fn open(&mut self, now: Instant) {
        self.turn(State::Open { until: now + self.settings.open }, now);
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

    /// The slice of the window that this instant is in.
    fn slice(&self, now: Instant) -> u128 {
        let width = (self.settings.window.as_nanos() / u128::from(SLICES)).max(1);
        now.saturating_duration_since(self.origin).as_nanos() / width
    }

    /// The oldest slice whose calls count.
    fn oldest(&self, now: Instant) -> u128 {
        self.slice(now).saturating_sub(u128::from(SLICES).saturating_sub(1))
    }
}

#[cfg(test)]
mod tests;
