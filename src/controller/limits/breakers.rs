//! The circuit breakers of the hosts that are called, one for each namespace and origin.
//!
//! # Guarantees
//! - A circuit is asked before the intent of a request is written. What it let through is given
//!   back where the request never took off.
//! - Nobody waits for ever: who waits for an open circuit knows until when, and who waits for a
//!   probe is announced when it has ended.
//! - No more than [`MOST`] circuits are tracked, nor more than [`MOST_OF_ONE`] of one namespace,
//!   however many hosts are named: a host that finds no place is called as if its circuit were
//!   closed. Circuits that nobody uses are forgotten.
//!
//! # Caveats
//! Counted in this process: another operator has circuits of its own, and a new process begins with
//! closed ones. Two names of one host are two hosts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use crate::{
    clock::{between, later},
    controller::clock::now,
    coordination::breaker::{CallEnd, Circuit, Refusal, Settings, State, Ticket},
    model::{input::Gate, origin::Origin},
    service::{
        args::CircuitConfig,
        circuits::{CircuitReport, CircuitState},
        metrics::Metrics,
    },
};

/// The most circuits that are tracked.
pub const MOST: usize = 1024;
/// The most circuits of one namespace that are tracked, so that none leaves no place to the others.
pub const MOST_OF_ONE: usize = 128;
/// The least time between two looks for circuits that nobody uses, where there is no place left.
const SWEEP: Duration = Duration::from_secs(1);
/// By how much the wall clock may move before what is told of an instant is corrected.
const TOLERATED: Duration = Duration::from_secs(1);

/// A namespace, and where its requests go.
pub(crate) type Place = (String, Origin);

/// What the arguments say, in the engine's words.
pub(crate) const fn settings(config: CircuitConfig) -> Settings {
    let CircuitConfig { calls, window, unknown_percent, open } = config;
    Settings { calls, window, unknown_percent, open }
}

