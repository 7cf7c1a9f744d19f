//! An operator: what it remembers, whether it goes on, and under which id it sends requests.

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

/// An object changed: who watches it is told.
pub(super) fn trigger_all(world: &mut World) {
    for process in &mut world.processes {
        process.triggered |= !process.deaf;
    }
}

/// An operator's watches break. `None` where they are broken, or where it watches nothing.
pub(super) fn deafen(world: &mut World, number: usize) -> Option<()> {
    world.processes.get_mut(number).filter(|process| !process.is_down() && !process.deaf)?.deaf =
        true;
    Some(())
}

/// An operator whose watches broke lists all again, and looks.
pub(super) fn relist(world: &mut World, number: usize) -> Option<()> {
    let process =
        world.processes.get_mut(number).filter(|process| process.is_up() && process.deaf)?;
    (process.deaf, process.triggered) = (false, true);
    Some(())
}

/// The Lease of an operator is not renewed any more. The others read it again and again: no
/// watch tells them.
fn trigger_others(world: &mut World, but: usize) {
    for (number, process) in world.processes.iter_mut().enumerate() {
        process.triggered |= number != but;
    }
}

/// The operator hears how its request ended.
pub(super) fn hear(world: &mut World, process: usize, who: Who, ending: Ending) {
    let now = world.now;
    let Some(process) = world.processes.get_mut(process) else { return };
    let known = process.known(who, now);
    known.flight = None;
    known.end.get_or_insert(End::Answered(ending));
    process.triggered = true;
}

/// The operator dies, with all it knows; nobody hears of its requests any more.
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

/// Another process starts in its place, under a new id.
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

/// The renewals of an operator's Lease are refused: its requests are aborted, a new id follows.
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
