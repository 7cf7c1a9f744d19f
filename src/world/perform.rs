//! What a replica does to the API server and to the service, one act after the other.

use std::sync::Arc;

use super::{
    Happened,
    children::{perform, there},
    clocks,
    gather::{self, pod_uid},
    laws, process,
    state::{
        law::Broken,
        look::{Act, Cursor, Start},
        object::{Object, as_kept},
        process::{End, executor_id},
        trial::Trial,
        world::{Who, World},
    },
    versions,
};
use crate::{
    api::{Part, SagaStatus},
    clock::between,
    coordination::fence::{Age, leaves_unread},
    model::saga::Work,
};

/// Performs one act. Returns whether the acts after it are performed too.
pub(super) fn carry_out_one(
    world: &mut World,
    number: usize,
    act: Act,
    cursor: &mut Cursor,
    happened: &mut Vec<Happened>,
    broken: &mut Vec<Broken>,
) -> bool {
    if world.object().version == cursor.version {
        laws::act(world, number, &act, broken);
    }
    match act {
        Act::AddFinalizer => {
            patch(world, number, cursor, happened, |object| object.finalizer = true)
        }
        Act::Write(status) => record(world, number, status, cursor, happened, broken),
        Act::RemoveFinalizer { alone } => {
            let removed = patch(world, number, cursor, happened, |object| {
                object.finalizer = false;
                object.gone = object.deleting;
            });
            if removed {
                laws::release(world, broken);
            }
            if world.object().gone {
                happened.push(Happened::Gone);
            }
            removed || !alone
        }
        Act::Begin(start) => {
            begin(world, number, start, *cursor, happened, broken);
            true
        }
        Act::Stop(who) => {
            stop(world, number, who, happened);
            true
        }
        Act::TakeAway { annotations, handled } => {
            let taken = patch(world, number, cursor, happened, |object| {
                object.asked.retain(|asked| !annotations.contains(&asked.action));
                object.handled = handled;
            });
            if taken {
                happened.push(Happened::TookAway);
            }
            true
        }
        Act::Publish(notice) => {
            happened.push(Happened::Published(notice));
            true
        }
        Act::Sweep => true,
        Act::Delete => {
            delete(world, *cursor, happened);
            true
        }
    }
}

/// Writes the status if the version of the decision is still the newest. Returns whether it was.
fn record(
    world: &mut World,
    number: usize,
    status: Arc<Part<SagaStatus>>,
    cursor: &mut Cursor,
    happened: &mut Vec<Happened>,
    broken: &mut Vec<Broken>,
) -> bool {
    let status = as_kept(status);
    let before = world.object().clone();
    let phase = status.as_ref().as_ref().ok().and_then(|status| status.phase);
    let shared =
        status.as_ref().as_ref().ok().and_then(|status| versions::shared(world, number, status));
    let written = patch(world, number, cursor, happened, |object| {
        (object.status, object.shared) = (status, shared);
    });
    if written {
        cursor.written = Some(world.now);
        clocks::date_intents(world, &before, cursor.ahead);
        happened.push(Happened::Wrote { process: number, phase });
        laws::write(world, &before, broken);
        laws::shown(world, number, &before, broken);
    }
    written
}

/// Deletes the saga if it is still the version that was read.
fn delete(world: &mut World, cursor: Cursor, happened: &mut Vec<Happened>) {
    if world.object().version == cursor.version && !world.object().gone {
        write(world, |object| {
            object.deleting = true;
            object.gone = !object.finalizer;
        });
        happened.push(Happened::Gone);
    }
}

/// Writes to the saga if the version of the decision is still the newest. If another write came
/// first, the replica reconciles again.
fn patch(
    world: &mut World,
    number: usize,
    cursor: &mut Cursor,
    happened: &mut Vec<Happened>,
    change: impl FnOnce(&mut Object),
) -> bool {
    let fits = world.object().version == cursor.version && !world.object().gone;
    if fits {
        cursor.version = write(world, change);
    } else {
        happened.push(Happened::Conflict(number));
    }
    if let Some(process) = world.processes.get_mut(number) {
        // The watch reports the replica's own write. If another write came first, the replica
        // retries automatically.
        process.triggered |= !fits || !process.deaf;
        if fits {
            process.floor = cursor.version;
        }
    }
    fits
}

/// Writes the saga on behalf of anyone, and triggers every replica whose watches work. Returns the
/// new version.
pub(super) fn write(world: &mut World, change: impl FnOnce(&mut Object)) -> u64 {
    let version = world.copies.write(world.rules.staleness, change);
    process::trigger_all(world);
    version
}

fn begin(
    world: &mut World,
    number: usize,
    start: Start,
    cursor: Cursor,
    happened: &mut Vec<Happened>,
    broken: &mut Vec<Broken>,
) {
    let who = start.who;
    let fresh = leaves_unread(cursor.written.map(|written| between(written, world.now)));
    if !fresh && !is_wanted(world, number, who, start.object) {
        happened.push(Happened::Dropped(who));
        return;
    }
    let step = world.object().saga().steps.get(who.place);
    let Some(operation) = step.and_then(|step| step.operation(who.direction)) else { return };
    match operation.work {
        Work::Http(_) => send(world, number, start, cursor, happened, broken),
        Work::Pod(_)
        | Work::Job(_)
        | Work::Apply(_)
        | Work::Until(_)
        | Work::Saga(_)
        | Work::UndoSaga => {
            create(world, number, start, fresh, happened, broken);
        }
        Work::Delete(_) => remove(world, number, start, fresh, happened, broken),
        // These steps are states of the saga: no effect is performed for them.
        Work::Approval(_) | Work::Wait(_) => {}
    }
}

