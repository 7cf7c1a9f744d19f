//! The part of a fingerprint that covers the children.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};

use super::hash::StateHash;
use crate::{
    clock::between,
    model::observation::{End, Failure},
    objects::child::{STUCK_SINCE, WATCH_LAG},
    world::state::{
        cache::{ChildCache, Note},
        child::{PodNow, StoredChild, pod_uid},
        interference::Cascade,
        replica::Replica,
        world::World,
    },
};

/// The cap of the time from an end to a deletion, or from an end until now. A longer time makes no
/// difference: the end clearly came first.
const CLEAR: Duration = Duration::from_secs(11);
/// The cap of the time since a deletion was requested. A longer time makes no difference: the grace
/// period is over, and so is the wait for a node that does not answer.
const LONG: Duration = Duration::from_secs(121);

/// Writes the children as they are.
pub(super) fn children_into(world: &World, hash: &mut StateHash<'_>) {
    hash.count(world.interferences.len());
    let children = children_in_order(world);
    hash.count(children.len());
    for child in &children {
        child_into(world, hash, child);
    }
}

/// Returns the children sorted by attempt and number. Equal worlds created them in the same order.
fn children_in_order(world: &World) -> Vec<&StoredChild> {
    let mut children: Vec<_> = world.children.iter().collect();
    children.sort_unstable_by_key(|child| (child.attempt, child.number));
    children
}

fn child_into(world: &World, hash: &mut StateHash<'_>, child: &StoredChild) {
    hash.attempt(child.attempt);
    hash.number(child.key);
    hash.flags(&[child.is_job(), child.has_made]);
    let is_own = world
        .executions
        .iter()
        .any(|execution| execution.attempt == child.attempt && execution.pod == Some(child.number));
    hash.flag(is_own);
    match &child.pod {
        Some(pod) => pod_now_into(world, hash, pod),
        None => hash.put(0),
    }
    let Some(job) = &child.job else { return hash.put(0) };
    hash.flags(&[true, job.suspended, job.owner, job.labels, job.kept]);
    hash.put(job.verdict.map_or(0, |(done, _)| 1 + u64::from(done)));
    if let Some((_, at)) = job.verdict {
        ended_into(world, hash, at, job.deleted.map(|(asked, _)| asked));
    }
    match job.deleted {
        Some((asked, cascade)) => {
            hash.put(
                1 + match cascade {
                    Cascade::Background => 0,
                    Cascade::Foreground => 1,
                    Cascade::Orphan => 2,
                },
            );
            age_into(world, hash, asked, LONG);
        }
        None => hash.put(0),
    }
}

fn pod_now_into(world: &World, hash: &mut StateHash<'_>, pod: &PodNow) {
    let PodNow { exit, deleted, disrupted, by_node, owner, labels, kept, tracked } = pod;
    hash.flags(&[true, *disrupted, *by_node, *owner, *labels, *kept, *tracked]);
    hash.put(exit.map_or(0, |(way, _)| 1 + way as u64));
    if let Some((_, at)) = exit {
        ended_into(world, hash, *at, *deleted);
    }
    match deleted {
        Some(asked) => age_into(world, hash, *asked, LONG),
        None => hash.put(u64::MAX),
    }
}

fn age_into(world: &World, hash: &mut StateHash<'_>, at: Timestamp, cap: Duration) {
    hash.duration(between(at, world.now).min(cap));
}

/// Writes the time from an end to a deletion, or from the end until now if there is no deletion.
fn ended_into(world: &World, hash: &mut StateHash<'_>, at: Timestamp, asked: Option<Timestamp>) {
    hash.duration(between(at, asked.unwrap_or(world.now)).min(CLEAR));
}

