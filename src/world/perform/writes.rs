//! The writes to the saga in the API server.

use std::sync::Arc;

use crate::{
    api::{Decoded, SagaStatus},
    world::{
        clocks, properties, replica,
        state::{
            event::Event,
            object::{SagaObject, as_kept},
            property::Violation,
            reconcile::Cursor,
            world::World,
        },
        versions,
    },
};

/// Writes the status if the version of the decision is still the newest. Returns whether it was.
pub(super) fn record(
    world: &mut World,
    number: usize,
    status: Arc<Decoded<SagaStatus>>,
    cursor: &mut Cursor,
    events: &mut Vec<Event>,
    violations: &mut Vec<Violation>,
) -> bool {
    let status = as_kept(status);
    let before = world.object().clone();
    let phase = status.as_ref().as_ref().ok().and_then(|status| status.phase);
    let shared =
        status.as_ref().as_ref().ok().and_then(|status| versions::shared(world, number, status));
    let written = patch(world, number, cursor, events, |object| {
        (object.status, object.shared) = (status, shared);
    });
    if written {
        cursor.written = Some(world.now);
        clocks::date_intents(world, &before, cursor.ahead);
        events.push(Event::Wrote { replica: number, phase });
        properties::write(world, &before, violations);
        properties::shown(world, number, &before, violations);
    }
    written
}

/// Deletes the saga if it is still the version that was read.
pub(super) fn delete(world: &mut World, cursor: Cursor, events: &mut Vec<Event>) {
    if world.object().version == cursor.version && !world.object().gone {
        write(world, |object| {
            object.deleting = true;
            object.gone = !object.finalizer;
        });
        events.push(Event::Gone);
    }
}

/// Writes to the saga if the version of the decision is still the newest. If another write came
/// first, the replica reconciles again.
pub(super) fn patch(
    world: &mut World,
    number: usize,
    cursor: &mut Cursor,
    events: &mut Vec<Event>,
    change: impl FnOnce(&mut SagaObject),
) -> bool {
    let fits = world.object().version == cursor.version && !world.object().gone;
    if fits {
        cursor.version = write(world, change);
    } else {
        events.push(Event::Conflict(number));
    }
    if let Some(replica) = world.replicas.get_mut(number) {
        // The watch reports the replica's own write. If another write came first, the replica
        // retries automatically.
        replica.triggered |= !fits || !replica.watches_broken;
        if fits {
            replica.floor = cursor.version;
        }
    }
    fits
}

/// Writes the saga on behalf of anyone, and triggers every replica whose watches work. Returns the
/// new version.
pub(in super::super) fn write(world: &mut World, change: impl FnOnce(&mut SagaObject)) -> u64 {
    let version = world.copies.write(world.rules.staleness, change);
    replica::trigger_all(world);
    version
}