/// Returns whether a live read shows that the attempt is active, and that no child of the attempt
/// is known except the object that the attempt deletes.
fn is_wanted(world: &World, number: usize, who: Who, object_to_go: Option<u32>) -> bool {
    let object = world.object();
    let known = object
        .active()
        .find(|(active, _)| *active == who)
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
    happened: &mut Vec<Happened>,
    broken: &mut Vec<Broken>,
) {
    let Start { who, key, intended: _, time_limit, object: _ } = start;
    let now = world.now;
    let Some(process) = world.processes.get_mut(number) else { return };
    if process.executor != cursor.executor {
        // The tenure lapsed after the plan was made.
        process.triggered = true;
        return;
    }
    let id = executor_id(process.executor);
    let known = process.known(who, now);
    if known.flight.is_some() || known.end.is_some() {
        return;
    }
    known.flight = Some(now);
    laws::sends(world, who, key, &id, broken);
    count_begun(world, who);
    world.trials.push(Trial {
        who,
        key,
        pod: None,
        hears: Some(number),
        ended: None,
        stopping: false,
        again: false,
    });
    happened.push(Happened::Began { process: number, who, key, time_limit });
}

fn create(
    world: &mut World,
    number: usize,
    start: Start,
    fresh: bool,
    happened: &mut Vec<Happened>,
    broken: &mut Vec<Broken>,
) {
    let Start { who, key, intended, time_limit, object: _ } = start;
    let now = world.now;
    let Some(process) = world.processes.get_mut(number) else { return };
    let known = process.known(who, now);
    let age = Age { intended: between(intended, now), known: between(known.first_read, now) };
    if !age.may_leave(known.refused.is_some()) {
        process.triggered = true;
        happened.push(Happened::Dropped(who));
        return;
    }
    let existing = if there::plays(world, who) {
        there::number_there(world, who)
    } else {
        world
            .trials
            .iter()
            .find(|trial| trial.who == who && trial.exists())
            .and_then(|trial| trial.pod)
    };
    let pod = existing.unwrap_or_else(|| world.made.saturating_add(1));
    let Some(process) = world.processes.get_mut(number) else { return };
    process.known(who, now).child.get_or_insert((now, pod));
    if existing.is_some() {
        happened.push(Happened::Adopted(who));
        process.triggered = true;
        return;
    }
    laws::creates(world, who, key, fresh, broken);
    world.made = pod;
    let before = world.trials.iter().position(|trial| trial.who == who);
    match before {
        // A third party deleted the earlier Pod.
        Some(place) => drop(world.trials.remove(place)),
        None => count_begun(world, who),
    }
    world.trials.push(Trial {
        who,
        key,
        pod: Some(pod),
        hears: None,
        ended: None,
        stopping: false,
        again: before.is_some(),
    });
    happened.push(Happened::Began { process: number, who, key, time_limit });
    if there::plays(world, who) {
        return perform::make(world, number, &start, pod);
    }
    // The watch reports the new Pod to every replica.
    process::trigger_all(world);
}

/// Deletes an object by its UID. An object that was created again since then is not touched.
fn remove(
    world: &mut World,
    number: usize,
    start: Start,
    fresh: bool,
    happened: &mut Vec<Happened>,
    broken: &mut Vec<Broken>,
) {
    let Start { who, key, intended: _, time_limit, object } = start;
    let (now, standing) = (world.now, gather::standing(world, who));
    let Some(process) = world.processes.get_mut(number) else { return };
    process.triggered = true;
    let Some(object) = object.filter(|object| *object == standing) else { return };
    process.known(who, now).refused = None;
    process.known(who, now).child.get_or_insert((now, object));
    if world.trials.iter().any(|trial| trial.who == who && trial.pod == Some(object)) {
        happened.push(Happened::Adopted(who));
        return;
    }
    laws::deletes(world, who, key, fresh, object, broken);
    count_begun(world, who);
    world.trials.push(Trial {
        who,
        key,
        pod: Some(object),
        hears: None,
        ended: None,
        stopping: false,
        again: false,
    });
    happened.push(Happened::Began { process: number, who, key, time_limit });
    process::trigger_all(world);
}

fn count_begun(world: &mut World, who: Who) {
    let Some(truth) = world.truth.get_mut(who.place) else { return };
    let count = match who.direction {
        crate::api::Direction::Action => &mut truth.begun,
        crate::api::Direction::Compensation => &mut truth.undo_begun,
    };
    *count = count.saturating_add(1);
}

/// Stops an attempt that is past its time limit.
fn stop(world: &mut World, number: usize, who: Who, happened: &mut Vec<Happened>) {
    let (now, wanted) = (
        world.now,
        world.object().is_active(who) && !world.object().gone && versions::can_read(world, number),
    );
    let Some(process) = world.processes.get_mut(number) else { return };
    let known = process.known(who, now);
    if known.flight.take().is_some() {
        known.end.get_or_insert(End::Aborted);
        process.triggered = true;
        for trial in
            world.trials.iter_mut().filter(|trial| trial.who == who && trial.hears == Some(number))
        {
            trial.hears = None;
        }
        happened.push(Happened::Stopped(who));
        return;
    }
    if there::plays(world, who) {
        _ = perform::stop_child(world, number, who, happened);
        return;
    }
    if let Some(trial) = world
        .trials
        .iter_mut()
        .find(|trial| trial.who == who && trial.exists() && trial.runs() && wanted)
    {
        if !trial.stopping {
            happened.push(Happened::Stopped(who));
            process::trigger_all(world);
        }
        if let Some(trial) = world.trials.iter_mut().find(|trial| trial.who == who) {
            trial.stopping = true;
        }
    }
}
