//! What happens to the children of attempts: containers end, and the kubelet, the Job controller
//! and the garbage collector act.

use super::{meddle, watch};
use crate::{
    api::Direction,
    model::saga::ValidStep,
    world::{
        Happened, other_side,
        state::{
            child::{Child, Doing, JobNow, PodNow, Turn, Way},
            law::Broken,
            meddling::Cascade,
            trial::{Ending, Trial},
            world::World,
        },
    },
};

/// Returns what may happen to the child now, apart from the end of its container.
fn doings(child: &Child) -> Vec<Doing> {
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
            Doing::Count,
            of_job(|job| job.verdict.is_none())
                && of_pod(|pod| pod.tracked && !pod.runs())
                && (zero || !is_suspended),
        ),
        (
            Doing::LetGo,
            of_pod(|pod| pod.tracked)
                && (job.is_none()
                    || (is_suspended && of_pod(|pod| pod.deleted.is_some() && !pod.runs()))),
        ),
        (Doing::Orphan, deleted(Cascade::Orphan) && of_pod(|pod| pod.owner)),
        (
            Doing::Collect,
            child.is_job()
                && (job.is_none() || deleted(Cascade::Foreground))
                && of_pod(|pod| pod.owner && pod.deleted.is_none()),
        ),
        (
            Doing::RemovePod,
            of_pod(|pod| pod.deleted.is_some() && !pod.runs() && !pod.kept && !pod.tracked),
        ),
        (Doing::RemoveJob, of_job(|job| !job.kept) && goes),
        (
            Doing::MakePod,
            !child.has_made
                && of_job(|job| job.deleted.is_none() && job.verdict.is_none() && !job.suspended),
        ),
    ];
    may.into_iter().filter(|(_, may)| *may).map(|(doing, _)| doing).collect()
}

/// Returns whether the Job alone decides about the pod: the Job is neither deleted nor suspended.
fn is_counted(child: &Child) -> bool {
    child.job.is_some_and(|job| job.deleted.is_none() && !job.suspended)
}

/// Returns how the container of a child may end now.
fn ways(world: &World, child: &Child) -> impl Iterator<Item = Way> {
    let pod = child.pod.filter(PodNow::runs);
    let done =
        world.truth.get(child.who.place).and_then(|truth| truth.key_done(child.who.direction))
            == Some(child.key);
    let (told, half) =
        (pod.is_some_and(|pod| pod.is_told()), !child.finishes && !is_counted(child));
    Way::ALL.into_iter().filter(move |way| {
        let fits = match way {
            Way::Half => told && half,
            Way::Killed => told,
            Way::Done | Way::No => true,
        };
        // A program knows what was done under its key, so it then ends only with success.
        pod.is_some() && fits && (*way == Way::Done || !done)
    })
}

/// Returns everything that may happen to the children next.
pub(in super::super) fn turns(world: &World) -> Vec<Turn> {
    let mut turns = meddle::meddlings(world);
    for child in &world.children {
        let doings = doings(child).into_iter().chain(ways(world, child).map(Doing::Exit));
        turns.extend(doings.map(|doing| Turn { child: child.number, doing }));
    }
    turns
}

/// Returns what happens to the children if nobody interferes any more and programs succeed.
pub(in super::super) fn fair_turn(world: &World) -> Option<Turn> {
    world.children.iter().find_map(|child| {
        let exit = child.pod.filter(PodNow::runs).map(|_| Doing::Exit(Way::Done));
        Some(Turn { child: child.number, doing: doings(child).into_iter().next().or(exit)? })
    })
}

/// Returns whether an immediate change of a child is due, so that the clock does not advance.
pub(in super::super) fn is_prompt(world: &World) -> bool {
    world.children.iter().any(|child| {
        let told = child.pod.is_some_and(|pod| pod.runs() && pod.is_told());
        told || doings(child).into_iter().any(|doing| doing != Doing::MakePod)
    })
}

