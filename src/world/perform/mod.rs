//! What a replica does to the API server and to the service, one act after the other.

mod begin;
mod writes;

use self::{
    begin::begin,
    writes::{delete, patch, record},
};
use super::{
    children, properties, query, replica,
    state::{
        attempt::AttemptRef,
        event::Event,
        property::Violation,
        reconcile::{Act, Cursor},
        replica::KnownEnd,
        world::World,
    },
    versions,
};

pub(super) use self::writes::write;

/// Performs one act. Returns whether the acts after it are performed too.
pub(super) fn carry_out_one(
    world: &mut World,
    number: usize,
    act: Act,
    cursor: &mut Cursor,
    events: &mut Vec<Event>,
    violations: &mut Vec<Violation>,
) -> bool {
    if world.object().version == cursor.version {
        properties::act(world, number, &act, violations);
    }
    match act {
        Act::AddFinalizer => patch(world, number, cursor, events, |object| object.finalizer = true),
        Act::Write(status) => record(world, number, status, cursor, events, violations),
        Act::RemoveFinalizer { alone } => {
            let removed = patch(world, number, cursor, events, |object| {
                object.finalizer = false;
                object.gone = object.deleting;
            });
            if removed {
                properties::release(world, violations);
            }
            if world.object().gone {
                events.push(Event::Gone);
            }
            removed || !alone
        }
        Act::Begin(start) => {
            begin(world, number, start, *cursor, events, violations);
            true
        }
        Act::Stop(attempt) => {
            stop(world, number, attempt, events);
            true
        }
        Act::TakeAway { annotations, handled } => {
            let taken = patch(world, number, cursor, events, |object| {
                object.asked.retain(|asked| !annotations.contains(&asked.action));
                object.handled = handled;
            });
            if taken {
                events.push(Event::TookAway);
            }
            true
        }
        Act::Publish(notice) => {
            events.push(Event::Published(notice));
            true
        }
        Act::Sweep => {
            events.push(Event::Swept);
            true
        }
        Act::Delete => {
            delete(world, *cursor, events);
            true
        }
    }
}

/// Stops an attempt that is past its time limit.
fn stop(world: &mut World, number: usize, attempt: AttemptRef, events: &mut Vec<Event>) {
    let (now, wanted) = (
        world.now,
        world.object().is_active(attempt)
            && !world.object().gone
            && versions::can_read(world, number),
    );
    let Some(replica) = world.replicas.get_mut(number) else { return };
    let known = replica.memory_of(attempt, now);
    if known.flight.take().is_some() {
        known.end.get_or_insert(KnownEnd::Aborted);
        replica.triggered = true;
        for execution in world.executions.iter_mut().filter(|execution| {
            execution.attempt == attempt && execution.awaited_by == Some(number)
        }) {
            execution.awaited_by = None;
        }
        events.push(Event::Stopped(attempt));
        return;
    }
    if query::has_real_child(world, attempt) {
        _ = children::perform::stop_child(world, number, attempt, events);
        return;
    }
    if let Some(execution) = world.executions.iter_mut().find(|execution| {
        execution.attempt == attempt && execution.exists() && execution.runs() && wanted
    }) {
        if !execution.stopping {
            events.push(Event::Stopped(attempt));
            replica::trigger_all(world);
        }
        if let Some(execution) =
            world.executions.iter_mut().find(|execution| execution.attempt == attempt)
        {
            execution.stopping = true;
        }
    }
}
