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

mod children;
mod clocks;
mod encode;
mod hash;
mod replica;
mod saga;

use self::{
    encode::{ending_number, fault_number},
    hash::StateHash,
};
use super::{
    query, reconcile,
    state::{execution::Execution, user::UserMove, world::World},
};

/// Returns the fingerprint of a world.
#[must_use]
pub fn fingerprint(world: &World) -> u128 {
    match *world.replicas.as_slice() {
        [_, _] => seen_from(world, &[0, 1]).min(seen_from(world, &[1, 0])),
        _ => seen_from(world, &[0]),
    }
}

/// Returns the hash of the world with its replicas in this order.
fn seen_from(world: &World, order: &[usize]) -> u128 {
    let mut hash = StateHash::new(order);
    saga::object_into(world, &mut hash, world.object());
    for back in 1..=2 {
        // A copy that no replica may decide from any more does not count.
        match world.copies.back(back).filter(|copy| reconcile::may_be_read(world, copy)) {
            Some(copy) => saga::object_into(world, &mut hash, copy),
            None => hash.put(0),
        }
    }
    for number in order {
        if let Some(replica) = world.replicas.get(*number) {
            replica::replica_into(world, &mut hash, replica);
        }
        clocks::clock_into(world, &mut hash, *number);
        encode::version_into(world, &mut hash, *number);
    }
    let mut executions: Vec<_> = world.executions.iter().collect();
    executions.sort_unstable_by_key(|execution| execution.attempt);
    for execution in executions {
        execution_into(&mut hash, execution);
    }
    for truth in &world.truth {
        let done =
            [truth.done_under, truth.undone_under, truth.refused_under, truth.undo_refused_under]
                .map(|key| key.map_or(0, |key| key.saturating_add(1)));
        hash.put(
            u64::from(truth.in_effect)
                | u64::from(truth.undone) << 1
                | u64::from(truth.crashed) << 2,
        );
        hash.numbers(&done);
        hash.put(u64::from(truth.begun) << 16 | u64::from(truth.undo_begun));
    }
    for [action, undo] in world.remade.iter().filter(|_| world.rules.remakes > 0) {
        hash.put(u64::from(*action) << 32 | u64::from(*undo));
    }
    if query::simulates_children(world) {
        children::children_into(world, &mut hash);
    }
    for user_move in &world.asked {
        user_move_into(&mut hash, *user_move);
    }
    for fault in &world.faults {
        hash.put(fault_number(*fault));
    }
    hash.sum()
}

fn execution_into(hash: &mut StateHash<'_>, execution: &Execution) {
    hash.attempt(execution.attempt);
    hash.number(execution.key);
    hash.flag(execution.pod.is_some());
    hash.flag(execution.stopping);
    hash.flag(execution.again);
    let awaited_by = execution
        .awaited_by
        .and_then(|replica| hash.order().iter().position(|number| *number == replica));
    hash.count(awaited_by.map_or(0, |place| place + 1));
    hash.put(execution.ended.map_or(0, |ending| 1 + ending_number(ending)));
}

fn user_move_into(hash: &mut StateHash<'_>, user_move: UserMove) {
    match user_move {
        UserMove::Request(action, step) => {
            hash.put(action as u64);
            hash.count(step.map_or(0, |step| step + 1));
        }
        UserMove::Suspend => hash.put(100),
        UserMove::Unsuspend => hash.put(101),
        UserMove::Delete => hash.put(102),
    }
}
