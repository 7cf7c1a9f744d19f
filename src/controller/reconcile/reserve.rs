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
        input::{PlanInput, ThisProcess},
        origin,
        plan::{Effect, Plan},
        saga::{Identity, ValidSaga, Work},
    },
};

/// Returns the plan and the slots of the HTTP requests that it begins. If a host has no free slot
/// or its breaker is not closed, the plan lets the HTTP requests to that host wait.
pub(in crate::controller) fn plan_with_slots(
    outbound: &Outbound,
    queue: &Queue,
    attempts: &Attempts,
    saga: &Result<ValidSaga, Vec<Fault>>,
    seen: &PlanInput<'_>,
) -> (Plan, HashMap<AttemptId, Slot>) {
    let (mut taken, mut room) = (HashMap::<String, Vec<Slot>>::new(), BTreeMap::new());
    let who = saga
        .as_ref()
        .map_or_else(|_| SagaRef::default(), |saga| SagaRef::new(&saga.namespace, &saga.name));
    let mut circuits = Reservation::new(&outbound.circuits, queue, &who);
    // Each further round adds a limit for a host or a refusing breaker for an origin. So the loop
    // ends, at the latest when every host has a limit and every breaker refuses.
    loop {
        let plan = plan(
            saga,
            &PlanInput {
                process: ThisProcess {
                    host_capacity: room.clone(),
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
        if !count(new).iter().all(|(origin, wanted)| circuits.ask(origin, *wanted)) {
            continue;
        }
        let limited = room.len();
        for (host, wanted) in count(requests.iter().map(|request| request.host.clone())) {
            let slots = taken.entry(host.clone()).or_default();
            while slots.len() < wanted && !room.contains_key(&host) {
                match Slot::take(&outbound.slots, queue, &who, &host) {
                    Some(slot) => slots.push(slot),
                    None => _ = room.insert(host.clone(), slots.len()),
                }
            }
        }
        if room.len() == limited {
            let slots =
                requests.into_iter().filter_map(|Outgoing { attempt, host, origin, stands }| {
                    if !stands {
                        attempts.intend(&AttemptKey::new(&saga.uid, attempt.clone()));
                    }
                    let call = origin.and_then(|origin| {
                        if stands { circuits.insist(&origin) } else { circuits.take(&origin) }
                    });
                    Some((attempt, taken.get_mut(&host)?.pop()?.with(call)))
                });
            return (plan, slots.collect());
        }
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
        Some(Outgoing { attempt: attempt.clone(), host, origin, stands })
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
