//! The Job of one attempt: how it is read and built, and which Pods are its own.
//!
//! # Guarantees
//! - The same attempt always gives the same Job under the same name, so that creating it twice meets the first one.
//! - Its pods carry the labels and the identity of the attempt, act as the saga's ServiceAccount, and meet the Pod Security Standard
//!   "restricted" where nothing else is said: as the Pod of a `template` does, by the same code.
//! - A field that is no field of a Job, and a value of a wrong type, are found with their paths, before anything runs.
//!
//! # Caveats
//! - The fields are those of Kubernetes 1.33, the lowest version supported: a newer one reads as a field that there is not.
//! - `activeDeadlineSeconds` is the second line only, as for a Pod: it does not count while the Job is suspended.
//! - A Job that deletes itself soon after its end (`ttlSecondsAfterFinished`) is refused: an operator that is away for so long would find
//!   neither the Job nor its pods, and could not tell how the attempt ended.

use std::time::Duration;

use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{Pod, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::{
    pod::{deadline_seconds, metadata},
    pod_template::completed,
};
use crate::{
    api::{
        JobAction,
        names::{LABEL_MANAGED_BY, MANAGER, job_name},
    },
    fault::{sentence, sentences},
    manifest::{
        job_spec::{check_account, check_metadata, check_spec},
        pod_template::NEVER,
    },
    model::saga::{Identity, ValidSaga},
    mutants::{Twin, broken},
};

/// The label and the annotation by which the Job controller numbers the pods of an indexed Job.
pub const COMPLETION_INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// The label by which the Job controller says whose a pod is; it outlives the owner reference.
pub const CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";

/// Builds the Job of an attempt. `timeout` is the time limit of the attempt.
///
/// # Errors
/// A sentence that begins with the path within the action, where [`check_spec`] or [`check_metadata`] find a fault.
pub fn job(saga: &ValidSaga, identity: &Identity, action: &JobAction, timeout: Duration) -> Result<Job, String> {
    let theirs = check_metadata(action.metadata.as_ref()).map_err(sentences)?;
    let spec = check_spec(&action.spec).map_err(sentences)?;
    if let Some(wrong) = check_account(&spec, &saga.service_account) {
        return Err(sentence(wrong));
    }
    let ours = metadata(saga, &identity.attempt, job_name);
    let labels = theirs.labels.into_iter().chain(ours.labels).flatten().collect();
    let metadata = ObjectMeta { labels: Some(labels), annotations: theirs.annotations, ..ours };
    // With a limit for each index, the API server's own default for all of them together is meant.
    let all = if spec.backoff_limit_per_index.is_some() { None } else { Some(0) };
    let spec = JobSpec {
        active_deadline_seconds: Some(deadline_seconds(timeout)),
        backoff_limit: spec.backoff_limit.or(all),
        template: completed(saga, identity, spec.template, action.finishes_on_sigterm),
        ..spec
    };
    Ok(Job { metadata, spec: Some(spec), status: None })
}

/// A Pod as the Job would make it, to be tried: Kubernetes tries no pods where it tries a Job.
#[must_use]
pub fn trial_pod(job: &Job) -> Option<Pod> {
    let PodTemplateSpec { metadata, spec } = job.spec.as_ref()?.template.clone();
    let name = job.metadata.name.clone().map(|name| format!("{name}-trial"));
    let metadata = ObjectMeta { name, namespace: job.metadata.namespace.clone(), ..metadata.unwrap_or_default() };
    Some(Pod { metadata, spec, status: None })
}

/// The UID of the Job that a Pod belongs to, where it is one of an attempt: of a Job, and with the operator's label.
#[must_use]
pub fn job_of(pod: &Pod) -> Option<&str> {
    let is_ours = pod.metadata.labels.as_ref()?.get(LABEL_MANAGED_BY).is_some_and(|manager| manager == MANAGER);
    made_by(pod).filter(|_| is_ours)
}

/// The UID of the Job that made a Pod: the one that controls it, or, where that let go of it and nothing controls it, the one that its label
/// names.
#[must_use]
pub fn made_by(pod: &Pod) -> Option<&str> {
    let Some(owner) = pod.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true)) else {
        return pod.metadata.labels.as_ref()?.get(CONTROLLER_UID).map(String::as_str).filter(|_| !broken(Twin::OrphanStays));
    };
    let is_job = owner.kind == "Job" && owner.api_version.split_once('/').is_some_and(|(group, _)| group == "batch");
    is_job.then_some(owner.uid.as_str())
}

/// The number of a pod of an indexed Job.
#[must_use]
pub(super) fn index_of(pod: &Pod) -> Option<&str> {
    let metadata = &pod.metadata;
    let label = metadata.labels.as_ref().and_then(|labels| labels.get(COMPLETION_INDEX));
    label.or_else(|| metadata.annotations.as_ref()?.get(COMPLETION_INDEX)).map(String::as_str)
}

/// Whether the Job has one pod at most, whose end is its own: there is no other for it to wait for or to put in its place.
#[must_use]
pub fn is_single(job: &Job) -> bool {
    let Some(spec) = &job.spec else { return false };
    let one = is_one(spec) && spec.parallelism.unwrap_or(1) == 1;
    let ends_with_it = spec.backoff_limit == Some(0) && spec.backoff_limit_per_index.is_none();
    let plain = spec.pod_failure_policy.is_none() && spec.success_policy.is_none();
    let never = spec.template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) == Some(NEVER);
    one && ends_with_it && plain && never
}

/// Whether what a Job hands on is the word of one pod: of the only one, or of the one with the index 0.
pub(super) fn may_hand_on(job: &Job) -> bool {
    job.spec.as_ref().is_some_and(|spec| is_one(spec) || is_indexed(spec))
}

/// Whether it is the word of this pod.
pub(super) fn hands_on(job: &Job, pod: &Pod) -> bool {
    job.spec.as_ref().is_some_and(|spec| is_one(spec) || (is_indexed(spec) && index_of(pod) == Some("0")))
}

fn is_one(spec: &JobSpec) -> bool {
    spec.completions.unwrap_or(1) == 1
}

pub(super) fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}

#[cfg(test)]
mod tests;
