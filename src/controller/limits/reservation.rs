//! What the circuits let through of the requests that one look at a saga would begin, and what
//! becomes of each.
//!
//! # Guarantees
//! What was let through and never took off is given back by being dropped, whatever became of the
//! look.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::breakers::Place;
use crate::{
    api::names::AttemptId,
    controller::context::Context,
    coordination::breaker::{CallEnd, Ticket},
    model::{input::Gate, origin::Origin},
};

/// A request that a circuit let through. Clones are the same one. Where nobody says how it ended,
/// it was never sent.
#[derive(Clone)]
pub struct Call(Arc<Ending>);

struct Ending {
    context: Arc<Context>,
    place: Place,
    ticket: Mutex<Option<Ticket>>,
}

impl fmt::Debug for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Call").field(&self.0.place).finish()
    }
}

impl Call {
    fn new(context: &Arc<Context>, place: &Place, ticket: Ticket) -> Self {
        Self(Arc::new(Ending {
            context: Arc::clone(context),
            place: place.clone(),
            ticket: Mutex::new(Some(ticket)),
        }))
    }

    /// Says how it ended. What was said first stands.
    pub fn ended(&self, end: CallEnd) {
        self.0.ended(end);
    }
}

impl Ending {
    fn ended(&self, end: CallEnd) {
        let ticket = self.ticket.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(ticket) = ticket else { return };
        for saga in self.context.circuits.ended(&self.place, ticket, end) {
            self.context.announce(&self.place.0, &saga);
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.ended(CallEnd::NotSent);
    }
}

/// What the circuits let through of the requests that one look at a saga would begin.
pub struct Admission<'a> {
    context: &'a Arc<Context>,
    saga: &'a str,
    namespace: &'a str,
    /// The circuits that let no more through.
    gates: BTreeMap<Origin, Gate>,
    admitted: HashMap<Origin, Vec<Call>>,
}

impl<'a> Admission<'a> {
    /// Nothing is asked for yet.
    #[must_use]
    pub fn new(context: &'a Arc<Context>, namespace: &'a str, saga: &'a str) -> Self {
        Self { context, saga, namespace, gates: BTreeMap::new(), admitted: HashMap::new() }
    }

    /// The circuits that let no more through than they did.
    #[must_use]
    pub const fn gates(&self) -> &BTreeMap<Origin, Gate> {
        &self.gates
    }

    /// Asks for as many requests to an origin as are wanted. Returns whether all are let through,
    /// or were refused before.
    pub fn ask(&mut self, origin: &Origin, wanted: usize) -> bool {
        if !self.context.circuits.are_on() || self.gates.contains_key(origin) {
            return true;
        }
        let place = (self.namespace.to_owned(), origin.clone());
        let admitted = self.admitted.entry(origin.clone()).or_default();
        while admitted.len() < wanted {
            match self.context.circuits.admit(&place, self.saga) {
                Ok(ticket) => admitted.push(Call::new(self.context, &place, ticket)),
                Err(gate) => {
                    self.gates.insert(origin.clone(), Gate { left: admitted.len(), ..gate });
                    return false;
                }
            }
        }
        true
    }

    /// The part in its circuit of a request that begins. `stands`: its attempt is in the status
    /// already, so that nothing may keep it back.
    pub fn take(&mut self, origin: &Origin, stands: bool) -> Option<Call> {
        if stands {
            let place = (self.namespace.to_owned(), origin.clone());
            let circuits = &self.context.circuits;
            return circuits
                .are_on()
                .then(|| Call::new(self.context, &place, circuits.insist(&place)));
        }
        self.admitted.get_mut(origin)?.pop()
    }
}

/// A request that a plan begins.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Whose request it is.
    pub attempt: AttemptId,
    /// The host and port, as [`crate::controller::limits::slots`] counts them.
    pub host: String,
    /// Where it goes; `None` where its URL is none, and then no circuit minds.
    pub origin: Option<Origin>,
    /// Whether the attempt stands in the status already.
    pub stands: bool,
}
