//! An operator: what it remembers, whether it goes on, and under which id it sends requests.

use jiff::Timestamp;

use super::{
    Ending, Fault, Who, World,
    children::View,
    look::{Act, Cursor},
};
use crate::world::children;

/// One operator.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) life: Life,
    /// The number of the id under which it sends requests.
    pub(super) executor: usize,
    /// Ids under which it sent before.
    pub(super) former: Vec<usize>,
    /// The version of the saga below which it decides nothing.
    pub(super) floor: u64,
    /// When its last plan asked to look again.
    pub(super) wake: Option<Timestamp>,
    /// Whether something told it to look.
    pub(super) triggered: bool,
    /// Whether its watches are broken, so that it hears of no change until it lists all again.
    pub(super) deaf: bool,
    /// Whether it is of a later version.
    pub(super) later: bool,
    pub(super) memory: Vec<Known>,
    /// What it was shown of the children, where they are played as they are.
    pub(super) view: View,
}

/// Whether an operator goes on.
#[derive(Clone, Debug)]
pub(super) enum Life {
    Up,
    Down,
    /// In the middle of a look, or between two.
    Halted(Halted),
}

/// An operator that stands still.
#[derive(Clone, Debug)]
pub(super) struct Halted {
    pub(super) since: Timestamp,
    /// [`Fault::Freeze`] or [`Fault::Stall`].
    pub(super) how: Fault,
    /// What is left to be done of the look.
    pub(super) rest: Vec<Act>,
    pub(super) cursor: Cursor,
}

/// What a process remembers of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) who: Who,
    /// When it first read the intent.
    pub(super) first_read: Timestamp,
    /// Since when it knows the Pod, and its number.
    pub(super) child: Option<(Timestamp, u32)>,
    /// Until when it waits after the API server refused to create the Pod.
    pub(super) refused: Option<Timestamp>,
    /// Since when a request of its own is under way.
    pub(super) flight: Option<Timestamp>,
    pub(super) end: Option<End>,
}

/// How an attempt ended, as far as an operator knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum End {
    /// The answer of the other side.
    Answered(Ending),
    /// Given up before an answer came.
    Aborted,
    /// Called off before an answer came, since the Lease of its operator lapsed.
    CalledOff,
}

/// An id under which requests are sent, with its Lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Executor {
    /// Since when its Lease is not renewed any more.
    pub(super) lapsed: Option<Timestamp>,
}

/// The text of an id.
pub(super) fn executor_id(number: usize) -> String {
    format!("executor-{number}")
}

impl Process {
    pub(super) fn new(executor: usize, later: bool) -> Self {
        Self {
            life: Life::Up,
            executor,
            former: Vec::new(),
            floor: 0,
            wake: None,
            triggered: true,
            deaf: false,
            later,
            memory: Vec::new(),
            view: View::default(),
        }
    }

    pub(super) const fn is_up(&self) -> bool {
        matches!(self.life, Life::Up)
    }

    pub(super) const fn is_down(&self) -> bool {
        matches!(self.life, Life::Down)
    }

    pub(super) fn known(&mut self, who: Who, now: Timestamp) -> &mut Known {
        let place = self.memory.iter().position(|known| known.who == who).unwrap_or_else(|| {
            self.memory.push(Known {
                who,
                first_read: now,
                child: None,
                refused: None,
                flight: None,
                end: None,
            });
            self.memory.len().saturating_sub(1)
        });
        // Just looked for, or just put there.
        #[expect(clippy::indexing_slicing, reason = "the place of an element")]
        &mut self.memory[place]
    }

    /// The attempts that it is still to begin once it goes on.
    pub(super) fn to_begin(&self) -> Vec<Who> {
        match &self.life {
            Life::Halted(halted) => halted.rest.iter().filter_map(Act::begins).collect(),
            Life::Up | Life::Down => Vec::new(),
        }
    }
}

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
    children::watch::list(world, number);
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
