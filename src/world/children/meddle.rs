//! How users, drains and nodes interfere with the children of attempts.

use crate::world::{
    gather::pod_uid,
    state::{
        child::{Child, Children, Doing, JobNow, PodNow, Turn},
        meddling::Meddling,
        world::World,
    },
};

/// Returns every interference with a child that may happen now.
pub(super) fn meddlings(world: &World) -> Vec<Turn> {
    let Children::AsTheyAre { meddles, kinds } = &world.rules.children else {
        return Vec::new();
    };
    if world.meddled.len() >= *meddles {
        return Vec::new();
    }
    let of = |child: &Child| {
        let number = child.number;
        let may: Vec<_> =
            kinds.iter().copied().filter(|kind| may_meddle(world, child, *kind)).collect();
        may.into_iter().map(move |kind| Turn { child: number, doing: Doing::Meddle(kind) })
    };
    world.children.iter().flat_map(of).collect()
}

fn may_meddle(world: &World, child: &Child, kind: Meddling) -> bool {
    let active = world
        .object()
        .active()
        .find(|(who, _)| *who == child.who)
        .and_then(|(_, record)| record.active.as_ref());
    let Some(active) = active else { return false };
    // If the replica that created the child may die before the status names the child, nothing else
    // would tell whose child it is.
    let is_named = world.rules.faults == 0 || active.child_uid == Some(pod_uid(child.number));
    let pod = |fits: fn(&PodNow) -> bool| child.pod.as_ref().is_some_and(fits);
    let job = |fits: fn(&JobNow) -> bool| child.job.as_ref().is_some_and(fits);
    let either = |of_pod: fn(&PodNow) -> bool, of_job: fn(&JobNow) -> bool| {
        if child.is_job() { job(of_job) } else { pod(of_pod) }
    };
    match kind {
        Meddling::DeletePod | Meddling::EvictPod => pod(|pod| !pod.is_told()),
        Meddling::EndByNode => pod(|pod| !pod.is_told() && pod.runs()),
        Meddling::DeleteJob(_) => is_named && job(|job| job.deleted.is_none()),
        Meddling::Suspend => {
            job(|job| !job.suspended && job.deleted.is_none() && job.verdict.is_none())
        }
        Meddling::StripOwner => is_named && either(|pod| pod.owner, |job| job.owner),
        Meddling::StripLabels => is_named && either(|pod| pod.labels, |job| job.labels),
        Meddling::StripPodLabels => child.is_job() && pod(|pod| pod.labels),
        Meddling::Keep => either(|pod| !pod.kept, |job| !job.kept),
    }
}

/// Interferes with a child. Returns `None` if the object to be changed does not exist.
pub(super) fn meddle(world: &mut World, number: u32, kind: Meddling) -> Option<()> {
    let now = world.now;
    let child = world.children.iter_mut().find(|child| child.number == number)?;
    let is_job = child.is_job();
    let (pod, job) = (child.pod.as_mut(), child.job.as_mut());
    match kind {
        Meddling::DeletePod => pod?.deleted = Some(now),
        Meddling::EvictPod => {
            let pod = pod?;
            (pod.deleted, pod.disrupted) = (Some(now), true);
        }
        Meddling::EndByNode => pod?.by_node = true,
        Meddling::DeleteJob(cascade) => job?.deleted = Some((now, cascade)),
        Meddling::Suspend => {
            job?.suspended = true;
            // The Job controller deletes a running pod, and reports the suspension in the same
            // step.
            if let Some(pod) = pod.filter(|pod| pod.runs()) {
                pod.deleted.get_or_insert(now);
            }
        }
        Meddling::StripOwner if is_job => job?.owner = false,
        Meddling::StripOwner => pod?.owner = false,
        Meddling::StripLabels if is_job => job?.labels = false,
        Meddling::StripLabels | Meddling::StripPodLabels => pod?.labels = false,
        Meddling::Keep if is_job => job?.kept = true,
        Meddling::Keep => pod?.kept = true,
    }
    world.meddled.push(kind);
    Some(())
}
