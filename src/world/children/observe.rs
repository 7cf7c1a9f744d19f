//! How a replica determines the state of a child: from the watch, from its memory, and from live
//! reads, in the order of the shell.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};

use super::values;
use crate::{
    api::{ActiveAttempt, names::AttemptId},
    clock::{between, later},
    model::observation::{Absence, ChildState, End, Unavailable},
    objects::{
        child::{
            DELETION_POLL, WATCH_LAG, after_another, after_job, given_up, is_child, is_late,
            is_ours, job_is_terminating, just_created, name_conflict, only_kept, unless_done,
        },
        job::{
            self,
            fields::made_by,
            known_pods::{KnownPods, ListedPods},
            pods::JobPods,
        },
        pod::{self, fields::CONTROLLER_UID},
    },
    world::{
        child_state::never_sent,
        query,
        state::{
            attempt::AttemptRef,
            child::{pod_number, pod_uid},
            replica::AttemptMemory,
            world::World,
        },
    },
};

/// A child as a replica reads it.
#[derive(Clone, Debug)]
pub(super) enum Found {
    Pod(Arc<Pod>),
    Job(Arc<Job>),
}

/// A state, and the delay of a requeue for a reason that no watch may report.
type Finding = (ChildState, Option<Duration>);

impl Found {
    pub(super) fn uid(&self) -> Option<&str> {
        match self {
            Self::Pod(pod) => pod.metadata.uid.as_deref(),
            Self::Job(job) => job.metadata.uid.as_deref(),
        }
    }

    pub(super) fn is_deleted(&self) -> bool {
        match self {
            Self::Pod(pod) => pod.metadata.deletion_timestamp.is_some(),
            Self::Job(job) => job.metadata.deletion_timestamp.is_some(),
        }
    }

    pub(super) fn is_child(&self, saga: &str, id: &AttemptId, known: [Option<&str>; 2]) -> bool {
        match self {
            Self::Pod(pod) => is_child(pod.as_ref(), (saga, id), known),
            Self::Job(job) => is_child(job.as_ref(), (saga, id), known),
        }
    }

    fn is_ours(&self, saga: &str, id: &AttemptId) -> bool {
        match self {
            Self::Pod(pod) => is_ours(pod.as_ref(), saga, id),
            Self::Job(job) => is_ours(job.as_ref(), saga, id),
        }
    }

    fn name_conflict(&self) -> End {
        match self {
            Self::Pod(pod) => name_conflict(pod.as_ref()),
            Self::Job(job) => name_conflict(job.as_ref()),
        }
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::Pod(_) => "Pod",
            Self::Job(_) => "Job",
        }
    }
}

/// Returns the state of a child that the watch cannot show yet: its creation was refused, or it was
/// just created.
fn not_shown_yet(known: &AttemptMemory, now: Timestamp) -> Option<ChildState> {
    if let Some(until) = known.refused.filter(|until| *until > now) {
        return Some(ChildState::Unavailable(Unavailable::Refused {
            message: "exceeded quota".into(),
            retry_in: between(now, until),
            known_for: between(known.first_read, now),
        }));
    }
    let (since, made) = known.child?;
    just_created(&pod_uid(made), between(since, now))
}

/// Returns the state of a child that neither the watch nor a live read shows.
fn absent(known: &AttemptMemory, now: Timestamp) -> ChildState {
    ChildState::Absent(Absence {
        seen: known.child.is_some(),
        refused: known.refused.is_some(),
        known_for: between(known.first_read, now),
    })
}

/// Returns the state of the child of an active attempt, as this replica determines it.
pub(in super::super) fn child(
    world: &mut World,
    number: usize,
    attempt: AttemptRef,
    active: &ActiveAttempt,
) -> ChildState {
    let now = world.now;
    let (state, again) =
        determine(world, number, attempt, active).unwrap_or_else(|| (never_sent(), None));
    if let Some(replica) = world.replicas.get_mut(number) {
        let again = again.map(|wait| later(now, wait));
        replica.cache.again = [replica.cache.again, again].into_iter().flatten().min();
    }
    state
}

