//! The Job of one attempt: how the operator checks its spec and builds it.
//!
//! # Guarantees
//! - The same attempt always gives the same Job under the same name. A second create therefore
//!   finds the Job of the first.
//! - The pods of the Job carry the labels and the identity of the attempt and run as the saga's
//!   ServiceAccount. They meet the Pod Security Standard "restricted" unless the spec says
//!   otherwise. The code is the same as for the Pod of a `template`.
//! - Unknown fields and values of a wrong type are reported with their paths before anything runs.
//!
//! # Caveats
//! - The known fields are those of Kubernetes 1.33, the lowest supported version. A field of a
//!   newer version counts as unknown.
//! - `activeDeadlineSeconds` is only a second safeguard, as for a Pod: it does not count while the
//!   Job is suspended.
//! - A Job that deletes itself soon after its end (`ttlSecondsAfterFinished`) is refused. An
//!   operator that was down for that long would find neither the Job nor its pods and could not
//!   determine the outcome of the attempt.

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
/// Returns a sentence that begins with the path within the action if [`check_spec`] or
/// [`check_metadata`] finds a fault, or if the spec names another ServiceAccount than the saga's.
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
    // With a limit for each index, the limit for the whole Job is left to the API server's default.
    let all = if spec.backoff_limit_per_index.is_some() { None } else { Some(0) };
    let spec = JobSpec {
        active_deadline_seconds: Some(deadline_seconds(timeout)),
        backoff_limit: spec.backoff_limit.or(all),
        template: completed(saga, identity, spec.template, action.finishes_on_sigterm),
        ..spec
    };
    Ok(Job { metadata, spec: Some(spec), status: None })
}

/// Returns a Pod as the Job would create it, for a dry run. A dry run of a Job does not dry-run its
/// pods. The Job does not exist, so the saga controls the Pod: the chart's policy about the
/// operator's account refuses a Pod without a saga.
#[must_use]
pub fn trial_pod(job: &Job) -> Option<Pod> {
    let PodTemplateSpec { metadata, spec } = job.spec.as_ref()?.template.clone();
    let name = job.metadata.name.clone().map(|name| format!("{name}-trial"));
    let metadata = ObjectMeta {
        name,
        namespace: job.metadata.namespace.clone(),
        owner_references: job.metadata.owner_references.clone(),
        ..metadata.unwrap_or_default()
    };
    Some(Pod { metadata, spec, status: None })
}

#[cfg(test)]
mod tests;
