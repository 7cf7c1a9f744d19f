//! The possible moves, and the result of each move.

use jiff::Timestamp;

use super::{
    Happened, asks,
    children::{actors, there},
    clocks, faults, gather, laws, look, other_side, person, process,
    state::{
        fault::{Fault, Halt},
        look::Look,
        moves::Move,
        process::Life,
        trial::Ending,
        world::{Step, World},
    },
};
use crate::{
    clock::{between, later},
    coordination::{
        executor_lease::{HOLDS_FOR, TERM},
        fence::FRESH,
    },
};

/// Returns every move that may happen next.
#[must_use]
pub fn moves(world: &World) -> Vec<Move> {
    let mut moves = Vec::new();
    expand(world, &mut |next, _| moves.push(next));
    moves
}

/// Returns the result of a move; `None` if the move cannot happen.
#[must_use]
pub fn apply(before: &World, next: &Move) -> Option<Step> {
    let mut step = Step { world: before.clone(), happened: Vec::new(), broken: Vec::new() };
    let Step { world, happened, broken } = &mut step;
    match *next {
        Move::Look { process, staleness, halt } => {
            if halt.is_some_and(|halt| {
                !Fault::HALTS.contains(&halt.how) || !faults::may_happen(before, halt.how)
            }) {
                return None;
            }
            let look = look::decide(world, process, staleness, broken)?;
            if halt.is_some_and(|halt| halt.after >= look.length()) {
                return None;
            }
            look::carry_out(world, process, look, halt, happened, broken)?;
        }
        Move::Strike { process, fault } => faults::strike(world, process, fault)?,
        Move::Resume(process) => look::resume(world, process, happened, broken)?,
        Move::Relist(process) => process::relist(world, process)?,
        Move::Restart(process) => process::restart(world, process)?,
        Move::End { who, ending } => other_side::end(world, who, ending, happened, broken)?,
        Move::Turn(turn) => actors::turn(world, turn, happened, broken)?,
        Move::Ask(ask) => {
            asks::ask(world, ask)?;
            happened.push(Happened::Asked(ask));
        }
        Move::Remake(who) => gather::remake(world, who)?,
        Move::Tick(until) => {
            let due = due(before)?;
            happened.push(Happened::Passed(between(before.now, until)));
            tick(world, until, due)?;
        }
    }
    Some(settled(step))
}

/// Calls `visit` with every move that may happen next, and with its result.
pub fn expand(world: &World, visit: &mut dyn FnMut(Move, Step)) {
    for (number, process) in world.processes.iter().enumerate() {
        match process.life {
            Life::Up => {
                if process.deaf {
                    visit_next(world, Move::Relist(number), visit);
                }
                for staleness in 0..=world.rules.staleness {
                    expand_look(world, number, staleness, visit);
                }
            }
            Life::Halted(_) => visit_next(world, Move::Resume(number), visit),
            Life::Down => visit_next(world, Move::Restart(number), visit),
        }
        for fault in
            world.rules.fault_kinds.iter().filter(|fault| faults::may_happen(world, **fault))
        {
            visit_next(world, Move::Strike { process: number, fault: *fault }, visit);
        }
    }
    for trial in &world.trials {
        for ending in other_side::endings(world, trial) {
            visit_next(world, Move::End { who: trial.who, ending }, visit);
        }
    }
    for turn in actors::turns(world) {
        visit_next(world, Move::Turn(turn), visit);
    }
    for trial in &world.trials {
        visit_next(world, Move::Remake(trial.who), visit);
    }
    for ask in asks::asks(world) {
        visit_next(world, Move::Ask(ask), visit);
    }
    if let Some(due) = due(world) {
        visit_next(world, Move::Tick(due), visit);
    }
}

fn visit_next(world: &World, next: Move, visit: &mut dyn FnMut(Move, Step)) {
    if let Some(step) = apply(world, &next) {
        visit(next, step);
    }
}

