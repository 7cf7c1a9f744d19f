//! User actions with any text, and the time that passes before them.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    Happened, look, moves, perform,
    state::{
        ask::Ask,
        deed::Deed,
        world::{Step, World},
    },
};
use crate::clock::between;

/// Returns the result of a user action; `None` if the saga no longer exists. Unlike
/// [`crate::world::state::moves::Move::Ask`], a user action is always allowed.
#[must_use]
pub fn after(before: &World, deed: &Deed) -> Option<Step> {
    if before.object().gone {
        return None;
    }
    let mut world = before.clone();
    world.asked.push(match deed {
        Deed::Annotate(asked) => Ask::Request(asked.action, None),
        Deed::Suspend(true) => Ask::Suspend,
        Deed::Suspend(false) => Ask::Unsuspend,
        Deed::Delete => Ask::Delete,
    });
    does(&mut world, deed.clone());
    Some(moves::settled(Step { world, happened: Vec::new(), broken: Vec::new() }))
}

/// Returns the world at a later instant, even if nothing is due until then. Returns `None` if a
/// replica has a reconcile to do, or if something is due before that instant.
#[must_use]
pub fn at(before: &World, until: Timestamp) -> Option<Step> {
    let mut world = before.clone();
    let due = if is_busy(before) { None } else { Some(moves::due(before).unwrap_or(until)) };
    moves::tick(&mut world, until, due?)?;
    let happened = vec![Happened::Passed(between(before.now, until))];
    Some(moves::settled(Step { world, happened, broken: Vec::new() }))
}

/// Returns whether a replica has a reconcile to do.
pub(super) fn is_busy(world: &World) -> bool {
    (0..world.processes.len()).any(|process| look::may_look(world, process, 0))
}

pub(super) fn does(world: &mut World, deed: Deed) {
    perform::write(world, |object| match deed {
        Deed::Annotate(asked) => {
            object.asked.retain(|before| before.action != asked.action);
            object.asked.push(asked);
            object.asked.sort_by_key(|asked| asked.action);
        }
        Deed::Delete => {
            object.deleting = true;
            object.generation = object.generation.saturating_add(1);
            object.gone = !object.finalizer;
        }
        Deed::Suspend(suspend) => {
            object.generation = object.generation.saturating_add(1);
            let mut saga = object.saga().clone();
            saga.suspend = suspend;
            object.saga = Arc::new(Ok(saga));
        }
    });
}