/// Writes what the watches showed a replica, and what the replica remembers.
pub(super) fn cache_into(world: &World, hash: &mut StateHash<'_>, replica: &Replica) {
    let ChildCache { pods, jobs, of_jobs, notes, again: _, proofs } = &replica.cache;
    let children = children_in_order(world);
    let place = |uid: Option<&String>| {
        children
            .iter()
            .position(|child| uid == Some(&child.uid()) || uid == Some(&child.uid_of_pod()))
    };
    let mut shown: Vec<_> =
        pods.iter().map(|pod| (place(pod.metadata.uid.as_ref()), pod)).collect();
    shown.sort_by_key(|(place, _)| *place);
    for (place, pod) in shown {
        hash.count(place.map_or(0, |place| place + 1));
        pod_into(world, hash, pod);
    }
    let mut shown: Vec<_> =
        jobs.iter().map(|job| (place(job.metadata.uid.as_ref()), job)).collect();
    shown.sort_by_key(|(place, _)| *place);
    for (place, job) in shown {
        hash.count(place.map_or(0, |place| place + 1));
        job_into(world, hash, job);
    }
    hash.count(pods.len() << 16 | jobs.len() << 8 | of_jobs.len());
    let own = |uid: &str| {
        replica
            .memory
            .iter()
            .position(|known| known.child.is_some_and(|(_, number)| pod_uid(number) == uid))
    };
    let mut families: Vec<_> =
        of_jobs.iter().map(|(job, pods)| ((place(Some(job)), own(job)), pods)).collect();
    families.sort_by_key(|(place, _)| *place);
    for ((at, own), pods) in families {
        hash.count(at.map_or(0, |at| at + 1));
        hash.count(own.map_or(0, |own| own + 1));
        let job_pods = pods.known();
        hash.flags(&[job_pods.lost, job_pods.whole]);
        for pods in [&job_pods.pods, &job_pods.gone] {
            hash.count(pods.len());
            for pod in pods {
                hash.count(place(pod.metadata.uid.as_ref()).map_or(0, |place| place + 1));
                pod_into(world, hash, pod);
            }
        }
        match pods.last() {
            Some(last) => job_into(world, hash, last),
            None => hash.put(0),
        }
    }
    notes_into(world, hash, notes);
    for attempt in proofs {
        hash.attempt(*attempt);
    }
    for (since, _) in replica.memory.iter().filter_map(|known| known.child) {
        age_into(world, hash, since, WATCH_LAG);
    }
}

/// Writes what a replica remembers of children besides their UIDs.
fn notes_into(world: &World, hash: &mut StateHash<'_>, notes: &[Note]) {
    let mut notes: Vec<_> = notes.iter().collect();
    notes.sort_unstable_by_key(|note| note.attempt);
    for note in notes {
        hash.attempt(note.attempt);
        for told in [&note.gone, &note.end] {
            end_into(hash, told.as_ref());
        }
        match note.deleting_since {
            Some(since) => age_into(world, hash, since, STUCK_SINCE),
            None => hash.put(u64::MAX),
        }
    }
}

fn pod_into(world: &World, hash: &mut StateHash<'_>, pod: &Pod) {
    let status = pod.status.as_ref();
    let exit = status.and_then(|status| {
        status.container_statuses.as_ref()?.first()?.state.as_ref()?.terminated.as_ref()
    });
    let is_disrupted = status.is_some_and(|status| {
        status.conditions.as_ref().is_some_and(|conditions| !conditions.is_empty())
    });
    let metadata = &pod.metadata;
    let labels = metadata.labels.as_ref().is_some_and(|labels| !labels.is_empty());
    hash.flags(&[
        is_disrupted,
        status.is_some_and(|status| status.reason.is_some()),
        labels,
        metadata.owner_references.is_some(),
    ]);
    hash.number(exit.map_or(-1, |exit| exit.exit_code.into()));
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
        ended_into(world, hash, at.0, asked);
    }
    match asked {
        Some(asked) => age_into(world, hash, asked, LONG),
        None => hash.put(u64::MAX),
    }
}

fn job_into(world: &World, hash: &mut StateHash<'_>, job: &Job) {
    let metadata = &job.metadata;
    let labels = metadata.labels.as_ref().is_some_and(|labels| !labels.is_empty());
    let suspended = job.spec.as_ref().and_then(|spec| spec.suspend) == Some(true);
    hash.flags(&[labels, metadata.owner_references.is_some(), suspended]);
    let asked = metadata.deletion_timestamp.as_ref().map(|at| at.0);
    for condition in job.status.iter().flat_map(|status| status.conditions.iter().flatten()) {
        hash.put(
            condition
                .type_
                .bytes()
                .fold(7, |sum: u64, byte| sum.wrapping_mul(257).wrapping_add(byte.into())),
        );
        if let Some(at) = &condition.last_transition_time {
            ended_into(world, hash, at.0, asked);
        }
    }
    match asked {
        Some(asked) => age_into(world, hash, asked, LONG),
        None => hash.put(u64::MAX),
    }
}

/// Writes which end is recorded. Texts do not count.
fn end_into(hash: &mut StateHash<'_>, told: Option<&End>) {
    match told {
        None => hash.put(0),
        Some(End::Succeeded(_)) => hash.put(1),
        Some(End::Unknown { .. }) => hash.put(2),
        Some(End::Failed(Failure { reached, exit_code, .. })) => {
            hash.put(3 + *reached as u64);
            hash.number(exit_code.map_or(-1, Into::into));
        }
        Some(End::Answered(_) | End::UnknownForGood { .. } | End::CalledOff { .. }) => hash.put(99),
    }
}
