//! The part of a fingerprint that covers the children.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};

use super::values;
use crate::{
    clock::between,
    model::observation::{ChildState, Failure},
    objects::child::{STUCK_SINCE, WATCH_LAG},
    world::{
        gather::pod_uid,
        sink::Sink,
        state::{
            child::{Child, PodNow},
            meddling::Cascade,
            process::Process,
            view::{Note, View},
            world::World,
        },
    },
};

/// The cap of the time from an end to a deletion, or from an end until now. A longer time makes no
/// difference: the end clearly came first.
const CLEAR: Duration = Duration::from_secs(11);
/// The cap of the time since a deletion was requested. A longer time makes no difference: the grace
/// period is over, and so is the wait for a node that does not answer.
const LONG: Duration = Duration::from_secs(121);

/// Writes the children as they are.
pub(in super::super) fn children_into(world: &World, sink: &mut Sink<'_>) {
    sink.count(world.meddled.len());
    let children = children_in_order(world);
    sink.count(children.len());
    for child in &children {
        child_into(world, sink, child);
    }
}

/// Returns the children sorted by attempt and number. Equal worlds created them in the same order.
fn children_in_order(world: &World) -> Vec<&Child> {
    let mut children: Vec<_> = world.children.iter().collect();
    children.sort_unstable_by_key(|child| (child.who, child.number));
    children
}

fn child_into(world: &World, sink: &mut Sink<'_>, child: &Child) {
    sink.who(child.who);
    sink.number(child.key);
    sink.flags(&[child.is_job(), child.has_made]);
    let is_own =
        world.trials.iter().any(|trial| trial.who == child.who && trial.pod == Some(child.number));
    sink.flag(is_own);
    match &child.pod {
        Some(pod) => pod_now_into(world, sink, pod),
        None => sink.put(0),
    }
    let Some(job) = &child.job else { return sink.put(0) };
    sink.flags(&[true, job.suspended, job.owner, job.labels, job.kept]);
    sink.put(job.verdict.map_or(0, |(done, _)| 1 + u64::from(done)));
    if let Some((_, at)) = job.verdict {
        ended_into(world, sink, at, job.deleted.map(|(asked, _)| asked));
    }
    match job.deleted {
        Some((asked, cascade)) => {
            sink.put(
                1 + match cascade {
                    Cascade::Background => 0,
                    Cascade::Foreground => 1,
                    Cascade::Orphan => 2,
                },
            );
            age_into(world, sink, asked, LONG);
        }
        None => sink.put(0),
    }
}

fn pod_now_into(world: &World, sink: &mut Sink<'_>, pod: &PodNow) {
    let PodNow { exit, deleted, disrupted, by_node, owner, labels, kept, tracked } = pod;
    sink.flags(&[true, *disrupted, *by_node, *owner, *labels, *kept, *tracked]);
    sink.put(exit.map_or(0, |(way, _)| 1 + way as u64));
    if let Some((_, at)) = exit {
        ended_into(world, sink, *at, *deleted);
    }
    match deleted {
        Some(asked) => age_into(world, sink, *asked, LONG),
        None => sink.put(u64::MAX),
    }
}

fn age_into(world: &World, sink: &mut Sink<'_>, at: Timestamp, cap: Duration) {
    sink.duration(between(at, world.now).min(cap));
}

/// Writes the time from an end to a deletion, or from the end until now if there is no deletion.
fn ended_into(world: &World, sink: &mut Sink<'_>, at: Timestamp, asked: Option<Timestamp>) {
    sink.duration(between(at, asked.unwrap_or(world.now)).min(CLEAR));
}

