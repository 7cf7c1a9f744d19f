//! The circuit breakers of the called hosts, one for each namespace and origin.
//!
//! # Guarantees
//! - A breaker is asked before the intent of an HTTP request is written. If the HTTP request is not
//!   started, its admission is given back.
//! - No saga waits for ever. A saga that waits for an open breaker knows the end of the open state.
//!   A saga that waits for a probe is enqueued when the probe has ended.
//! - At most [`MOST`] breakers are tracked, and at most [`MOST_OF_ONE`] of one namespace, however
//!   many hosts are named. A host that finds no place is called as if its breaker were closed.
//!   Unused breakers are forgotten.
//!
//! # Caveats
//! Breakers are counted in this process: another replica has its own breakers, and a new process
//! begins with closed ones. Two names of one host count as two hosts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;

use crate::{
    clock::{between, later},
    controller::clock::now,
    coordination::breaker::{BreakerRefusal, BreakerState, CallEnd, Circuit, Settings, Ticket},
    model::{input::BreakerAllowance, origin::Origin},
    service::{
        args::CircuitConfig,
        circuits::{CircuitReport, CircuitState},
        metrics::Metrics,
    },
};

/// The most breakers that are tracked.
pub const MOST: usize = 1024;
/// The most breakers of one namespace that are tracked, so that one namespace cannot take the place
/// of all others.
pub const MOST_OF_ONE: usize = 128;
/// The least time between two searches for unused breakers while no place is left.
const SWEEP: Duration = Duration::from_secs(1);
/// The largest movement of the wall clock that leaves a reported instant unchanged.
const TOLERATED: Duration = Duration::from_secs(1);

/// The origin that the sagas of one namespace call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::controller) struct OriginKey {
    pub(in crate::controller) namespace: String,
    pub(in crate::controller) origin: Origin,
}

impl OriginKey {
    /// Returns the key of the breaker of this namespace and origin.
    pub(in crate::controller) fn new(namespace: &str, origin: &Origin) -> Self {
        Self { namespace: namespace.to_owned(), origin: origin.clone() }
    }
}

/// Converts the command-line arguments to the settings of the engine.
pub(in crate::controller) const fn settings(config: CircuitConfig) -> Settings {
    let CircuitConfig { calls, window, unknown_percent, open } = config;
    Settings { calls, window, unknown_percent, open }
}

