//! What happens to the children of attempts: containers end, and the kubelet, the Job controller
//! and the garbage collector act.

use super::{interfere, watch};
use crate::{
    api::Direction,
    model::saga::ValidStep,
    world::{
        remote,
        state::{
            child::{ChildChange, ChildMove, ContainerExit, JobNow, PodNow, StoredChild},
            event::Event,
            execution::{AttemptEnd, Execution},
            interference::Cascade,
            property::Violation,
            world::World,
        },
    },
};

/// Returns what may happen to the child now, apart from the end of its container.
fn changes(child: &StoredChild) -> Vec<ChildChange> {
    let (job, pod) = (child.job.as_ref(), child.pod.as_ref());
    let deleted =
        |cascade| job.is_some_and(|job| job.deleted.is_some_and(|(_, wanted)| wanted == cascade));
    let of_pod = |fits: fn(&PodNow) -> bool| pod.is_some_and(fits);
    let of_job = |fits: fn(&JobNow) -> bool| job.is_some_and(fits);
    let is_suspended = of_job(|job| job.suspended);
    let zero = of_pod(|pod| pod.exit.is_some_and(|(way, _)| way.code() == 0));
    let goes = deleted(Cascade::Background)
        || (deleted(Cascade::Foreground) && pod.is_none())
        || (deleted(Cascade::Orphan) && !of_pod(|pod| pod.owner));
    let may = [
        (
            ChildChange::Count,
            of_job(|job| job.verdict.is_none())
                && of_pod(|pod| pod.tracked && !pod.runs())
                && (zero || !is_suspended),
        ),
        (
            ChildChange::LetGo,
            of_pod(|pod| pod.tracked)
                && (job.is_none()
                    || (is_suspended && of_pod(|pod| pod.deleted.is_some() && !pod.runs()))),
        ),
        (ChildChange::Orphan, deleted(Cascade::Orphan) && of_pod(|pod| pod.owner)),
        (
            ChildChange::Collect,
            child.is_job()
                && (job.is_none() || deleted(Cascade::Foreground))
                && of_pod(|pod| pod.owner && pod.deleted.is_none()),
        ),
        (
            ChildChange::RemovePod,
            of_pod(|pod| pod.deleted.is_some() && !pod.runs() && !pod.kept && !pod.tracked),
        ),
        (ChildChange::RemoveJob, of_job(|job| !job.kept) && goes),
        (
            ChildChange::MakePod,
            !child.has_made
                && of_job(|job| job.deleted.is_none() && job.verdict.is_none() && !job.suspended),
        ),
    ];
    may.into_iter().filter(|(_, may)| *may).map(|(what, _)| what).collect()
}

/// Returns whether the Job alone decides about the pod: the Job is neither deleted nor suspended.
fn is_counted(child: &StoredChild) -> bool {
    child.job.is_some_and(|job| job.deleted.is_none() && !job.suspended)
}

/// Returns how the container of a child may end now.
fn exits(world: &World, child: &StoredChild) -> impl Iterator<Item = ContainerExit> {
    let pod = child.pod.filter(PodNow::runs);
    let done = world
        .truth
        .get(child.attempt.place)
        .and_then(|truth| truth.key_done(child.attempt.direction))
        == Some(child.key);
    let (stopping, half) =
        (pod.is_some_and(|pod| pod.was_asked_to_stop()), !child.finishes && !is_counted(child));
    ContainerExit::ALL.into_iter().filter(move |way| {
        let fits = match way {
            ContainerExit::Half => stopping && half,
            ContainerExit::Killed => stopping,
            ContainerExit::Done | ContainerExit::No => true,
        };
        // A program knows what was done under its key, so it then ends only with success.
        pod.is_some() && fits && (*way == ContainerExit::Done || !done)
    })
}

/// Returns everything that may happen to the children next.
pub(in super::super) fn moves(world: &World) -> Vec<ChildMove> {
    let mut moves = interfere::interferences(world);
    for child in &world.children {
        let changes = changes(child).into_iter().chain(exits(world, child).map(ChildChange::Exit));
        moves.extend(changes.map(|what| ChildMove { child: child.number, what }));
    }
    moves
}

/// Returns what happens to the children if nobody interferes any more and programs succeed.
pub(in super::super) fn fair_move(world: &World) -> Option<ChildMove> {
    world.children.iter().find_map(|child| {
        let exit = child.pod.filter(PodNow::runs).map(|_| ChildChange::Exit(ContainerExit::Done));
        Some(ChildMove { child: child.number, what: changes(child).into_iter().next().or(exit)? })
    })
}