fn determine(
    world: &mut World,
    number: usize,
    attempt: AttemptRef,
    active: &ActiveAttempt,
) -> Option<Finding> {
    let (now, saga, id) = (world.now, world.object().saga().uid.clone(), world.id(attempt));
    let cached = cached(world, number, attempt);
    let replica = world.replicas.get_mut(number)?;
    let known = replica.memory_of(attempt, now).clone();
    let (end, gone) =
        (replica.cache.note(attempt).end.clone(), replica.cache.note(attempt).gone.clone());
    if let Some(end) = end {
        return Some((end.into(), None));
    }
    let child = known.child.map(|(_, number)| pod_uid(number)).or_else(|| active.child_uid.clone());
    let another = |found: &Found| child.as_deref().is_some_and(|child| found.uid() != Some(child));
    if let Some(found) = cached.filter(|found| !another(found)) {
        return seen(world, number, attempt, active, &found);
    }
    if gone.is_none()
        && let Some(state) = not_shown_yet(&known, now)
    {
        return Some((state, Some(WATCH_LAG)));
    }
    let live = live(world, attempt);
    let gone = match &live {
        Some(found) if !another(found) => {
            return Some((
                unless_done(seen(world, number, attempt, active, found)?.0, gone),
                Some(WATCH_LAG),
            ));
        }
        Some(found) if found.is_ours(&saga, &id) => {
            return Some((
                after_another(seen(world, number, attempt, active, found)?.0, found.word()),
                Some(WATCH_LAG),
            ));
        }
        Some(_) | None if query::runs_a_job(world, attempt) => match &child {
            Some(child) => {
                rest(world, number, child);
                after_going(world, number, attempt, child).or(gone.map(ChildState::Ended))
            }
            None => gone.map(ChildState::Ended),
        },
        Some(_) | None => gone.map(ChildState::Ended),
    };
    Some(match (live, gone) {
        (_, Some(ChildState::Ended(end))) => {
            world.replicas.get_mut(number)?.cache.note(attempt).end = Some(end.clone());
            (end.into(), None)
        }
        (_, Some(active)) => (active, Some(WATCH_LAG)),
        (Some(found), None) if child.is_none() => (found.name_conflict().into(), None),
        (Some(_) | None, None) => (absent(&known, now), None),
    })
}

/// Returns the state of an object that exists. If the object is not the child of the attempt, the
/// state is a name conflict.
fn seen(
    world: &mut World,
    number: usize,
    attempt: AttemptRef,
    active: &ActiveAttempt,
    found: &Found,
) -> Option<Finding> {
    let (now, saga, id) = (world.now, world.object().saga().uid.clone(), world.id(attempt));
    let replica = world.replicas.get_mut(number)?;
    let known = replica.memory_of(attempt, now);
    let own = known.child.map(|(_, number)| pod_uid(number));
    if !found.is_child(&saga, &id, [own.as_deref(), active.child_uid.as_deref()]) {
        return Some((found.name_conflict().into(), None));
    }
    known.refused = None;
    let (since, _) = *known.child.get_or_insert((now, found.uid().and_then(pod_number)?));
    let age = between(since, now);
    let job_pods = job_pods(world, number, found);
    let (deleting, stuck) = match found {
        Found::Pod(pod) => (found.is_deleted(), pod::state::stuck(pod, now)),
        Found::Job(job) => {
            (job_is_terminating(job, &job_pods), job::state::stuck(Some(job), &job_pods, now))
        }
    };
    let note = world.replicas.get_mut(number)?.cache.note(attempt);
    let deleting_for = deleting.then(|| between(*note.deleting_since.get_or_insert(now), now));
    if let Some(end) = given_up(stuck, deleting_for) {
        return Some((end.into(), None));
    }
    let state = state(world, found, &job_pods, age);
    if !matches!(state, ChildState::Active { .. }) {
        return Some((state, None));
    }
    if let Found::Job(job) = found
        && is_late(deleting_for)
        && only_kept(job, &job_pods)
        && let Some(end) = job::state::gone(job, &with_live_pods(world, found, job_pods))
    {
        return Some((end.into(), None));
    }
    Some((state, deleting.then_some(DELETION_POLL)))
}