/// Changes a child by one turn. Returns `None` if that turn cannot happen.
pub(in super::super) fn turn(
    world: &mut World,
    turn: Turn,
    happened: &mut Vec<Happened>,
    broken: &mut Vec<Broken>,
) -> Option<()> {
    let Turn { child: number, doing } = turn;
    if !turns(world).contains(&turn) {
        return None;
    }
    let before = world.children.iter().find(|child| child.number == number).cloned();
    if let Doing::Meddle(kind) = doing {
        meddle::meddle(world, number, kind)?;
    } else {
        perform_turn(world, number, doing, happened, broken)?;
    }
    watch::show(world, number, before.as_ref());
    end_trial(world, number);
    Some(())
}

fn perform_turn(
    world: &mut World,
    number: u32,
    doing: Doing,
    happened: &mut Vec<Happened>,
    broken: &mut Vec<Broken>,
) -> Option<()> {
    let now = world.now;
    if let Doing::Exit(way) = doing {
        return exit(world, number, way, happened, broken);
    }
    let child = world.children.iter_mut().find(|child| child.number == number)?;
    match doing {
        Doing::RemovePod => child.pod = None,
        Doing::RemoveJob => child.job = None,
        Doing::MakePod => (child.pod, child.has_made) = (Some(PodNow::new(true)), true),
        Doing::Count => {
            let (pod, job) = (child.pod.as_mut()?, child.job.as_mut()?);
            let (way, _) = pod.exit?;
            (pod.tracked, job.verdict) = (false, Some((way.code() == 0, now)));
        }
        Doing::LetGo => child.pod.as_mut()?.tracked = false,
        Doing::Collect => child.pod.as_mut()?.deleted = Some(now),
        Doing::Orphan => child.pod.as_mut()?.owner = false,
        Doing::Exit(_) | Doing::Meddle(_) => return None,
    }
    Some(())
}

/// Ends the container of a child. From now on, its work is part of the truth.
fn exit(
    world: &mut World,
    number: u32,
    way: Way,
    happened: &mut Vec<Happened>,
    broken: &mut Vec<Broken>,
) -> Option<()> {
    let now = world.now;
    let child = world.children.iter_mut().find(|child| child.number == number)?;
    child.pod.as_mut()?.exit = Some((way, now));
    let (who, key) = (child.who, child.key);
    let trial = Trial {
        who,
        key,
        pod: Some(number),
        hears: None,
        ended: None,
        stopping: false,
        again: false,
    };
    match way {
        Way::Done => other_side::land(world, &trial, Ending::Done, broken),
        Way::No => other_side::refuse(world, &trial),
        Way::Half => half(world, &trial),
        Way::Killed => {}
    }
    happened.push(Happened::Ended(who, way.ending()));
    if let Some(trial) =
        world.trials.iter_mut().find(|trial| trial.who == who && trial.pod == Some(number))
    {
        trial.ended = Some(way.ending());
    }
    Some(())
}

/// Does half of the work. Nothing reports this.
fn half(world: &mut World, trial: &Trial) {
    let nothing =
        world.object().saga().steps.get(trial.who.place).is_none_or(ValidStep::leaves_nothing);
    if let Some(truth) = world
        .truth
        .get_mut(trial.who.place)
        .filter(|_| !nothing && trial.who.direction == Direction::Action)
    {
        truth.in_effect |= !truth.undone;
    }
}

/// Ends the execution at the service if nothing of the child can run any more.
pub(super) fn end_trial(world: &mut World, number: u32) {
    let over = world
        .children
        .iter()
        .find(|child| child.number == number)
        .filter(|child| !child.runs())
        .map(|child| child.who);
    if let Some(trial) =
        world.trials.iter_mut().find(|trial| Some(trial.who) == over && trial.pod == Some(number))
    {
        trial.ended.get_or_insert(Ending::Unknown(false));
    }
}
