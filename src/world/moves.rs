//! The possible moves, and the result of each move.

use super::{
    children,
    conclude::concluded,
    faults, reconcile, remote, replica,
    state::{
        event::Event,
        execution::AttemptEnd,
        fault::{Halt, ReplicaFault},
        moves::WorldMove,
        reconcile::Reconcile,
        replica::Life,
        world::{Successor, World},
    },
    time::{due, tick},
    user,
};
use crate::clock::between;

/// Returns every move that may happen next.
#[must_use]
pub fn moves(world: &World) -> Vec<WorldMove> {
    let mut moves = Vec::new();
    expand(world, &mut |next, _| moves.push(next));
    moves
}

/// Returns the result of a move; `None` if the move cannot happen.
#[must_use]
pub fn apply(before: &World, next: &WorldMove) -> Option<Successor> {
    let mut successor =
        Successor { world: before.clone(), events: Vec::new(), violations: Vec::new() };
    let Successor { world, events, violations } = &mut successor;
    match *next {
        WorldMove::Reconcile { replica, staleness, halt } => {
            if halt.is_some_and(|halt| {
                !ReplicaFault::HALTS.contains(&halt.how) || !faults::may_happen(before, halt.how)
            }) {
                return None;
            }
            let reconcile = reconcile::decide(world, replica, staleness, violations)?;
            if halt.is_some_and(|halt| halt.after >= reconcile.length()) {
                return None;
            }
            reconcile::carry_out(world, replica, reconcile, halt, events, violations)?;
        }
        WorldMove::Strike { replica, fault } => faults::strike(world, replica, fault)?,
        WorldMove::Resume(replica) => reconcile::resume(world, replica, events, violations)?,
        WorldMove::Relist(replica) => replica::relist(world, replica)?,
        WorldMove::Restart(replica) => {
            replica::restart(world, replica)?;
            children::watch::list(world, replica);
        }
        WorldMove::End { attempt, ending } => {
            remote::end(world, attempt, ending, events, violations)?;
        }
        WorldMove::Child(child_move) => {
            children::moves::apply(world, child_move, events, violations)?;
        }
        WorldMove::User(user_move) => {
            user::apply(world, user_move)?;
            events.push(Event::Asked(user_move));
        }
        WorldMove::Remake(attempt) => remote::remake(world, attempt)?,
        WorldMove::Tick(until) => {
            let due = due(before)?;
            events.push(Event::Passed(between(before.now, until)));
            tick(world, until, due)?;
        }
    }
    Some(concluded(successor))
}

/// Calls `visit` with every move that may happen next, and with its result.
pub fn expand(world: &World, visit: &mut dyn FnMut(WorldMove, Successor)) {
    for (number, replica) in world.replicas.iter().enumerate() {
        match replica.life {
            Life::Up => {
                if replica.watches_broken {
                    visit_next(world, WorldMove::Relist(number), visit);
                }
                for staleness in 0..=world.rules.staleness {
                    expand_reconcile(world, number, staleness, visit);
                }
            }
            Life::Halted(_) => visit_next(world, WorldMove::Resume(number), visit),
            Life::Down => visit_next(world, WorldMove::Restart(number), visit),
        }
        for fault in
            world.rules.fault_kinds.iter().filter(|fault| faults::may_happen(world, **fault))
        {
            visit_next(world, WorldMove::Strike { replica: number, fault: *fault }, visit);
        }
    }
    for execution in &world.executions {
        for ending in remote::endings(world, execution) {
            visit_next(world, WorldMove::End { attempt: execution.attempt, ending }, visit);
        }
    }
    for child_move in children::moves::moves(world) {
        visit_next(world, WorldMove::Child(child_move), visit);
    }
    for execution in &world.executions {
        visit_next(world, WorldMove::Remake(execution.attempt), visit);
    }
    for user_move in user::moves(world) {
        visit_next(world, WorldMove::User(user_move), visit);
    }
    if let Some(due) = due(world) {
        visit_next(world, WorldMove::Tick(due), visit);
    }
}

fn visit_next(world: &World, next: WorldMove, visit: &mut dyn FnMut(WorldMove, Successor)) {
    if let Some(successor) = apply(world, &next) {
        visit(next, successor);
    }
}

/// Visits one reconcile without a halt, and the same reconcile halted at every possible place. The
/// decision is made once.
fn expand_reconcile(
    world: &World,
    replica: usize,
    staleness: usize,
    visit: &mut dyn FnMut(WorldMove, Successor),
) {
    if !reconcile::may_reconcile(world, replica, staleness) {
        return;
    }
    let mut decided =
        Successor { world: world.clone(), events: Vec::new(), violations: Vec::new() };
    let Some(reconcile) =
        reconcile::decide(&mut decided.world, replica, staleness, &mut decided.violations)
    else {
        return;
    };
    let length = reconcile.length();
    let mut go = |decided: Successor, reconcile: Reconcile, halt: Option<Halt>| {
        let Successor { mut world, mut events, mut violations } = decided;
        if reconcile::carry_out(&mut world, replica, reconcile, halt, &mut events, &mut violations)
            .is_some()
        {
            visit(
                WorldMove::Reconcile { replica, staleness, halt },
                concluded(Successor { world, events, violations }),
            );
        }
    };
    for how in ReplicaFault::HALTS.into_iter().filter(|how| faults::may_happen(world, *how)) {
        // A crash before the first write equals a crash before the reconcile.
        for after in usize::from(how == ReplicaFault::Crash)..length {
            go(decided.clone(), reconcile.clone(), Some(Halt { how, after }));
        }
    }
    go(decided, reconcile, None);
}

/// Returns the next move if no further fault happens and no user asks for anything. In this order:
/// halted replicas resume and crashed replicas restart, replicas reconcile with the newest copy,
/// children proceed, attempts end well, the clock advances, and replicas with broken watches list
/// again. Returns `None` if the world rests.
#[must_use]
pub fn fair_move(world: &World) -> Option<WorldMove> {
    for (number, replica) in world.replicas.iter().enumerate() {
        match replica.life {
            Life::Halted(_) => return Some(WorldMove::Resume(number)),
            Life::Down => return Some(WorldMove::Restart(number)),
            Life::Up => {}
        }
    }
    if let Some(replica) =
        (0..world.replicas.len()).find(|replica| reconcile::may_reconcile(world, *replica, 0))
    {
        return Some(WorldMove::Reconcile { replica, staleness: 0, halt: None });
    }
    if let Some(child_move) = children::moves::fair_move(world) {
        return Some(WorldMove::Child(child_move));
    }
    let ends = world.executions.iter().filter_map(|execution| {
        let stopped = |ending: &AttemptEnd| {
            execution.stopping && matches!(ending, AttemptEnd::Vanished(_) | AttemptEnd::Unknown(_))
        };
        let ending = remote::endings(world, execution)
            .find(stopped)
            .or_else(|| remote::endings(world, execution).next())?;
        Some(WorldMove::End { attempt: execution.attempt, ending })
    });
    let watches_broken =
        || world.replicas.iter().position(|replica| replica.watches_broken).map(WorldMove::Relist);
    // A relist comes last: timers report what no watch reports.
    ends.into_iter().next().or_else(|| due(world).map(WorldMove::Tick)).or_else(watches_broken)
}
