//! What a replica does to children: it creates them, and it deletes the children of attempts that
//! are past their time limit.

use std::time::Duration;

use super::{
    moves,
    observe::{self, Found},
    values, watch,
};
use crate::{
    model::observation::ChildState,
    objects::{job, pod::fields::finishes_on_sigterm},
    world::{
        query,
        state::{
            attempt::AttemptRef,
            child::{JobNow, Made, PodNow, StoredChild, pod_uid},
            event::Event,
            interference::Cascade,
            reconcile::Start,
            world::World,
        },
    },
};

/// Creates the child of an attempt in the API server.
pub(in super::super) fn make(world: &mut World, number: usize, start: &Start, child: u32) {
    let Some(made) = values::build(world, start, child) else { return };
    let (job, pod) = match &made {
        Made::Pod(_) => (None, Some(PodNow::new(false))),
        Made::Job(..) => (Some(JobNow::new()), None),
    };
    if let Some(replica) = world.replicas.get_mut(number).filter(|_| job.is_some()) {
        replica.cache.of_jobs.entry(pod_uid(child)).or_default().born();
    }
    let (Made::Pod(value) | Made::Job(_, value)) = &made;
    let finishes = finishes_on_sigterm(value);
    let Start { attempt, key, .. } = *start;
    world.children.push(StoredChild {
        attempt,
        key,
        number: child,
        made,
        finishes,
        job,
        pod,
        has_made: false,
    });
    watch::show(world, child, None);
}

/// Stops an attempt that is past its time limit: deletes its child.
pub(in super::super) fn stop_child(
    world: &mut World,
    number: usize,
    attempt: AttemptRef,
    events: &mut Vec<Event>,
) -> Option<()> {
    if let Some(found) = observe::cached(world, number, attempt) {
        let runs_on = matches!(found, Found::Job(_))
            && job::known_pods::runs_on(&observe::job_pods(world, number, &found));
        if found.is_deleted() && !runs_on {
            return None;
        }
    }
    let object = world.object();
    let intent = object
        .active()
        .find(|(active, _)| *active == attempt)
        .and_then(|(_, record)| record.active.as_ref())?;
    let (written, saga, id) =
        (intent.child_uid.clone(), object.saga().uid.clone(), world.id(attempt));
    if object.gone {
        return None;
    }
    let own = world
        .replicas
        .get(number)?
        .memory
        .iter()
        .find(|known| known.attempt == attempt)
        .and_then(|known| known.child);
    let known = own.map(|(_, number)| pod_uid(number)).or(written);
    let live = observe::live(world, attempt).filter(|found| {
        found.is_child(&saga, &id, [known.as_deref(), None]) && !found.is_deleted()
    });
    let Some(found) = live else {
        return stop_rest(world, number, attempt, known.as_deref(), events);
    };
    if matches!(
        observe::state(world, &found, &observe::job_pods(world, number, &found), Duration::ZERO),
        ChildState::Active { .. }
    ) {
        let uid = found.uid().map(str::to_owned);
        delete_child(world, |child| Some(child.uid()) == uid, matches!(found, Found::Job(_)));
        events.push(Event::Stopped(attempt));
    }
    Some(())
}

/// Deletes the pods that remain of a Job that is gone, or whose deletion does not delete its pods.
fn stop_rest(
    world: &mut World,
    number: usize,
    attempt: AttemptRef,
    job: Option<&str>,
    events: &mut Vec<Event>,
) -> Option<()> {
    let job = job.filter(|_| query::runs_a_job(world, attempt))?;
    for pod in observe::rest(world, number, job) {
        let runs = matches!(
            observe::state(
                world,
                &Found::Pod(pod.clone()),
                &job::known_pods::KnownPods::default(),
                Duration::ZERO
            ),
            ChildState::Active { .. }
        );
        if runs && pod.metadata.deletion_timestamp.is_none() {
            delete_child(world, |child| pod.metadata.uid == Some(child.uid_of_pod()), false);
            events.push(Event::Stopped(attempt));
        }
    }
    Some(())
}

/// Requests a deletion in the API server: of a Job in the foreground, of a pod in the background.
fn delete_child(world: &mut World, is: impl Fn(&StoredChild) -> bool, job: bool) {
    let now = world.now;
    let Some(child) = world.children.iter_mut().find(|child| is(child)) else { return };
    let (number, before) = (child.number, child.clone());
    match (child.job.as_mut().filter(|_| job), child.pod.as_mut()) {
        (Some(job), _) => _ = job.deleted.get_or_insert((now, Cascade::Foreground)),
        (None, Some(pod)) => _ = pod.deleted.get_or_insert(now),
        (None, None) => {}
    }
    watch::show(world, number, Some(&before));
    moves::end_execution(world, number);
}
