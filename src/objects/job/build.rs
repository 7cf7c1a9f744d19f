//! The Job of one attempt: how it is read and built, and which Pods are its own.
//!
//! # Guarantees
//! - The same attempt always gives the same Job under the same name, so that creating it twice
//!   meets the first one.
//! - Its pods carry the labels and the identity of the attempt, act as the saga's ServiceAccount,
//!   and meet the Pod Security Standard "restricted" where nothing else is said: as the Pod of a
//!   `template` does, by the same code.
//! - A field that is no field of a Job, and a value of a wrong type, are found with their paths,
//!   before anything runs.
//!
//! # Caveats
//! - The fields are those of Kubernetes 1.33, the lowest version supported: a newer one reads as a
//!   field that there is not.
//! - `activeDeadlineSeconds` is the second line only, as for a Pod: it does not count while the Job
//!   is suspended.
//! - A Job that deletes itself soon after its end (`ttlSecondsAfterFinished`) is refused: an
//!   operator that is away for so long would find neither the Job nor its pods, and could not tell
//!   how the attempt ended.

use std::time::Duration;

use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{Pod, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use crate::{
    api::{JobAction, names::job_name},
    fault::{sentence, sentences},
    manifest::job_spec::{check_account, check_metadata, check_spec},
    model::saga::{Identity, ValidSaga},
    objects::{
        attempt::{deadline_seconds, metadata},
        pod::template::completed,
    },
};

/// Builds the Job of an attempt. `timeout` is the time limit of the attempt.
///
/// # Errors
/// A sentence that begins with the path within the action, where [`check_spec`] or
/// [`check_metadata`] find a fault.
pub fn job(
    saga: &ValidSaga,
    identity: &Identity,
    action: &JobAction,
    timeout: Duration,
) -> Result<Job, String> {
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
    let metadata = ObjectMeta {
        name,
        namespace: job.metadata.namespace.clone(),
        ..metadata.unwrap_or_default()
    };
    Some(Pod { metadata, spec, status: None })
}

#[cfg(test)]
mod tests;