/// Returns the state of a child. If the watch does not show enough of the pods of a Job, a live
/// read of its pods decides.
pub(super) fn state(
    world: &World,
    found: &Found,
    job_pods: &KnownPods,
    age: Duration,
) -> ChildState {
    match found {
        Found::Pod(pod) => pod::state::state(pod, age),
        Found::Job(job) if job::state::wants_pods(job, job_pods) => {
            job::state::state(job, &with_live_pods(world, found, job_pods.clone()), age)
        }
        Found::Job(job) => job::state::state(job, job_pods, age),
    }
}

/// Returns the state of a Job that is gone.
fn after_going(
    world: &World,
    number: usize,
    attempt: AttemptRef,
    child: &str,
) -> Option<ChildState> {
    let replica = world.replicas.get(number)?;
    let since =
        replica.memory.iter().find(|known| known.attempt == attempt).and_then(|known| known.child);
    let pods = replica.cache.of_jobs.get(child);
    let job_pods = pods.map(JobPods::known).unwrap_or_default();
    let age = since.map_or(Duration::ZERO, |(since, _)| between(since, world.now));
    after_job(child, &job_pods, pods.and_then(JobPods::last).map(Arc::as_ref), age)
}

/// Returns the child of an attempt as the watch showed it last.
pub(super) fn cached(world: &World, number: usize, attempt: AttemptRef) -> Option<Found> {
    let (cache, child) = (&world.replicas.get(number)?.cache, query::child_of(world, attempt)?);
    let uid = Some(child.uid());
    if child.is_job() {
        cache.jobs.iter().find(|job| job.metadata.uid == uid).cloned().map(Found::Job)
    } else {
        cache.pods.iter().find(|pod| pod.metadata.uid == uid).cloned().map(Found::Pod)
    }
}

/// Returns the child with the attempt's name, by a live read.
pub(super) fn live(world: &World, attempt: AttemptRef) -> Option<Found> {
    let child = query::child_of(world, attempt)?;
    if child.is_job() {
        values::job_value(child).map(Arc::new).map(Found::Job)
    } else {
        values::pod_value(child).map(Arc::new).map(Found::Pod)
    }
}

/// Returns what a replica knows of the pods of a Job.
pub(super) fn job_pods(world: &World, number: usize, found: &Found) -> KnownPods {
    let pods = world
        .replicas
        .get(number)
        .zip(found.uid())
        .and_then(|(replica, uid)| replica.cache.of_jobs.get(uid));
    pods.map(JobPods::known).unwrap_or_default()
}

fn with_live_pods(world: &World, found: &Found, job_pods: KnownPods) -> KnownPods {
    job_pods.as_listed(ListedPods::all(live_pods(world, found.uid().unwrap_or_default())))
}

/// Returns the pods of a Job by a live read. The read selects by a label.
fn live_pods(world: &World, job: &str) -> Vec<Pod> {
    let label = |pod: &Pod| {
        pod.metadata
            .labels
            .as_ref()
            .and_then(|labels| labels.get(CONTROLLER_UID))
            .is_some_and(|uid| uid == job)
    };
    let pods = world.children.iter().filter_map(values::pod_value);
    pods.filter(|pod| label(pod) && made_by(pod) == Some(job)).collect()
}

/// Returns the pods that remain of a Job that is gone, by a live read.
pub(super) fn rest(world: &mut World, number: usize, job: &str) -> Vec<Arc<Pod>> {
    let listed = live_pods(world, job);
    let Some(replica) = world.replicas.get_mut(number) else { return Vec::new() };
    let pods = replica.cache.of_jobs.entry(job.to_owned()).or_default();
    let job_pods = pods.known().as_listed(ListedPods::all(listed));
    pods.correct(&job_pods);
    job_pods.pods
}
