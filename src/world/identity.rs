//! The fingerprint of a world: it decides whether two worlds are the same.
//!
//! # Guarantees
//! Worlds with equal fingerprints have the same future. Instants count only relative to now, and
//! only while they can still matter. Versions count only relative to each other. Ids count only by
//! their owner. The two replicas are interchangeable: the fingerprint does not depend on which
//! replica something happened to.
//!
//! # Caveats
//! Texts do not count: messages, reasons, the history of attempts. The fingerprint has 128 bits and
//! does not resist deliberate collisions.

mod memory;
mod status;

use std::time::Duration;

use jiff::Timestamp;

use super::{
    children::{identity, there},
    clocks, look,
    sink::Sink,
    state::{
        ask::Ask,
        fault::Fault,
        trial::{Ending, Trial},
        world::World,
    },
    versions,
};
use crate::clock::between;

/// The age from which it does not matter how long a replica has known a Pod.
const NOTED: Duration = Duration::from_secs(2);

/// Returns the fingerprint of a world.
#[must_use]
pub fn fingerprint(world: &World) -> u128 {
    match *world.processes.as_slice() {
        [_, _] => seen_from(world, &[0, 1]).min(seen_from(world, &[1, 0])),
        _ => seen_from(world, &[0]),
    }
}

/// Returns the hash of the world with its replicas in this order.
fn seen_from(world: &World, order: &[usize]) -> u128 {
    let mut sink = Sink::new(order);
    status::object_into(world, &mut sink, world.object());
    for back in 1..=2 {
        // A copy that no replica may decide from any more does not count.
        match world.copies.back(back).filter(|copy| look::may_be_read(world, copy)) {
            Some(copy) => status::object_into(world, &mut sink, copy),
            None => sink.put(0),
        }
    }
    for number in order {
        if let Some(process) = world.processes.get(*number) {
            memory::process_into(world, &mut sink, process);
        }
        clocks::clock_into(world, &mut sink, *number);
        versions::version_into(world, &mut sink, *number);
    }
    let mut trials: Vec<_> = world.trials.iter().collect();
    trials.sort_unstable_by_key(|trial| trial.who);
    for trial in trials {
        trial_into(&mut sink, trial);
    }
    for truth in &world.truth {
        let done =
            [truth.done_under, truth.undone_under, truth.refused_under, truth.undo_refused_under]
                .map(|key| key.map_or(0, |key| key.saturating_add(1)));
        sink.put(
            u64::from(truth.in_effect)
                | u64::from(truth.undone) << 1
                | u64::from(truth.crashed) << 2,
        );
        sink.numbers(&done);
        sink.put(u64::from(truth.begun) << 16 | u64::from(truth.undo_begun));
    }
    for [action, undo] in world.remade.iter().filter(|_| world.rules.remakes > 0) {
        sink.put(u64::from(*action) << 32 | u64::from(*undo));
    }
    if there::has_children(world) {
        identity::children_into(world, &mut sink);
    }
    for ask in &world.asked {
        ask_into(&mut sink, *ask);
    }
    for fault in &world.faults {
        sink.put(fault_number(*fault));
    }
    sink.sum()
}

fn age(world: &World, sink: &mut Sink<'_>, at: Timestamp, cap: Duration) {
    sink.duration(between(at, world.now).min(cap));
}

fn trial_into(sink: &mut Sink<'_>, trial: &Trial) {
    sink.who(trial.who);
    sink.number(trial.key);
    sink.flag(trial.pod.is_some());
    sink.flag(trial.stopping);
    sink.flag(trial.again);
    let hears =
        trial.hears.and_then(|process| sink.order().iter().position(|number| *number == process));
    sink.count(hears.map_or(0, |place| place + 1));
    sink.put(trial.ended.map_or(0, |ending| 1 + ending_number(ending)));
}

const fn ending_number(ending: Ending) -> u64 {
    match ending {
        Ending::Done => 0,
        Ending::No => 1,
        Ending::Busy => 2,
        Ending::Unknown(landed) => 3 + landed as u64,
        Ending::Vanished(landed) => 5 + landed as u64,
        Ending::Conflict => 7,
        Ending::Crash => 8,
        Ending::Accepted(landed) => 9 + landed as u64,
    }
}

const fn fault_number(fault: Fault) -> u64 {
    match fault {
        Fault::Crash => 0,
        Fault::Freeze => 1,
        Fault::Stall => 2,
        Fault::Lapse => 3,
        Fault::Refuse => 4,
        Fault::SetAhead => 5,
        Fault::SetBack => 6,
        Fault::Deafen => 7,
    }
}

fn ask_into(sink: &mut Sink<'_>, ask: Ask) {
    match ask {
        Ask::Request(action, step) => {
            sink.put(action as u64);
            sink.count(step.map_or(0, |step| step + 1));
        }
        Ask::Suspend => sink.put(100),
        Ask::Unsuspend => sink.put(101),
        Ask::Delete => sink.put(102),
    }
}
