//! A replica: its memory, its life, and the id under which it sends HTTP requests.

use std::time::Duration;

use jiff::Timestamp;

use super::state::{
    attempt::AttemptRef,
    execution::AttemptEnd,
    fault::ReplicaFault,
    replica::{Executor, Halted, KnownEnd, Life, Replica},
    world::World,
};
use crate::clock::later;

/// Triggers every replica whose watches work: an object changed.
pub(super) fn trigger_all(world: &mut World) {
    for replica in &mut world.replicas {
        replica.triggered |= !replica.watches_broken;
    }
}

/// Breaks the watches of a replica. Returns `None` if they are broken already, or if the replica is
/// down and has no watches.
pub(super) fn break_watches(world: &mut World, number: usize) -> Option<()> {
    world
        .replicas
        .get_mut(number)
        .filter(|replica| !replica.is_down() && !replica.watches_broken)?
        .watches_broken = true;
    Some(())
}

/// Lists all objects again for a replica whose watches broke, and triggers the replica.
pub(super) fn relist(world: &mut World, number: usize) -> Option<()> {
    let replica = world
        .replicas
        .get_mut(number)
        .filter(|replica| replica.is_up() && replica.watches_broken)?;
    (replica.watches_broken, replica.triggered) = (false, true);
    Some(())
}

/// Triggers the other replicas when the Lease of a replica is not renewed any more. They read that
/// Lease repeatedly: no watch reports it.
fn trigger_others(world: &mut World, but: usize) {
    for (number, replica) in world.replicas.iter_mut().enumerate() {
        replica.triggered |= number != but;
    }
}

/// Refuses the creation of a child to a replica, which tries again after a second.
pub(super) fn refuse_creation(world: &mut World, number: usize, attempt: AttemptRef) {
    const WAIT: Duration = Duration::from_secs(1);
    let now = world.now;
    let Some(replica) = world.replicas.get_mut(number) else { return };
    replica.memory_of(attempt, now).refused = Some(later(now, WAIT));
    replica.triggered = true;
}

/// Tells a replica how its HTTP request ended.
pub(super) fn receive_answer(
    world: &mut World,
    replica: usize,
    attempt: AttemptRef,
    ending: AttemptEnd,
) {
    let now = world.now;
    let Some(replica) = world.replicas.get_mut(replica) else { return };
    let known = replica.memory_of(attempt, now);
    known.flight = None;
    known.end.get_or_insert(KnownEnd::Answered(ending));
    replica.triggered = true;
}

/// Ends a process, with all that it knows. No replica waits for its HTTP requests any more.
pub(super) fn crash(world: &mut World, number: usize) -> Option<()> {
    let now = world.now;
    let replica = world.replicas.get_mut(number).filter(|replica| !replica.is_down())?;
    let lapsed = match &replica.life {
        Life::Halted(Halted { since, how: ReplicaFault::Freeze, .. }) => *since,
        Life::Up | Life::Down | Life::Halted(_) => now,
    };
    let Replica { executor, later, .. } = *replica;
    *replica = Replica { life: Life::Down, triggered: false, ..Replica::new(executor, later) };
    end_executor(world, executor, lapsed);
    stop_awaiting(world, number);
    trigger_others(world, number);
    Some(())
}

/// Starts another process in the place of one that is down, under a new executor id. The caller
/// lists the children for the new process.
pub(super) fn restart(world: &mut World, number: usize) -> Option<()> {
    let (executor, stays) =
        (world.executors.len(), world.rules.later.is_some_and(|later| later.stays));
    let replica = world.replicas.get_mut(number).filter(|replica| replica.is_down())?;
    *replica = Replica::new(executor, replica.later && stays);
    if let Some(clock) = world.clocks.get_mut(number) {
        clock.set = None;
    }
    world.executors.push(Executor::default());
    Some(())
}

/// Refuses the renewals of the Lease of a replica. Its HTTP requests are aborted, and a new
/// executor id follows.
pub(super) fn lapse(world: &mut World, number: usize, since: Timestamp) -> Option<()> {
    let next = world.executors.len();
    let replica = world.replicas.get_mut(number).filter(|replica| replica.is_up())?;
    let over = std::mem::replace(&mut replica.executor, next);
    replica.former.push(over);
    replica.triggered = true;
    for known in replica.memory.iter_mut().filter(|known| known.flight.is_some()) {
        known.flight = None;
        known.end.get_or_insert(KnownEnd::CalledOff);
    }
    world.executors.push(Executor::default());
    end_executor(world, over, since);
    stop_awaiting(world, number);
    trigger_others(world, number);
    Some(())
}

/// Ends the renewals of the Lease if the replica is frozen.
pub(super) fn stop_renewals(world: &mut World, number: usize, how: ReplicaFault) {
    let now = world.now;
    let Some(executor) = world.replicas.get(number).map(|replica| replica.executor) else {
        return;
    };
    if how == ReplicaFault::Freeze {
        end_executor(world, executor, now);
    }
}

fn end_executor(world: &mut World, number: usize, since: Timestamp) {
    if let Some(executor) = world.executors.get_mut(number) {
        executor.lapsed.get_or_insert(since);
    }
}

fn stop_awaiting(world: &mut World, replica: usize) {
    for execution in
        world.executions.iter_mut().filter(|execution| execution.awaited_by == Some(replica))
    {
        execution.awaited_by = None;
    }
}