/// Writes what the watches showed a replica, and what the replica remembers.
pub(in super::super) fn view_into(world: &World, sink: &mut Sink<'_>, process: &Process) {
    let View { pods, jobs, of_jobs, notes, again: _, proofs } = &process.view;
    let children = children_in_order(world);
    let place = |uid: Option<&String>| {
        children.iter().position(|child| {
            uid == Some(&values::uid(child)) || uid == Some(&values::uid_of_pod(child))
        })
    };
    let mut shown: Vec<_> =
        pods.iter().map(|pod| (place(pod.metadata.uid.as_ref()), pod)).collect();
    shown.sort_by_key(|(place, _)| *place);
    for (place, pod) in shown {
        sink.count(place.map_or(0, |place| place + 1));
        pod_into(world, sink, pod);
    }
    let mut shown: Vec<_> =
        jobs.iter().map(|job| (place(job.metadata.uid.as_ref()), job)).collect();
    shown.sort_by_key(|(place, _)| *place);
    for (place, job) in shown {
        sink.count(place.map_or(0, |place| place + 1));
        job_into(world, sink, job);
    }
    sink.count(pods.len() << 16 | jobs.len() << 8 | of_jobs.len());
    let own = |uid: &str| {
        process
            .memory
            .iter()
            .position(|known| known.child.is_some_and(|(_, number)| pod_uid(number) == uid))
    };
    let mut families: Vec<_> =
        of_jobs.iter().map(|(job, pods)| ((place(Some(job)), own(job)), pods)).collect();
    families.sort_by_key(|(place, _)| *place);
    for ((at, own), pods) in families {
        sink.count(at.map_or(0, |at| at + 1));
        sink.count(own.map_or(0, |own| own + 1));
        let family = pods.family();
        sink.flags(&[family.lost, family.whole]);
        for pods in [&family.pods, &family.gone] {
            sink.count(pods.len());
            for pod in pods {
                sink.count(place(pod.metadata.uid.as_ref()).map_or(0, |place| place + 1));
                pod_into(world, sink, pod);
            }
        }
        match pods.last() {
            Some(last) => job_into(world, sink, last),
            None => sink.put(0),
        }
    }
    notes_into(world, sink, notes);
    for who in proofs {
        sink.who(*who);
    }
    for (since, _) in process.memory.iter().filter_map(|known| known.child) {
        age_into(world, sink, since, WATCH_LAG);
    }
}

/// Writes what a replica remembers of children besides their UIDs.
fn notes_into(world: &World, sink: &mut Sink<'_>, notes: &[Note]) {
    let mut notes: Vec<_> = notes.iter().collect();
    notes.sort_unstable_by_key(|note| note.who);
    for note in notes {
        sink.who(note.who);
        for told in [&note.gone, &note.end] {
            told_into(sink, told.as_ref());
        }
        match note.deleting_since {
            Some(since) => age_into(world, sink, since, STUCK_SINCE),
            None => sink.put(u64::MAX),
        }
    }
}

fn pod_into(world: &World, sink: &mut Sink<'_>, pod: &Pod) {
    let status = pod.status.as_ref();
    let exit = status.and_then(|status| {
        status.container_statuses.as_ref()?.first()?.state.as_ref()?.terminated.as_ref()
    });
    let is_disrupted = status.is_some_and(|status| {
        status.conditions.as_ref().is_some_and(|conditions| !conditions.is_empty())
    });
    let metadata = &pod.metadata;
    let labels = metadata.labels.as_ref().is_some_and(|labels| !labels.is_empty());
    sink.flags(&[
        is_disrupted,
        status.is_some_and(|status| status.reason.is_some()),
        labels,
        metadata.owner_references.is_some(),
    ]);
    sink.number(exit.map_or(-1, |exit| exit.exit_code.into()));
    let grace = metadata
        .deletion_grace_period_seconds
        .and_then(|grace| u64::try_from(grace).ok())
        .map(Duration::from_secs);
    let asked = metadata
        .deletion_timestamp
        .as_ref()
        .zip(grace)
        .and_then(|(at, grace)| at.0.checked_sub(grace).ok());
    if let Some(at) = exit.and_then(|exit| exit.finished_at.as_ref()) {
        ended_into(world, sink, at.0, asked);
    }
    match asked {
        Some(asked) => age_into(world, sink, asked, LONG),
        None => sink.put(u64::MAX),
    }
}

fn job_into(world: &World, sink: &mut Sink<'_>, job: &Job) {
    let metadata = &job.metadata;
    let labels = metadata.labels.as_ref().is_some_and(|labels| !labels.is_empty());
    let suspended = job.spec.as_ref().and_then(|spec| spec.suspend) == Some(true);
    sink.flags(&[labels, metadata.owner_references.is_some(), suspended]);
    let asked = metadata.deletion_timestamp.as_ref().map(|at| at.0);
    for condition in job.status.iter().flat_map(|status| status.conditions.iter().flatten()) {
        sink.put(
            condition
                .type_
                .bytes()
                .fold(7, |sum: u64, byte| sum.wrapping_mul(257).wrapping_add(byte.into())),
        );
        if let Some(at) = &condition.last_transition_time {
            ended_into(world, sink, at.0, asked);
        }
    }
    match asked {
        Some(asked) => age_into(world, sink, asked, LONG),
        None => sink.put(u64::MAX),
    }
}

/// Writes which end is recorded. Texts do not count.
fn told_into(sink: &mut Sink<'_>, told: Option<&ChildState>) {
    match told {
        None => sink.put(0),
        Some(ChildState::Succeeded(_)) => sink.put(1),
        Some(ChildState::Unknown { .. }) => sink.put(2),
        Some(ChildState::Failed(Failure { reached, exit_code, .. })) => {
            sink.put(3 + *reached as u64);
            sink.number(exit_code.map_or(-1, Into::into));
        }
        Some(_) => sink.put(99),
    }
}
