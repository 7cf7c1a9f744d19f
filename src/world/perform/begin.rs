//! The begin of an attempt: an HTTP request, the creation of a child, or the deletion of an object.

use std::sync::Arc;

use crate::{
    api::Direction,
    clock::between,
    coordination::fence::{Age, is_fresh},
    model::saga::Work,
    world::{
        children, properties, query, replica,
        state::{
            attempt::AttemptRef,
            child::pod_uid,
            event::Event,
            execution::Execution,
            property::Violation,
            reconcile::{Cursor, Start},
            replica::executor_id,
            world::World,
        },
        versions,
    },
};

pub(super) fn begin(
    world: &mut World,
    number: usize,
    start: Start,
    cursor: Cursor,
    events: &mut Vec<Event>,
    violations: &mut Vec<Violation>,
) {
    let attempt = start.attempt;
    let fresh = is_fresh(cursor.written.map(|written| between(written, world.now)));
    if !fresh && !is_wanted(world, number, attempt, start.object) {
        events.push(Event::Dropped(attempt));
        return;
    }
    let step = world.object().saga().steps.get(attempt.place);
    let Some(operation) = step.and_then(|step| step.operation(attempt.direction)) else { return };
    match operation.work {
        Work::Http(_) => send(world, number, start, cursor, events, violations),
        Work::Pod(_)
        | Work::Job(_)
        | Work::Apply(_)
        | Work::Until(_)
        | Work::Saga(_)
        | Work::UndoSaga => {
            create(world, number, start, fresh, events, violations);
        }
        Work::Delete(_) => remove(world, number, start, fresh, events, violations),
        // These steps are states of the saga: no effect is performed for them.
        Work::Approval(_) | Work::Wait(_) => {}
    }
}

/// Returns whether a live read shows that the attempt is active, and that no child of the attempt
/// is known except the object that the attempt deletes.
fn is_wanted(world: &World, number: usize, attempt: AttemptRef, object_to_go: Option<u32>) -> bool {
    let object = world.object();
    let known = object
        .active()
        .find(|(active, _)| *active == attempt)
        .and_then(|(_, record)| record.active.as_ref());
    !object.gone
        && versions::can_read(world, number)
        && known.is_some_and(|active| active.child_uid == object_to_go.map(pod_uid))
}

fn send(
    world: &mut World,
    number: usize,
    start: Start,
    cursor: Cursor,
    events: &mut Vec<Event>,
    violations: &mut Vec<Violation>,
) {
    let Start { attempt, key, intended: _, time_limit, object: _ } = start;
    let now = world.now;
    let Some(replica) = world.replicas.get_mut(number) else { return };
    if replica.executor != cursor.executor {
        // The tenure lapsed after the plan was made.
        replica.triggered = true;
        return;
    }
    let id = executor_id(replica.executor);
    let known = replica.memory_of(attempt, now);
    if known.flight.is_some() || known.end.is_some() {
        return;
    }
    if is_hindered(world, number, attempt, events) {
        return;
    }
    let Some(replica) = world.replicas.get_mut(number) else { return };
    replica.memory_of(attempt, now).flight = Some(now);
    properties::sends(world, attempt, key, &id, violations);
    count_begun(world, attempt);
    world.executions.push(Execution::request(attempt, key, number));
    events.push(Event::Began { replica: number, attempt, key, time_limit });
}

fn create(
    world: &mut World,
    number: usize,
    start: Start,
    fresh: bool,
    events: &mut Vec<Event>,
    violations: &mut Vec<Violation>,
) {
    let Start { attempt, key, intended, time_limit, object: _ } = start;
    let now = world.now;
    let Some(replica) = world.replicas.get_mut(number) else { return };
    let known = replica.memory_of(attempt, now);
    let age = Age { intended: between(intended, now), known: between(known.first_read, now) };
    if !age.may_leave(known.refused.is_some()) {
        replica.triggered = true;
        events.push(Event::Dropped(attempt));
        return;
    }
    let existing = if query::has_real_child(world, attempt) {
        query::child_number(world, attempt)
    } else {
        world
            .executions
            .iter()
            .find(|execution| execution.attempt == attempt && execution.exists())
            .and_then(|execution| execution.pod)
    };
    if existing.is_none() && is_hindered(world, number, attempt, events) {
        return;
    }
    let pod = existing.unwrap_or_else(|| world.made.saturating_add(1));
    let Some(replica) = world.replicas.get_mut(number) else { return };
    replica.memory_of(attempt, now).child.get_or_insert((now, pod));
    if existing.is_some() {
        events.push(Event::Adopted(attempt));
        replica.triggered = true;
        return;
    }
    properties::creates(world, attempt, key, fresh, violations);
    world.made = pod;
    let before = world.executions.iter().position(|execution| execution.attempt == attempt);
    match before {
        // A third party deleted the earlier Pod.
        Some(place) => drop(world.executions.remove(place)),
        None => count_begun(world, attempt),
    }
    let again = before.is_some();
    world.executions.push(Execution { again, ..Execution::of_object(attempt, key, pod) });
    events.push(Event::Began { replica: number, attempt, key, time_limit });
    if query::has_real_child(world, attempt) {
        return children::perform::make(world, number, &start, pod);
    }
    // The watch reports the new Pod to every replica.
    replica::trigger_all(world);
}

/// Returns whether the circumstances keep an attempt from beginning this time.
fn is_hindered(
    world: &mut World,
    number: usize,
    attempt: AttemptRef,
    events: &mut Vec<Event>,
) -> bool {
    if world.rules.circumstances.creation_faults.is_empty() {
        return false;
    }
    let is_request = query::is_request(world, attempt);
    let creation_faults = &mut Arc::make_mut(&mut world.rules).circumstances.creation_faults;
    let Some(left) = creation_faults.get_mut(&attempt) else { return false };
    if left.lost > 0 {
        left.lost = left.lost.saturating_sub(1);
        events.push(Event::Lost(attempt));
        return true;
    }
    if left.refused == 0 || is_request {
        return false;
    }
    left.refused = left.refused.saturating_sub(1);
    replica::refuse_creation(world, number, attempt);
    events.push(Event::Refused(attempt));
    true
}

/// Deletes an object by its UID. An object that was created again since then is not touched.
fn remove(
    world: &mut World,
    number: usize,
    start: Start,
    fresh: bool,
    events: &mut Vec<Event>,
    violations: &mut Vec<Violation>,
) {
    let Start { attempt, key, intended: _, time_limit, object } = start;
    let (now, standing) = (world.now, query::deletion_target(world, attempt));
    let Some(replica) = world.replicas.get_mut(number) else { return };
    replica.triggered = true;
    let Some(object) = object.filter(|object| *object == standing) else { return };
    replica.memory_of(attempt, now).refused = None;
    replica.memory_of(attempt, now).child.get_or_insert((now, object));
    if world
        .executions
        .iter()
        .any(|execution| execution.attempt == attempt && execution.pod == Some(object))
    {
        events.push(Event::Adopted(attempt));
        return;
    }
    properties::deletes(world, attempt, key, fresh, object, violations);
    count_begun(world, attempt);
    world.executions.push(Execution::of_object(attempt, key, object));
    events.push(Event::Began { replica: number, attempt, key, time_limit });
    replica::trigger_all(world);
}

fn count_begun(world: &mut World, attempt: AttemptRef) {
    let Some(truth) = world.truth.get_mut(attempt.place) else { return };
    let count = match attempt.direction {
        Direction::Action => &mut truth.begun,
        Direction::Compensation => &mut truth.undo_begun,
    };
    *count = count.saturating_add(1);
}
