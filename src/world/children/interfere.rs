//! How users, drains and nodes interfere with the children of attempts.

use crate::world::state::{
    child::{ChildChange, ChildMove, Children, JobNow, PodNow, StoredChild, pod_uid},
    interference::Interference,
    world::World,
};

/// Returns every interference with a child that may happen now.
pub(super) fn interferences(world: &World) -> Vec<ChildMove> {
    let Children::AsTheyAre { interferences, kinds } = &world.rules.children else {
        return Vec::new();
    };
    if world.interferences.len() >= *interferences {
        return Vec::new();
    }
    let of = |child: &StoredChild| {
        let number = child.number;
        let may: Vec<_> =
            kinds.iter().copied().filter(|kind| may_interfere(world, child, *kind)).collect();
        may.into_iter()
            .map(move |kind| ChildMove { child: number, what: ChildChange::Interfere(kind) })
    };
    world.children.iter().flat_map(of).collect()
}

fn may_interfere(world: &World, child: &StoredChild, kind: Interference) -> bool {
    let active = world
        .object()
        .active()
        .find(|(attempt, _)| *attempt == child.attempt)
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
        Interference::DeletePod | Interference::EvictPod => pod(|pod| !pod.was_asked_to_stop()),
        Interference::EndByNode => pod(|pod| !pod.was_asked_to_stop() && pod.runs()),
        Interference::DeleteJob(_) => is_named && job(|job| job.deleted.is_none()),
        Interference::Suspend => {
            job(|job| !job.suspended && job.deleted.is_none() && job.verdict.is_none())
        }
        Interference::StripOwner => is_named && either(|pod| pod.owner, |job| job.owner),
        Interference::StripLabels => is_named && either(|pod| pod.labels, |job| job.labels),
        Interference::StripPodLabels => child.is_job() && pod(|pod| pod.labels),
        Interference::Keep => either(|pod| !pod.kept, |job| !job.kept),
    }
}

/// Interferes with a child. Returns `None` if the object to be changed does not exist.
pub(super) fn interfere(world: &mut World, number: u32, kind: Interference) -> Option<()> {
    let now = world.now;
    let child = world.children.iter_mut().find(|child| child.number == number)?;
    let is_job = child.is_job();
    let (pod, job) = (child.pod.as_mut(), child.job.as_mut());
    match kind {
        Interference::DeletePod => pod?.deleted = Some(now),
        Interference::EvictPod => {
            let pod = pod?;
            (pod.deleted, pod.disrupted) = (Some(now), true);
        }
        Interference::EndByNode => pod?.by_node = true,
        Interference::DeleteJob(cascade) => job?.deleted = Some((now, cascade)),
        Interference::Suspend => {
            job?.suspended = true;
            // The Job controller deletes a running pod, and reports the suspension in the same
            // step.
            if let Some(pod) = pod.filter(|pod| pod.runs()) {
                pod.deleted.get_or_insert(now);
            }
        }
        Interference::StripOwner if is_job => job?.owner = false,
        Interference::StripOwner => pod?.owner = false,
        Interference::StripLabels if is_job => job?.labels = false,
        Interference::StripLabels | Interference::StripPodLabels => pod?.labels = false,
        Interference::Keep if is_job => job?.kept = true,
        Interference::Keep => pod?.kept = true,
    }
    world.interferences.push(kind);
    Some(())
}
