//! The part of a fingerprint that covers the memory of a replica, and the remaining acts of a
//! halted replica.

use std::{sync::Arc, time::Duration};

use super::{
    children, clocks,
    encode::{NOTED, age, ending_number, fault_number},
    hash::StateHash,
    saga,
};
use crate::{
    api::SagaStatus,
    clock::between,
    coordination::{executor_lease::TERM, fence::CREATED_WITHIN},
    model::saga::Work,
    world::{
        query,
        state::{
            object::{SagaObject, active_in},
            reconcile::{Act, Cursor, Start},
            replica::{AttemptMemory, Halted, KnownEnd, Life, Replica, executor_id},
            world::World,
        },
    },
};

pub(super) fn replica_into(world: &World, hash: &mut StateHash<'_>, replica: &Replica) {
    hash.put(u64::from(replica.triggered) | u64::from(replica.watches_broken) << 1);
    hash.put(world.object().version.saturating_sub(replica.floor).min(3));
    match replica.wake.filter(|_| replica.is_up() || matches!(replica.life, Life::Halted(_))) {
        Some(wake) => {
            hash.duration(between(world.now, wake).saturating_add(Duration::from_micros(1)));
        }
        None => hash.put(0),
    }
    match &replica.life {
        Life::Up => hash.put(0),
        Life::Down => hash.put(1),
        Life::Halted(halted) => halted_into(world, hash, halted, replica),
    }
    let mut memory: Vec<_> = replica.memory.iter().collect();
    memory.sort_unstable_by_key(|known| known.attempt);
    for known in memory {
        known_into(world, hash, known, replica);
    }
    hash.count(replica.memory.len());
    if query::simulates_children(world) {
        children::cache_into(world, hash, replica);
    }
}

fn halted_into(world: &World, hash: &mut StateHash<'_>, halted: &Halted, replica: &Replica) {
    let Halted { since, how, rest, cursor: Cursor { version, written, executor, ahead } } = halted;
    hash.put(fault_number(*how).saturating_add(2));
    age(world, hash, *since, TERM);
    hash.put(world.object().version.saturating_sub(*version).min(9));
    hash.flag(*executor == replica.executor);
    clocks::ahead_into(world, hash, *ahead);
    match written {
        Some(written) => age(world, hash, *written, NOTED),
        None => hash.put(u64::MAX),
    }
    hash.count(rest.len());
    for act in rest {
        match act {
            Act::AddFinalizer => hash.put(1),
            Act::Write(status) => {
                hash.put(2);
                if let Ok(status) = status.as_ref() {
                    drafted_into(world, hash, status);
                }
            }
            Act::RemoveFinalizer { alone } => hash.put(if *alone { 3 } else { 4 }),
            Act::Begin(Start { attempt, key, intended, time_limit: _, object }) => {
                hash.put(5);
                hash.put(object.map_or(0, |object| u64::from(object) + 1));
                hash.attempt(*attempt);
                hash.number(*key);
                age(world, hash, *intended, CREATED_WITHIN);
            }
            Act::Stop(attempt) => {
                hash.put(6);
                hash.attempt(*attempt);
            }
            Act::TakeAway { handled, .. } => {
                hash.put(7);
                hash.number(handled.saturating_sub(world.object().handled));
            }
            Act::Delete => hash.put(8),
            Act::Publish(_) | Act::Sweep => {}
        }
    }
}

/// Writes a status that a halted replica is still to store. The caller skips a status that cannot
/// be read.
fn drafted_into(world: &World, hash: &mut StateHash<'_>, status: &SagaStatus) {
    let object = SagaObject { status: Arc::new(Ok(status.clone())), ..world.object().clone() };
    saga::status_into(world, hash, &object);
    hash.count(active_in(status).count());
}

fn known_into(world: &World, hash: &mut StateHash<'_>, known: &AttemptMemory, replica: &Replica) {
    let AttemptMemory { attempt, first_read, child, refused, flight, end } = known;
    hash.attempt(*attempt);
    hash.flag(flight.is_some());
    let valid = world
        .object()
        .saga()
        .steps
        .get(attempt.place)
        .and_then(|step| step.operation(attempt.direction));
    let sender = world
        .object()
        .active()
        .find(|(active, _)| active == attempt)
        .and_then(|(_, record)| record.active.as_ref()?.executor.clone());
    let is_ours = sender.is_some_and(|sender| sender == executor_id(replica.executor));
    let cap = match valid.map(|operation| (&operation.work, operation.timeout)) {
        Some((Work::Http(_), _)) if is_ours => Duration::ZERO,
        Some((Work::Http(_), timeout)) => timeout.saturating_add(CREATED_WITHIN),
        Some(_) | None => CREATED_WITHIN,
    };
    age(world, hash, *first_read, cap);
    match refused {
        Some(until) => {
            hash.duration(between(world.now, *until).saturating_add(Duration::from_micros(1)));
        }
        None => hash.put(0),
    }
    match child {
        Some((since, pod)) => {
            age(world, hash, *since, NOTED);
            let same = world
                .executions
                .iter()
                .any(|execution| execution.attempt == *attempt && execution.pod == Some(*pod));
            hash.put(if same { 1 } else { 2 });
        }
        None => hash.put(3),
    }
    hash.put(match end {
        None => 0,
        Some(KnownEnd::Aborted) => 1,
        Some(KnownEnd::CalledOff) => 2,
        Some(KnownEnd::Answered(ending)) => 3 + ending_number(*ending),
    });
}
