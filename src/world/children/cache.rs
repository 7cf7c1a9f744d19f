//! What a replica remembers of the children that the watches show, and what the replica forgets.

use std::sync::Arc;

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::Resource;

use crate::{
    api::names::{LABEL_MANAGED_BY, MANAGER},
    objects::{
        job::{self, fields::job_of, pods::JobPods},
        pod,
    },
    world::state::{
        attempt::AttemptRef,
        cache::ChildCache,
        child::{StoredChild, pod_uid},
        replica::Replica,
        world::World,
    },
};

fn is_watched<K: Resource>(object: &K) -> bool {
    object
        .meta()
        .labels
        .as_ref()
        .and_then(|labels| labels.get(LABEL_MANAGED_BY))
        .is_some_and(|manager| manager == MANAGER)
}

/// Forgets what no replica needs any more. `existing`: the children that exist. `wanted`: whether
/// an attempt is under way. `known`: whether the UID of a child is known.
fn keep_only(
    cache: &mut ChildCache,
    existing: &[StoredChild],
    wanted: impl Fn(AttemptRef) -> bool,
    known: impl Fn(&str) -> bool,
) {
    cache
        .pods
        .retain(|pod| existing.iter().any(|child| pod.metadata.uid == Some(child.uid_of_pod())));
    cache.jobs.retain(|job| existing.iter().any(|child| job.metadata.uid == Some(child.uid())));
    cache.of_jobs.retain(|job, _| known(job) || existing.iter().any(|child| child.uid() == *job));
    cache.notes.retain(|note| wanted(note.attempt));
    cache.proofs.retain(|attempt| wanted(*attempt));
}

/// Returns the family of the Job to which a pod belongs.
fn family_of<'a>(cache: &'a mut ChildCache, pod: &Pod) -> Option<&'a mut JobPods> {
    let known =
        || cache.of_jobs.iter().find(|(_, pods)| pods.know(pod)).map(|(job, _)| job.clone());
    let job = job_of(pod).map(str::to_owned).or_else(known)?;
    Some(cache.of_jobs.entry(job).or_default())
}

/// Takes a pod from the watch: `now` is the pod as it is now, or `None` if it was deleted.
/// Returns the last copy of a deleted pod that belongs to no Job, and whether anything changed.
pub(super) fn show_pod(
    cache: &mut ChildCache,
    uid: &str,
    now: Option<Pod>,
    last: Option<Pod>,
) -> (Option<Arc<Pod>>, bool) {
    let place = cache.pods.iter().position(|known| known.metadata.uid.as_deref() == Some(uid));
    let before = place.and_then(|place| cache.pods.get(place)).cloned();
    let shown = |mut pod: Pod| {
        pod::strip::strip(&mut pod);
        pod::strip::keep_success(&mut pod, before.as_deref());
        Arc::new(pod)
    };
    match (now.filter(is_watched).map(shown), place) {
        (Some(pod), _) if before.as_ref() == Some(&pod) => (None, false),
        (Some(pod), place) => {
            if let Some(job_pods) = family_of(cache, &pod) {
                job_pods.saw(&pod);
            }
            match place.and_then(|place| cache.pods.get_mut(place)) {
                Some(known) => *known = pod,
                None => cache.pods.push(pod),
            }
            (None, true)
        }
        (None, Some(place)) => {
            let known = cache.pods.remove(place);
            let last = last.filter(is_watched).map_or(known, shown);
            if let Some(job_pods) = family_of(cache, &last) {
                job_pods.went(&last);
                return (None, true);
            }
            (Some(last), true)
        }
        (None, None) => (None, false),
    }
}

/// Takes a Job from the watch, as [`show_pod`] takes a pod. Returns the last copy of a deleted
/// Job, and whether anything changed.
pub(super) fn show_job(
    cache: &mut ChildCache,
    uid: &str,
    now: Option<Job>,
    last: Option<Job>,
) -> (Option<Arc<Job>>, bool) {
    let place = cache.jobs.iter().position(|known| known.metadata.uid.as_deref() == Some(uid));
    let before = place.and_then(|place| cache.jobs.get(place)).cloned();
    let shown = |mut job: Job| {
        job::strip::strip(&mut job);
        job::strip::keep_end(&mut job, before.as_deref());
        Arc::new(job)
    };
    match (now.filter(is_watched).map(shown), place) {
        (Some(job), _) if before.as_ref() == Some(&job) => (None, false),
        (Some(job), Some(place)) => {
            cache.jobs.splice(place..=place, [job]);
            (None, true)
        }
        (Some(job), None) => {
            cache.jobs.push(job);
            (None, true)
        }
        (None, Some(place)) => {
            let known = cache.jobs.remove(place);
            let last = last.filter(is_watched).map_or(known, shown);
            cache.of_jobs.entry(uid.to_owned()).or_default().job_went(&last);
            (Some(last), true)
        }
        (None, None) => (None, false),
    }
}

/// Forgets the children that no longer matter: they do not run, and their attempts are settled.
pub(in super::super) fn forget_children(world: &mut World) {
    let World { executions, children, replicas, .. } = world;
    children.retain(|child| {
        !child.is_gone()
            && (child.runs()
                || executions.iter().any(|execution| execution.attempt == child.attempt))
    });
    for Replica { memory, cache, .. } in replicas {
        let wanted = |attempt| {
            executions.iter().any(|execution| execution.attempt == attempt)
                || memory.iter().any(|known| known.attempt == attempt)
        };
        let own = memory.iter().filter_map(|known| known.child).map(|(_, number)| number);
        let named: Vec<_> = own
            .chain(executions.iter().filter_map(|execution| execution.pod))
            .map(pod_uid)
            .collect();
        let known = |uid: &str| named.iter().any(|named| named == uid);
        keep_only(cache, children, wanted, known);
    }
}
