//! The HTTP requests that the breakers let through for one reconcile of a saga, and the outcome of
//! each.
//!
//! # Guarantees
//! An HTTP request that was let through and not sent is given back when it is dropped, whatever the
//! outcome of the reconcile.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::breakers::{Circuits, OriginKey};
use crate::{
    api::names::AttemptId,
    controller::queue::{Queue, SagaRef},
    coordination::breaker::{CallEnd, Ticket},
    model::{input::BreakerAllowance, origin::Origin},
};

/// An HTTP request that a breaker let through. All clones stand for the same HTTP request. If no
/// end is reported before the last clone is dropped, the HTTP request counts as not sent.
#[derive(Clone)]
pub struct BreakerTicket(Arc<TicketGuard>);

struct TicketGuard {
    circuits: Arc<Circuits>,
    queue: Queue,
    place: OriginKey,
    ticket: Mutex<Option<Ticket>>,
}

impl fmt::Debug for BreakerTicket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("BreakerTicket").field(&self.0.place).finish()
    }
}

impl BreakerTicket {
    fn new(circuits: &Arc<Circuits>, queue: &Queue, place: &OriginKey, ticket: Ticket) -> Self {
        Self(Arc::new(TicketGuard {
            circuits: Arc::clone(circuits),
            queue: queue.clone(),
            place: place.clone(),
            ticket: Mutex::new(Some(ticket)),
        }))
    }

    /// Reports how the HTTP request ended. Only the first report counts.
    pub fn ended(&self, end: CallEnd) {
        self.0.ended(end);
    }
}

impl TicketGuard {
    fn ended(&self, end: CallEnd) {
        let ticket = self.ticket.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(ticket) = ticket else { return };
        for saga in self.circuits.ended(&self.place, ticket, end) {
            self.queue.enqueue(&SagaRef::new(&self.place.namespace, &saga));
        }
    }
}

impl Drop for TicketGuard {
    fn drop(&mut self) {
        self.ended(CallEnd::NotSent);
    }
}

/// The HTTP requests that the breakers let through for one reconcile of a saga.
pub struct Reservation<'a> {
    circuits: &'a Arc<Circuits>,
    queue: &'a Queue,
    saga: &'a SagaRef,
    /// The breakers that refused an HTTP request.
    allowances: BTreeMap<Origin, BreakerAllowance>,
    admitted: HashMap<Origin, Vec<BreakerTicket>>,
}

impl<'a> Reservation<'a> {
    /// Creates a reservation that has asked for nothing.
    #[must_use]
    pub fn new(circuits: &'a Arc<Circuits>, queue: &'a Queue, saga: &'a SagaRef) -> Self {
        let (allowances, admitted) = (BTreeMap::new(), HashMap::new());
        Self { circuits, queue, saga, allowances, admitted }
    }

    /// Returns the breakers that refused an HTTP request, with the number that each has let
    /// through.
    #[must_use]
    pub const fn allowances(&self) -> &BTreeMap<Origin, BreakerAllowance> {
        &self.allowances
    }

    /// Asks for `wanted` HTTP requests to an origin. Returns false only if the breaker refuses one
    /// of them now. Returns true if all are let through, if there are no breakers, or if the
    /// breaker refused earlier.
    pub fn ask(&mut self, origin: &Origin, wanted: usize) -> bool {
        if !self.circuits.are_on() || self.allowances.contains_key(origin) {
            return true;
        }
        let place = OriginKey::new(&self.saga.namespace, origin);
        let admitted = self.admitted.entry(origin.clone()).or_default();
        while admitted.len() < wanted {
            match self.circuits.admit(&place, &self.saga.name) {
                Ok(ticket) => {
                    admitted.push(BreakerTicket::new(self.circuits, self.queue, &place, ticket));
                }
                Err(allowance) => {
                    self.allowances.insert(
                        origin.clone(),
                        BreakerAllowance { left: admitted.len(), ..allowance },
                    );
                    return false;
                }
            }
        }
        true
    }

    /// Takes the ticket of an HTTP request that was let through and begins now.
    pub fn take(&mut self, origin: &Origin) -> Option<BreakerTicket> {
        self.admitted.get_mut(origin)?.pop()
    }

    /// Creates the ticket of an HTTP request whose attempt is already in the status: the breaker
    /// must not hold the HTTP request back.
    pub fn insist(&self, origin: &Origin) -> Option<BreakerTicket> {
        let place = OriginKey::new(&self.saga.namespace, origin);
        let circuits = self.circuits;
        circuits
            .are_on()
            .then(|| BreakerTicket::new(circuits, self.queue, &place, circuits.insist(&place)))
    }
}

/// An HTTP request that a plan begins.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The attempt that sends the HTTP request.
    pub attempt: AttemptId,
    /// The host, as [`crate::controller::limits::slots`] counts it.
    pub host: String,
    /// Whether the host is a name, which has to be looked up.
    pub named: bool,
    /// The origin of the URL. `None` if the URL is invalid; then no breaker applies.
    pub origin: Option<Origin>,
    /// Whether the attempt is already in the status.
    pub stands: bool,
}
