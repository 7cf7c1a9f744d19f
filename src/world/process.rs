//! A replica: its memory, its life, and the id under which it sends HTTP requests.

use jiff::Timestamp;

use super::{
    children::watch,
    state::{
        fault::Fault,
        process::{End, Executor, Halted, Life, Process},
        trial::Ending,
        world::{Who, World},
    },
};

/// Triggers every replica whose watches work: an object changed.
pub(super) fn trigger_all(world: &mut World) {
    for process in &mut world.processes {
        process.triggered |= !process.deaf;
    }
}

/// Breaks the watches of a replica. Returns `None` if they are broken already, or if the replica is
/// down and has no watches.
pub(super) fn deafen(world: &mut World, number: usize) -> Option<()> {
    world.processes.get_mut(number).filter(|process| !process.is_down() && !process.deaf)?.deaf =
        true;
    Some(())
}

/// Lists all objects again for a replica whose watches broke, and triggers the replica.
pub(super) fn relist(world: &mut World, number: usize) -> Option<()> {
    let process =
        world.processes.get_mut(number).filter(|process| process.is_up() && process.deaf)?;
    (process.deaf, process.triggered) = (false, true);
    Some(())
}

/// Triggers the other replicas when the Lease of a replica is not renewed any more. They read that
/// Lease repeatedly: no watch reports it.
fn trigger_others(world: &mut World, but: usize) {
    for (number, process) in world.processes.iter_mut().enumerate() {
        process.triggered |= number != but;
    }
}

/// Tells a replica how its HTTP request ended.
pub(super) fn hear(world: &mut World, process: usize, who: Who, ending: Ending) {
    let now = world.now;
    let Some(process) = world.processes.get_mut(process) else { return };
    let known = process.known(who, now);
    known.flight = None;
    known.end.get_or_insert(End::Answered(ending));
    process.triggered = true;
}

/// Ends a process, with all that it knows. No replica waits for its HTTP requests any more.
pub(super) fn crash(world: &mut World, number: usize) -> Option<()> {
    let now = world.now;
    let process = world.processes.get_mut(number).filter(|process| !process.is_down())?;
    let lapsed = match &process.life {
        Life::Halted(Halted { since, how: Fault::Freeze, .. }) => *since,
        Life::Up | Life::Down | Life::Halted(_) => now,
    };
    let Process { executor, later, .. } = *process;
    *process = Process { life: Life::Down, triggered: false, ..Process::new(executor, later) };
    end_executor(world, executor, lapsed);
    unhear(world, number);
    trigger_others(world, number);
    Some(())
}

/// Starts another process in the place of one that is down, under a new executor id.
pub(super) fn restart(world: &mut World, number: usize) -> Option<()> {
    let (executor, stays) =
        (world.executors.len(), world.rules.later.is_some_and(|later| later.stays));
    let process = world.processes.get_mut(number).filter(|process| process.is_down())?;
    *process = Process::new(executor, process.later && stays);
    if let Some(clock) = world.clocks.get_mut(number) {
        clock.set = None;
    }
    world.executors.push(Executor::default());
    watch::list(world, number);
    Some(())
}

/// Refuses the renewals of the Lease of a replica. Its HTTP requests are aborted, and a new
/// executor id follows.
pub(super) fn lapse(world: &mut World, number: usize, since: Timestamp) -> Option<()> {
    let next = world.executors.len();
    let process = world.processes.get_mut(number).filter(|process| process.is_up())?;
    let over = std::mem::replace(&mut process.executor, next);
    process.former.push(over);
    process.triggered = true;
    for known in process.memory.iter_mut().filter(|known| known.flight.is_some()) {
        known.flight = None;
        known.end.get_or_insert(End::CalledOff);
    }
    world.executors.push(Executor::default());
    end_executor(world, over, since);
    unhear(world, number);
    trigger_others(world, number);
    Some(())
}

pub(super) fn end_executor(world: &mut World, number: usize, since: Timestamp) {
    if let Some(executor) = world.executors.get_mut(number) {
        executor.lapsed.get_or_insert(since);
    }
}

fn unhear(world: &mut World, process: usize) {
    for trial in world.trials.iter_mut().filter(|trial| trial.hears == Some(process)) {
        trial.hears = None;
    }
}
