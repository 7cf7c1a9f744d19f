//! Reserves slots and breakers for the HTTP requests of a plan, and plans again without those that
//! find no place.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    api::{names::AttemptId, status::active_attempts},
    controller::{
        limits::{
            reservation::{Outgoing, Reservation},
            slots::Slot,
        },
        memory::{attempt::AttemptKey, attempts::Attempts},
        outbound::Outbound,
        queue::{Queue, SagaRef},
    },
    engine::plan,
    fault::Fault,
    model::{
        input::{CallCapacity, CallLimit, PlanInput, ThisProcess},
        origin,
        plan::{Effect, Plan},
        saga::{Identity, ValidSaga, Work},
    },
};

/// Returns the plan and the slots of the HTTP requests that it begins. If a limit lets no more HTTP
/// requests to a host begin or the breaker of the host is not closed, the plan lets the HTTP
/// requests to that host wait.
pub(in crate::controller) fn plan_with_slots(
    outbound: &Outbound,
    queue: &Queue,
    attempts: &Attempts,
    saga: &Result<ValidSaga, Vec<Fault>>,
    seen: &PlanInput<'_>,
) -> (Plan, HashMap<AttemptId, Slot>) {
    let who = saga
        .as_ref()
        .map_or_else(|_| SagaRef::default(), |saga| SagaRef::new(&saga.namespace, &saga.name));
    let mut taken = TakenSlots::new(outbound, queue, &who);
    let mut circuits = Reservation::new(&outbound.circuits, queue, &who);
    // Each further round adds a limit for a host or a refusing breaker for an origin. So the loop
    // ends, at the latest when every host has a limit and every breaker refuses.
    loop {
        let plan = plan(
            saga,
            &PlanInput {
                process: ThisProcess {
                    host_capacity: taken.capacity.clone(),
                    circuits: circuits.allowances().clone(),
                    ..seen.process.clone()
                },
                ..seen.clone()
            },
        );
        let Ok(saga) = saga else { return (plan, HashMap::new()) };
        let requests = requests(seen, &plan);
        // Breakers come first, so that an HTTP request that waits for its breaker takes no slot.
        let new = requests
            .iter()
            .filter(|request| !request.stands)
            .filter_map(|request| request.origin.clone());
        // All are asked in one round: each further round makes a whole plan.
        let ask = |all, (origin, wanted): (&_, &_)| circuits.ask(origin, *wanted) && all;
        if !count(new).iter().fold(true, ask) {
            continue;
        }
        if taken.ask(&requests) {
            taken.wait(&requests);
            let slots = requests.into_iter().filter_map(
                |Outgoing { attempt, host, origin, stands, .. }| {
                    if !stands {
                        attempts.intend(&AttemptKey::new(&saga.uid, attempt.clone()));
                    }
                    let call = origin.and_then(|origin| {
                        if stands { circuits.insist(&origin) } else { circuits.take(&origin) }
                    });
                    Some((attempt, taken.slots.get_mut(&host)?.pop()?.with(call)))
                },
            );
            return (plan, slots.collect());
        }
    }
}

/// The slots that were taken for one reconcile of a saga.
struct TakenSlots<'a> {
    outbound: &'a Outbound,
    queue: &'a Queue,
    saga: &'a SagaRef,
    /// The slots, by host.
    slots: HashMap<String, Vec<Slot>>,
    /// The hosts for which no slot was free, with the number of slots that were taken.
    capacity: BTreeMap<String, CallCapacity>,
}

impl<'a> TakenSlots<'a> {
    fn new(outbound: &'a Outbound, queue: &'a Queue, saga: &'a SagaRef) -> Self {
        Self { outbound, queue, saga, slots: HashMap::new(), capacity: BTreeMap::new() }
    }

    /// Takes a slot for each of these HTTP requests. Returns false if that shows a host for which
    /// no slot is free.
    fn ask(&mut self, requests: &[Outgoing]) -> bool {
        let limited = self.capacity.len();
        for ((host, named), wanted) in
            count(requests.iter().map(|request| (request.host.clone(), request.named)))
        {
            while self.slots.get(&host).map_or(0, Vec::len) < wanted
                && !self.capacity.contains_key(&host)
            {
                match self.take(&host, named) {
                    Ok(slot) => self.slots.entry(host.clone()).or_default().push(slot),
                    Err(limit) => {
                        let left = self.slots.get(&host).map_or(0, Vec::len);
                        self.capacity.insert(host.clone(), CallCapacity { left, limit });
                    }
                }
            }
        }
        self.capacity.len() == limited
    }

    /// Takes a slot for an HTTP request to a host. `named`: whether the host has to be looked up.
    fn take(&self, host: &str, named: bool) -> Result<Slot, CallLimit> {
        let slow = named.then(|| self.outbound.caller.lookups().blocks(self.saga, self.queue));
        match slow.flatten() {
            Some(limit) => Err(limit),
            None => Slot::take(&self.outbound.slots, self.saga, host),
        }
    }

    /// Lets the saga wait for slots of those hosts alone for which these HTTP requests take every
    /// slot that the saga got. If they leave a slot, the saga needs no more. If look-ups are slow,
    /// the saga waits for them, and a slot would be of no use.
    fn wait(&self, requests: &[Outgoing]) {
        let begun = count(requests.iter().map(|request| request.host.as_str()));
        self.outbound.slots.keep(self.saga, |host| match self.capacity.get(host) {
            Some(CallCapacity {
                left,
                limit: CallLimit::Host(_) | CallLimit::Namespace(_) | CallLimit::Process(_),
            }) => begun.get(host).copied().unwrap_or_default() >= *left,
            Some(CallCapacity {
                limit: CallLimit::NamespaceLookups(_) | CallLimit::ProcessLookups(_),
                ..
            })
            | None => false,
        });
    }
}

/// Returns the HTTP requests that a plan begins.
fn requests(seen: &PlanInput<'_>, plan: &Plan) -> Vec<Outgoing> {
    let standing: BTreeSet<_> =
        seen.stored.status.iter().flat_map(active_attempts).map(|(attempt, _)| attempt).collect();
    let request = |effect: &Effect| {
        let Effect::Begin { identity: Identity { attempt, .. }, work, .. } = effect else {
            return None;
        };
        let Work::Http(action) = work.as_ref() else { return None };
        let (host, origin) = (origin::host(&action.url), origin::origin(&action.url));
        let stands = standing.contains(attempt);
        let named = origin::has_name(&action.url);
        Some(Outgoing { attempt: attempt.clone(), host, named, origin, stands })
    };
    plan.drafted_effects().iter().filter_map(request).collect()
}

/// Counts how often each value occurs.
fn count<T: Ord>(all: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests;
