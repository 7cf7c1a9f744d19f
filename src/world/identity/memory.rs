//! The part of a fingerprint that covers the memory of a replica, and the remaining acts of a
//! halted replica.

use std::{sync::Arc, time::Duration};

use super::{NOTED, ending_number, fault_number};
use crate::{
    api::SagaStatus,
    clock::between,
    coordination::{executor_lease::TERM, fence::CREATED_WITHIN},
    model::saga::Work,
    world::{
        Object,
        children::{identity, there},
        clocks,
        identity::{age, status},
        sink::Sink,
        state::{
            look::{Act, Cursor, Start},
            object::active_in,
            process::{End, Halted, Known, Life, Process, executor_id},
            world::World,
        },
    },
};

pub(super) fn process_into(world: &World, sink: &mut Sink<'_>, process: &Process) {
    sink.put(u64::from(process.triggered) | u64::from(process.deaf) << 1);
    sink.put(world.object().version.saturating_sub(process.floor).min(3));
    match process.wake.filter(|_| process.is_up() || matches!(process.life, Life::Halted(_))) {
        Some(wake) => {
            sink.duration(between(world.now, wake).saturating_add(Duration::from_micros(1)));
        }
        None => sink.put(0),
    }
    match &process.life {
        Life::Up => sink.put(0),
        Life::Down => sink.put(1),
        Life::Halted(halted) => halted_into(world, sink, halted, process),
    }
    let mut memory: Vec<_> = process.memory.iter().collect();
    memory.sort_unstable_by_key(|known| known.who);
    for known in memory {
        known_into(world, sink, known, process);
    }
    sink.count(process.memory.len());
    if there::has_children(world) {
        identity::view_into(world, sink, process);
    }
}

fn halted_into(world: &World, sink: &mut Sink<'_>, halted: &Halted, process: &Process) {
    let Halted { since, how, rest, cursor: Cursor { version, written, executor, ahead } } = halted;
    sink.put(fault_number(*how).saturating_add(2));
    age(world, sink, *since, TERM);
    sink.put(world.object().version.saturating_sub(*version).min(9));
    sink.flag(*executor == process.executor);
    clocks::ahead_into(world, sink, *ahead);
    match written {
        Some(written) => age(world, sink, *written, NOTED),
        None => sink.put(u64::MAX),
    }
    sink.count(rest.len());
    for act in rest {
        match act {
            Act::AddFinalizer => sink.put(1),
            Act::Write(status) => {
                sink.put(2);
                if let Ok(status) = status.as_ref() {
                    drafted_into(world, sink, status);
                }
            }
            Act::RemoveFinalizer { alone } => sink.put(if *alone { 3 } else { 4 }),
            Act::Begin(Start { who, key, intended, time_limit: _, object }) => {
                sink.put(5);
                sink.put(object.map_or(0, |object| u64::from(object) + 1));
                sink.who(*who);
                sink.number(*key);
                age(world, sink, *intended, CREATED_WITHIN);
            }
            Act::Stop(who) => {
                sink.put(6);
                sink.who(*who);
            }
            Act::TakeAway { handled, .. } => {
                sink.put(7);
                sink.number(handled.saturating_sub(world.object().handled));
            }
            Act::Delete => sink.put(8),
            Act::Publish(_) | Act::Sweep => {}
        }
    }
}

/// Writes a status that a halted replica is still to store. The caller skips a status that cannot
/// be read.
fn drafted_into(world: &World, sink: &mut Sink<'_>, status: &SagaStatus) {
    let object = Object { status: Arc::new(Ok(status.clone())), ..world.object().clone() };
    status::status_into(world, sink, &object);
    sink.count(active_in(status).count());
}

fn known_into(world: &World, sink: &mut Sink<'_>, known: &Known, process: &Process) {
    let Known { who, first_read, child, refused, flight, end } = known;
    sink.who(*who);
    sink.flag(flight.is_some());
    let valid =
        world.object().saga().steps.get(who.place).and_then(|step| step.operation(who.direction));
    let sender = world
        .object()
        .active()
        .find(|(active, _)| active == who)
        .and_then(|(_, record)| record.active.as_ref()?.executor.clone());
    let is_ours = sender.is_some_and(|sender| sender == executor_id(process.executor));
    let cap = match valid.map(|operation| (&operation.work, operation.timeout)) {
        Some((Work::Http(_), _)) if is_ours => Duration::ZERO,
        Some((Work::Http(_), timeout)) => timeout.saturating_add(CREATED_WITHIN),
        Some(_) | None => CREATED_WITHIN,
    };
    age(world, sink, *first_read, cap);
    match refused {
        Some(until) => {
            sink.duration(between(world.now, *until).saturating_add(Duration::from_micros(1)));
        }
        None => sink.put(0),
    }
    match child {
        Some((since, pod)) => {
            age(world, sink, *since, NOTED);
            let same =
                world.trials.iter().any(|trial| trial.who == *who && trial.pod == Some(*pod));
            sink.put(if same { 1 } else { 2 });
        }
        None => sink.put(3),
    }
    sink.put(match end {
        None => 0,
        Some(End::Aborted) => 1,
        Some(End::CalledOff) => 2,
        Some(End::Answered(ending)) => 3 + ending_number(*ending),
    });
}
