//! Reduces a Job to the fields that are kept in memory.
//!
//! # Guarantees
//! - [`crate::objects::job::state`] and [`crate::objects::job::build`] read the same from a
//!   stripped Job as from the complete Job. The size of a stripped Job is bounded, whatever the
//!   server sent.
//! - A Job that was seen to have finished stays finished, even if it is deleted or suspended later
//!   ([`keep_end`]).

use k8s_openapi::api::{
    batch::v1::{Job, JobCondition, JobSpec, JobStatus, PodFailurePolicy, SuccessPolicy},
    core::v1::{PodSpec, PodTemplateSpec},
};

use super::fields::{SUSPENDED, VERDICTS, finished_by_itself};
use crate::{
    objects::{pod, unreadable::is_unreadable},
    text::one_line,
};

/// Removes all fields that no code reads. Never write a stripped Job back to the API server.
pub fn strip(job: &mut Job) {
    job.metadata = pod::strip::metadata(std::mem::take(&mut job.metadata), None);
    job.spec = job.spec.take().map(spec);
    job.status = job.status.take().map(status);
}

/// Keeps the end that an earlier version of a stripped Job showed. `before`: the previous version.
/// If the Job was deleted or suspended after its end, the deletion and the suspension are dropped.
pub fn keep_end(job: &mut Job, before: Option<&Job>) {
    let Some(before) = before
        .filter(|before| before.metadata.uid == job.metadata.uid && finished_by_itself(before))
    else {
        return;
    };
    if !finished_by_itself(job) {
        job.status.clone_from(&before.status);
        if is_unreadable(job) {
            job.spec.clone_from(&before.spec);
        }
        (job.metadata.deletion_timestamp, job.metadata.deletion_grace_period_seconds) =
            (None, None);
    }
}

fn spec(spec: JobSpec) -> JobSpec {
    let restart_policy =
        spec.template.spec.and_then(|spec| spec.restart_policy).map(|policy| one_line(&policy));
    JobSpec {
        backoff_limit: spec.backoff_limit,
        backoff_limit_per_index: spec.backoff_limit_per_index,
        completion_mode: spec.completion_mode.map(|mode| one_line(&mode)),
        completions: spec.completions,
        parallelism: spec.parallelism,
        // Only the presence of a policy is kept.
        pod_failure_policy: spec.pod_failure_policy.map(|_| PodFailurePolicy::default()),
        success_policy: spec.success_policy.map(|_| SuccessPolicy::default()),
        suspend: spec.suspend,
        template: PodTemplateSpec {
            metadata: None,
            spec: Some(PodSpec { restart_policy, ..PodSpec::default() }),
        },
        ..JobSpec::default()
    }
}

fn status(status: JobStatus) -> JobStatus {
    let told = |type_: &str| VERDICTS.contains(&type_) || type_ == SUSPENDED;
    let mut conditions: Vec<JobCondition> = Vec::new();
    for known in status.conditions.into_iter().flatten().filter(|known| told(&known.type_)) {
        if conditions.iter().all(|kept| kept.type_ != known.type_) {
            conditions.push(condition(known));
        }
    }
    JobStatus {
        conditions: Some(conditions),
        active: status.active,
        failed: status.failed,
        succeeded: status.succeeded,
        ..JobStatus::default()
    }
}

fn condition(condition: JobCondition) -> JobCondition {
    JobCondition {
        type_: condition.type_,
        status: one_line(&condition.status),
        reason: condition.reason.map(|reason| one_line(&reason)),
        message: condition.message.map(|message| one_line(&message)),
        last_transition_time: condition.last_transition_time,
        ..JobCondition::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_tells_the_same() {
        let conditions: Vec<_> = (0..1000)
            .map(|_| json!({"type": "Failed", "status": "True", "message": "x".repeat(4000)}))
            .collect();
        let mut job: Job = serde_json::from_value(json!({
            "metadata": {"name": "a", "uid": "1", "annotations": {"big": "x".repeat(100_000)}},
            "spec": {
                "backoffLimit": 0, "podFailurePolicy": {"rules": []},
                "template": {"spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "step", "image": "x".repeat(10_000)}],
                }},
            },
            "status": {"failed": 1, "conditions": conditions},
        }))
        .unwrap();
        let before = super::super::fields::is_single(&job);
        strip(&mut job);
        assert!(serde_json::to_string(&job).unwrap().len() < 2000);
        assert_eq!((before, super::super::fields::is_single(&job)), (false, false));
        job.spec.as_mut().unwrap().pod_failure_policy = None;
        assert!(super::super::fields::is_single(&job), "{job:?}");
    }
}