/// All circuits.
#[derive(Debug)]
pub struct Circuits {
    /// `None` = there are none.
    settings: Option<Settings>,
    table: Mutex<Table>,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Table {
    circuits: BTreeMap<Place, Tracked>,
    /// When those that nobody uses were last forgotten.
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Tracked {
    circuit: Circuit,
    /// How it stood when it was last looked at.
    state: CircuitState,
    /// Until when it is open, by the wall clock.
    until: Option<Timestamp>,
    /// The sagas that wait for its probe.
    waiting: BTreeSet<String>,
}

impl Tracked {
    /// How it stands; changes are counted.
    fn look(&mut self, metrics: &Metrics, at: Instant) -> State {
        let state = self.circuit.look(at);
        let shown = match state {
            State::Closed => CircuitState::Closed,
            State::Open { .. } => CircuitState::Open,
            State::HalfOpen { .. } => CircuitState::HalfOpen,
        };
        if shown != self.state {
            self.state = shown;
            metrics.circuit_turned(shown);
        }
        self.until = if let State::Open { until } = state {
            Some(self.told(until.saturating_duration_since(at)))
        } else {
            None
        };
        state
    }

    /// When it has been open for so long more, by the wall clock: as it was told before, unless
    /// that clock was set meanwhile. A message that says it must not change at every look.
    fn told(&self, left: Duration) -> Timestamp {
        let fresh = later(now(), left);
        let told =
            self.until.filter(|told| between(*told, fresh).max(between(fresh, *told)) <= TOLERATED);
        // Up to the next millisecond, as messages say it: whoever comes then must not be early.
        told.unwrap_or_else(|| {
            Timestamp::from_millisecond(fresh.as_millisecond().saturating_add(1)).unwrap_or(fresh)
        })
    }
}

impl Circuits {
    /// No circuit is tracked yet; without settings none ever is.
    #[must_use]
    pub const fn new(settings: Option<Settings>, metrics: Arc<Metrics>) -> Self {
        Self {
            settings,
            table: Mutex::new(Table { circuits: BTreeMap::new(), swept: None }),
            metrics,
        }
    }

    /// Whether there are circuits at all.
    pub(crate) const fn are_on(&self) -> bool {
        self.settings.is_some()
    }

    /// Lets a saga's request through, if one may be. Else the saga is announced when the probe that
    /// it waits for has ended.
    pub(crate) fn admit(&self, place: &Place, saga: &str) -> Result<Ticket, Gate> {
        let (mut table, at) = self.lock();
        let Some(tracked) = table.circuits.get_mut(place) else { return Ok(Ticket::first()) };
        tracked.look(&self.metrics, at);
        tracked.circuit.admit(at).map_err(|refusal| {
            if refusal == Refusal::Probing {
                tracked.waiting.insert(saga.to_owned());
            }
            Gate { left: 0, until: tracked.until }
        })
    }

    /// Lets a request through whose attempt stands in the status already.
    pub(crate) fn insist(&self, place: &Place) -> Ticket {
        let (mut table, at) = self.lock();
        let Some(tracked) = table.circuits.get_mut(place) else { return Ticket::first() };
        tracked.look(&self.metrics, at);
        tracked.circuit.insist(at)
    }

    /// Takes what came of a call. Returns the sagas that wait for it.
    pub(crate) fn ended(&self, place: &Place, ticket: Ticket, end: CallEnd) -> Vec<String> {
        let (mut table, at) = self.lock();
        if !table.circuits.contains_key(place) && end != CallEnd::NotSent {
            self.track(&mut table, place, at);
        }
        let Some(tracked) = table.circuits.get_mut(place) else { return Vec::new() };
        tracked.look(&self.metrics, at);
        tracked.circuit.ended(ticket, end, at);
        match tracked.look(&self.metrics, at) {
            State::Closed => std::mem::take(&mut tracked.waiting).into_iter().collect(),
            // They look again by themselves, and see until when.
            State::Open { .. } => {
                tracked.waiting.clear();
                Vec::new()
            }
            State::HalfOpen { probing: true, .. } => Vec::new(),
            State::HalfOpen { probing: false, .. } => {
                tracked.waiting.pop_first().into_iter().collect()
            }
        }
    }

    /// Tracks one circuit more, where there is a place for it.
    fn track(&self, table: &mut Table, place: &Place, at: Instant) {
        let Some(settings) = self.settings else { return };
        let is_full = |table: &Table| {
            let of_one =
                table.circuits.keys().filter(|(namespace, _)| *namespace == place.0).count();
            table.circuits.len() >= MOST || of_one >= MOST_OF_ONE
        };
        // Not for every call of somebody who names hosts without end.
        if is_full(table)
            && table.swept.is_none_or(|swept| at.saturating_duration_since(swept) >= SWEEP)
        {
            self.sweep(table, at);
        }
        if !is_full(table) {
            let circuit = Circuit::new(settings, at);
            table.circuits.insert(
                place.clone(),
                Tracked {
                    circuit,
                    state: CircuitState::Closed,
                    until: None,
                    waiting: BTreeSet::new(),
                },
            );
        }
    }

    fn sweep(&self, table: &mut Table, at: Instant) {
        table.swept = Some(at);
        table.circuits.retain(|_, tracked| {
            tracked.look(&self.metrics, at);
            !tracked.circuit.is_idle(at)
        });
    }

    /// Forgets the circuits that nobody uses any more.
    pub fn forget(&self) {
        let (mut table, at) = self.lock();
        self.sweep(&mut table, at);
    }

    /// The circuits that are in use, in the order of their namespaces and hosts.
    #[must_use]
    pub fn reports(&self) -> Vec<CircuitReport> {
        let (mut table, at) = self.lock();
        self.sweep(&mut table, at);
        let report = |((namespace, origin), tracked): (&Place, &Tracked)| {
            let Origin { scheme, host, port } = origin.clone();
            let (calls, unknown) = tracked.circuit.reported(at);
            CircuitReport {
                namespace: namespace.clone(),
                scheme,
                host,
                port,
                state: tracked.state,
                calls,
                unknown,
                until: tracked.until,
            }
        };
        table.circuits.iter().map(report).collect()
    }

    /// The table, and the instant: read under the lock, so that it never goes back.
    fn lock(&self) -> (MutexGuard<'_, Table>, Instant) {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        (table, Instant::now())
    }
}

#[cfg(test)]
mod tests;
