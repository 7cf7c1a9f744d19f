//! What a replica does to children: it creates them, and it deletes the children of attempts that
//! are past their time limit.

use std::time::Duration;

use super::{
    actors,
    look::{self, Found},
    values, watch,
};
use crate::{
    model::observation::ChildState,
    objects::{job, pod::fields::finishes_on_sigterm},
    world::{
        Happened,
        gather::pod_uid,
        state::{
            child::{Child, JobNow, Made, PodNow},
            look::Start,
            meddling::Cascade,
            world::{Who, World},
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
    if let Some(process) = world.processes.get_mut(number).filter(|_| job.is_some()) {
        process.view.of_jobs.entry(pod_uid(child)).or_default().born();
    }
    let (Made::Pod(value) | Made::Job(_, value)) = &made;
    let finishes = finishes_on_sigterm(value);
    let Start { who, key, .. } = *start;
    world.children.push(Child {
        who,
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
    who: Who,
    happened: &mut Vec<Happened>,
) -> Option<()> {
    if let Some(found) = look::cached(world, number, who) {
        let runs_on = matches!(found, Found::Job(_))
            && job::state::runs_on(&look::family(world, number, &found));
        if found.is_deleted() && !runs_on {
            return None;
        }
    }
    let object = world.object();
    let intent = object
        .active()
        .find(|(active, _)| *active == who)
        .and_then(|(_, record)| record.active.as_ref())?;
    let (written, saga, attempt) =
        (intent.child_uid.clone(), object.saga().uid.clone(), world.id(who));
    if object.gone {
        return None;
    }
    let own = world
        .processes
        .get(number)?
        .memory
        .iter()
        .find(|known| known.who == who)
        .and_then(|known| known.child);
    let known = own.map(|(_, number)| pod_uid(number)).or(written);
    let live = look::live(world, who).filter(|found| {
        found.is_child(&saga, &attempt, [known.as_deref(), None]) && !found.is_deleted()
    });
    let Some(found) = live else {
        return stop_rest(world, number, who, known.as_deref(), happened);
    };
    if matches!(
        look::state(world, &found, &look::family(world, number, &found), Duration::ZERO),
        ChildState::Active { .. }
    ) {
        let uid = found.uid().map(str::to_owned);
        delete_child(
            world,
            |child| Some(values::uid(child)) == uid,
            matches!(found, Found::Job(_)),
        );
        happened.push(Happened::Stopped(who));
    }
    Some(())
}

/// Deletes the pods that remain of a Job that is gone, or whose deletion does not delete its pods.
fn stop_rest(
    world: &mut World,
    number: usize,
    who: Who,
    job: Option<&str>,
    happened: &mut Vec<Happened>,
) -> Option<()> {
    let job = job.filter(|_| look::is_about_a_job(world, who))?;
    for pod in look::rest(world, number, job) {
        let runs = matches!(
            look::state(
                world,
                &Found::Pod(pod.clone()),
                &job::state::Family::default(),
                Duration::ZERO
            ),
            ChildState::Active { .. }
        );
        if runs && pod.metadata.deletion_timestamp.is_none() {
            delete_child(world, |child| pod.metadata.uid == Some(values::uid_of_pod(child)), false);
            happened.push(Happened::Stopped(who));
        }
    }
    Some(())
}

/// Requests a deletion in the API server: of a Job in the foreground, of a pod in the background.
fn delete_child(world: &mut World, is: impl Fn(&Child) -> bool, job: bool) {
    let now = world.now;
    let Some(child) = world.children.iter_mut().find(|child| is(child)) else { return };
    let (number, before) = (child.number, child.clone());
    match (child.job.as_mut().filter(|_| job), child.pod.as_mut()) {
        (Some(job), _) => _ = job.deleted.get_or_insert((now, Cascade::Foreground)),
        (None, Some(pod)) => _ = pod.deleted.get_or_insert(now),
        (None, None) => {}
    }
    watch::show(world, number, Some(&before));
    actors::end_trial(world, number);
}