/// All breakers.
#[derive(Debug)]
pub struct Circuits {
    /// The settings, or `None` if there are no breakers.
    settings: Option<Settings>,
    table: Mutex<BreakerTable>,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct BreakerTable {
    circuits: BTreeMap<OriginKey, Tracked>,
    /// The instant at which unused breakers were last forgotten.
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Tracked {
    circuit: Circuit,
    /// The state when the breaker was last read.
    state: CircuitState,
    /// The end of the open state, by the wall clock.
    until: Option<Timestamp>,
    /// The sagas that wait for the probe of the breaker.
    waiting: BTreeSet<String>,
}

impl Tracked {
    /// Returns the current state. Changes of the state are counted.
    fn look(&mut self, metrics: &Metrics, at: Instant) -> BreakerState {
        let state = self.circuit.look(at);
        let shown = match state {
            BreakerState::Closed => CircuitState::Closed,
            BreakerState::Open { .. } => CircuitState::Open,
            BreakerState::HalfOpen { .. } => CircuitState::HalfOpen,
        };
        if shown != self.state {
            self.state = shown;
            metrics.circuit_turned(shown);
        }
        self.until = if let BreakerState::Open { until } = state {
            Some(self.reported_until(until.saturating_duration_since(at)))
        } else {
            None
        };
        state
    }

    /// Returns the end of the open state by the wall clock, `left` from now. If the wall clock was
    /// not set since the last report, the last reported instant is returned, because a message that
    /// holds the instant must not change at every reconcile.
    fn reported_until(&self, left: Duration) -> Timestamp {
        let fresh = later(now(), left);
        let told =
            self.until.filter(|told| between(*told, fresh).max(between(fresh, *told)) <= TOLERATED);
        // The instant is rounded up to the next millisecond, as messages show it: a saga that is
        // reconciled at that instant must not be early.
        told.unwrap_or_else(|| {
            Timestamp::from_millisecond(fresh.as_millisecond().saturating_add(1)).unwrap_or(fresh)
        })
    }
}

impl Circuits {
    /// Creates an empty table of breakers. Without settings, no breaker is ever tracked.
    #[must_use]
    pub const fn new(settings: Option<Settings>, metrics: Arc<Metrics>) -> Self {
        Self {
            settings,
            table: Mutex::new(BreakerTable { circuits: BTreeMap::new(), swept: None }),
            metrics,
        }
    }

    /// Returns whether there are breakers at all.
    pub(in crate::controller) const fn are_on(&self) -> bool {
        self.settings.is_some()
    }

    /// Lets an HTTP request of a saga through if the breaker allows it. If a probe is under way,
    /// the saga is enqueued when the probe has ended.
    pub(in crate::controller) fn admit(
        &self,
        place: &OriginKey,
        saga: &str,
    ) -> Result<Ticket, BreakerAllowance> {
        let (mut table, at) = self.lock();
        let Some(tracked) = table.circuits.get_mut(place) else { return Ok(Ticket::first()) };
        tracked.look(&self.metrics, at);
        tracked.circuit.admit(at).map_err(|refusal| {
            if refusal == BreakerRefusal::Probing {
                tracked.waiting.insert(saga.to_owned());
            }
            BreakerAllowance { left: 0, until: tracked.until }
        })
    }

    /// Lets an HTTP request through whose attempt is already in the status.
    pub(in crate::controller) fn insist(&self, place: &OriginKey) -> Ticket {
        let (mut table, at) = self.lock();
        let Some(tracked) = table.circuits.get_mut(place) else { return Ticket::first() };
        tracked.look(&self.metrics, at);
        tracked.circuit.insist(at)
    }

    /// Records the end of a call. Returns the sagas that wait for that end.
    pub(in crate::controller) fn ended(
        &self,
        place: &OriginKey,
        ticket: Ticket,
        end: CallEnd,
    ) -> Vec<String> {
        let (mut table, at) = self.lock();
        if !table.circuits.contains_key(place) && end != CallEnd::NotSent {
            self.track(&mut table, place, at);
        }
        let Some(tracked) = table.circuits.get_mut(place) else { return Vec::new() };
        tracked.look(&self.metrics, at);
        tracked.circuit.ended(ticket, end, at);
        match tracked.look(&self.metrics, at) {
            BreakerState::Closed => std::mem::take(&mut tracked.waiting).into_iter().collect(),
            // These sagas requeue themselves, and their next reconcile reads the end of the open
            // state.
            BreakerState::Open { .. } => {
                tracked.waiting.clear();
                Vec::new()
            }
            BreakerState::HalfOpen { probing: true, .. } => Vec::new(),
            BreakerState::HalfOpen { probing: false, .. } => {
                tracked.waiting.pop_first().into_iter().collect()
            }
        }
    }

    /// Tracks one more breaker if there is a place for it.
    fn track(&self, table: &mut BreakerTable, place: &OriginKey, at: Instant) {
        let Some(settings) = self.settings else { return };
        let is_full = |table: &BreakerTable| {
            let of_one =
                table.circuits.keys().filter(|key| key.namespace == place.namespace).count();
            table.circuits.len() >= MOST || of_one >= MOST_OF_ONE
        };
        // A user may name any number of hosts, so that a sweep at every call would cost too much.
        if is_full(table)
            && table.swept.is_none_or(|swept| at.saturating_duration_since(swept) >= SWEEP)
        {
            self.forget_idle(table, at);
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

    fn forget_idle(&self, table: &mut BreakerTable, at: Instant) {
        table.swept = Some(at);
        table.circuits.retain(|_, tracked| {
            tracked.look(&self.metrics, at);
            !tracked.circuit.is_idle(at)
        });
    }

    /// Forgets the breakers that are not used any more.
    pub fn forget(&self) {
        let (mut table, at) = self.lock();
        self.forget_idle(&mut table, at);
    }

    /// Returns reports of the breakers in use, in the order of their namespaces and hosts.
    #[must_use]
    pub fn reports(&self) -> Vec<CircuitReport> {
        let (mut table, at) = self.lock();
        self.forget_idle(&mut table, at);
        let report = |(OriginKey { namespace, origin }, tracked): (&OriginKey, &Tracked)| {
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

    /// Returns the table and the current instant. The instant is read under the lock, so that it
    /// never goes back.
    fn lock(&self) -> (MutexGuard<'_, BreakerTable>, Instant) {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        (table, Instant::now())
    }
}

#[cfg(test)]
mod tests;