/// Visits one reconcile without a halt, and the same reconcile halted at every possible place. The
/// decision is made once.
fn expand_look(world: &World, process: usize, staleness: usize, visit: &mut dyn FnMut(Move, Step)) {
    if !look::may_look(world, process, staleness) {
        return;
    }
    let mut decided = Step { world: world.clone(), happened: Vec::new(), broken: Vec::new() };
    let Some(look) = look::decide(&mut decided.world, process, staleness, &mut decided.broken)
    else {
        return;
    };
    let length = look.length();
    let mut go = |decided: Step, look: Look, halt: Option<Halt>| {
        let Step { mut world, mut happened, mut broken } = decided;
        if look::carry_out(&mut world, process, look, halt, &mut happened, &mut broken).is_some() {
            visit(
                Move::Look { process, staleness, halt },
                settled(Step { world, happened, broken }),
            );
        }
    };
    for how in Fault::HALTS.into_iter().filter(|how| faults::may_happen(world, *how)) {
        // A crash before the first write equals a crash before the reconcile.
        for after in usize::from(how == Fault::Crash)..length {
            go(decided.clone(), look.clone(), Some(Halt { how, after }));
        }
    }
    go(decided, look, None);
}

/// Returns the next move if no further fault happens and no user asks for anything. In this order:
/// halted replicas resume and crashed replicas restart, replicas reconcile with the newest copy,
/// children proceed, attempts end well, the clock advances, and replicas with broken watches list
/// again. Returns `None` if the world rests.
#[must_use]
pub fn fair_move(world: &World) -> Option<Move> {
    for (number, process) in world.processes.iter().enumerate() {
        match process.life {
            Life::Halted(_) => return Some(Move::Resume(number)),
            Life::Down => return Some(Move::Restart(number)),
            Life::Up => {}
        }
    }
    if let Some(process) =
        (0..world.processes.len()).find(|process| look::may_look(world, *process, 0))
    {
        return Some(Move::Look { process, staleness: 0, halt: None });
    }
    if let Some(turn) = actors::fair_turn(world) {
        return Some(Move::Turn(turn));
    }
    let ends = world.trials.iter().filter_map(|trial| {
        let stopped = |ending: &Ending| {
            trial.stopping && matches!(ending, Ending::Vanished(_) | Ending::Unknown(_))
        };
        let ending = other_side::endings(world, trial)
            .find(stopped)
            .or_else(|| other_side::endings(world, trial).next())?;
        Some(Move::End { who: trial.who, ending })
    });
    let deaf = || world.processes.iter().position(|process| process.deaf).map(Move::Relist);
    // A relist comes last: timers report what no watch reports.
    ends.into_iter().next().or_else(|| due(world).map(Move::Tick)).or_else(deaf)
}

/// Returns the next instant at which something is due. Returns `None` if nothing is due, or if
/// something else has to happen first: a replica has a reconcile to do, a child is about to change,
/// or an attempt is under way while the rules hold the clock.
#[must_use]
pub fn due(world: &World) -> Option<Timestamp> {
    if world.object().gone
        || person::is_busy(world)
        || actors::is_prompt(world)
        || (!world.rules.attempts_last && world.under_way().next().is_some())
    {
        return None;
    }
    let wakes =
        world.processes.iter().filter(|process| process.is_up()).filter_map(|process| process.wake);
    wakes.chain(fences(world)).filter(|at| *at > world.now).min()
}

/// Returns the instants at which the halt of a replica begins to matter.
fn fences(world: &World) -> Vec<Timestamp> {
    let mut fences = Vec::new();
    for process in &world.processes {
        match &process.life {
            Life::Up => continue,
            Life::Halted(halted) => {
                fences.extend([FRESH, HOLDS_FOR, TERM].map(|wait| later(halted.since, wait)));
            }
            Life::Down => {
                let lapsed =
                    world.executors.get(process.executor).and_then(|executor| executor.lapsed);
                fences.extend(lapsed.map(|lapsed| later(lapsed, TERM)));
            }
        }
        fences.extend(clocks::too_old(world));
    }
    fences
}

pub(super) fn tick(world: &mut World, until: Timestamp, due: Timestamp) -> Option<()> {
    if until <= world.now || until > due {
        return None;
    }
    world.now = until;
    clocks::compare_clocks(world);
    for process in world.processes.iter_mut().filter(|process| process.is_up()) {
        process.triggered |= process.wake.is_some_and(|wake| wake <= until);
    }
    Some(())
}

/// Returns the step after it forgot what no longer matters, and after the check of the laws that
/// hold in every world.
pub(super) fn settled(mut step: Step) -> Step {
    let Step { world, broken, .. } = &mut step;
    let read = [1, 2]
        .map(|back| world.copies.back(back).is_some_and(|copy| look::may_be_read(world, copy)));
    world.copies.forget(read);
    other_side::forget_trials(world);
    there::forget_children(world);
    laws::world(world, broken);
    step
}
