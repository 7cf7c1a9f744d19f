//! The passage of time: when something is due, and how the clock advances.

use jiff::Timestamp;

use super::{
    children, clocks,
    conclude::concluded,
    reconcile,
    state::{
        event::Event,
        replica::Life,
        world::{Successor, World},
    },
};
use crate::{
    clock::{between, later},
    coordination::{
        executor_lease::{HOLDS_FOR, TERM},
        fence::FRESH,
    },
};

/// Returns the next instant at which something is due. Returns `None` if nothing is due, or if
/// something else has to happen first: a replica has a reconcile to do, a child is about to change,
/// or an attempt is under way while the rules hold the clock.
#[must_use]
pub fn due(world: &World) -> Option<Timestamp> {
    if world.object().gone
        || is_busy(world)
        || children::moves::is_prompt(world)
        || (!world.rules.attempts_last && world.under_way().next().is_some())
    {
        return None;
    }
    let wakes =
        world.replicas.iter().filter(|replica| replica.is_up()).filter_map(|replica| replica.wake);
    wakes.chain(fences(world)).filter(|at| *at > world.now).min()
}

/// Returns the instants at which the halt of a replica begins to matter.
fn fences(world: &World) -> Vec<Timestamp> {
    let mut fences = Vec::new();
    for replica in &world.replicas {
        match &replica.life {
            Life::Up => continue,
            Life::Halted(halted) => {
                fences.extend([FRESH, HOLDS_FOR, TERM].map(|wait| later(halted.since, wait)));
            }
            Life::Down => {
                let lapsed =
                    world.executors.get(replica.executor).and_then(|executor| executor.lapsed);
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
    for replica in world.replicas.iter_mut().filter(|replica| replica.is_up()) {
        replica.triggered |= replica.wake.is_some_and(|wake| wake <= until);
    }
    Some(())
}

/// Returns the world at a later instant, even if nothing is due until then. Returns `None` if a
/// replica has a reconcile to do, or if something is due before that instant.
#[must_use]
pub fn at(before: &World, until: Timestamp) -> Option<Successor> {
    let mut world = before.clone();
    let due = if is_busy(before) { None } else { Some(due(before).unwrap_or(until)) };
    tick(&mut world, until, due?)?;
    let events = vec![Event::Passed(between(before.now, until))];
    Some(concluded(Successor { world, events, violations: Vec::new() }))
}

/// Returns whether a replica has a reconcile to do.
fn is_busy(world: &World) -> bool {
    (0..world.replicas.len()).any(|replica| reconcile::may_reconcile(world, replica, 0))
}