/// Returns whether an immediate change of a child is due, so that the clock does not advance.
pub(in super::super) fn is_prompt(world: &World) -> bool {
    world.children.iter().any(|child| {
        let stopping = child.pod.is_some_and(|pod| pod.runs() && pod.was_asked_to_stop());
        stopping || changes(child).into_iter().any(|what| what != ChildChange::MakePod)
    })
}

/// Changes a child by one move. Returns `None` if the move cannot happen.
pub(in super::super) fn apply(
    world: &mut World,
    child_move: ChildMove,
    events: &mut Vec<Event>,
    violations: &mut Vec<Violation>,
) -> Option<()> {
    let ChildMove { child: number, what } = child_move;
    if !moves(world).contains(&child_move) {
        return None;
    }
    let before = world.children.iter().find(|child| child.number == number).cloned();
    if let ChildChange::Interfere(kind) = what {
        interfere::interfere(world, number, kind)?;
    } else {
        apply_change(world, number, what, events, violations)?;
    }
    watch::show(world, number, before.as_ref());
    end_execution(world, number);
    Some(())
}

fn apply_change(
    world: &mut World,
    number: u32,
    what: ChildChange,
    events: &mut Vec<Event>,
    violations: &mut Vec<Violation>,
) -> Option<()> {
    let now = world.now;
    if let ChildChange::Exit(way) = what {
        return exit(world, number, way, events, violations);
    }
    let child = world.children.iter_mut().find(|child| child.number == number)?;
    match what {
        ChildChange::RemovePod => child.pod = None,
        ChildChange::RemoveJob => child.job = None,
        ChildChange::MakePod => (child.pod, child.has_made) = (Some(PodNow::new(true)), true),
        ChildChange::Count => {
            let (pod, job) = (child.pod.as_mut()?, child.job.as_mut()?);
            let (way, _) = pod.exit?;
            (pod.tracked, job.verdict) = (false, Some((way.code() == 0, now)));
        }
        ChildChange::LetGo => child.pod.as_mut()?.tracked = false,
        ChildChange::Collect => child.pod.as_mut()?.deleted = Some(now),
        ChildChange::Orphan => child.pod.as_mut()?.owner = false,
        ChildChange::Exit(_) | ChildChange::Interfere(_) => return None,
    }
    Some(())
}

/// Ends the container of a child. From now on, its work is part of the truth.
fn exit(
    world: &mut World,
    number: u32,
    way: ContainerExit,
    events: &mut Vec<Event>,
    violations: &mut Vec<Violation>,
) -> Option<()> {
    let now = world.now;
    let child = world.children.iter_mut().find(|child| child.number == number)?;
    child.pod.as_mut()?.exit = Some((way, now));
    let (attempt, key) = (child.attempt, child.key);
    let execution = Execution {
        attempt,
        key,
        pod: Some(number),
        awaited_by: None,
        ended: None,
        stopping: false,
        again: false,
    };
    match way {
        ContainerExit::Done => remote::record_work(world, &execution, AttemptEnd::Done, violations),
        ContainerExit::No => remote::record_refusal(world, &execution),
        ContainerExit::Half => do_half(world, &execution),
        ContainerExit::Killed => {}
    }
    events.push(Event::Ended(attempt, way.ending()));
    if let Some(execution) = world
        .executions
        .iter_mut()
        .find(|execution| execution.attempt == attempt && execution.pod == Some(number))
    {
        execution.ended = Some(way.ending());
    }
    Some(())
}

/// Does half of the work. Nothing reports this.
fn do_half(world: &mut World, execution: &Execution) {
    let nothing = world
        .object()
        .saga()
        .steps
        .get(execution.attempt.place)
        .is_none_or(ValidStep::leaves_nothing);
    if let Some(truth) = world
        .truth
        .get_mut(execution.attempt.place)
        .filter(|_| !nothing && execution.attempt.direction == Direction::Action)
    {
        truth.in_effect |= !truth.undone;
    }
}

/// Ends the execution at the service if nothing of the child can run any more.
pub(super) fn end_execution(world: &mut World, number: u32) {
    let over = world
        .children
        .iter()
        .find(|child| child.number == number)
        .filter(|child| !child.runs())
        .map(|child| child.attempt);
    if let Some(execution) = world
        .executions
        .iter_mut()
        .find(|execution| Some(execution.attempt) == over && execution.pod == Some(number))
    {
        execution.ended.get_or_insert(AttemptEnd::Unknown(false));
    }
}
