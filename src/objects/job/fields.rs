//! The fields of a Job that determine its state: what the Job reports about its end, and whether
//! the Job was told to stop before its end.

use crate::objects::pod::fields::{COMPLETION_INDEX, CONTROLLER_UID};
use std::time::Duration;

use k8s_openapi::api::{
    batch::v1::{Job, JobCondition, JobSpec},
    core::v1::Pod,
};

use crate::{
    api::names::{LABEL_MANAGED_BY, MANAGER},
    manifest::pod_template::NEVER,
    objects::{pod::outside::CLEARLY, rules},
    text::one_line,
};

/// The conditions that report how a Job ends. `Complete` and `Failed` say that the Job has ended.
/// The other two are set earlier, while its pods still end.
pub(in crate::objects) const VERDICTS: [&str; 4] =
    ["Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"];
/// The condition that says that the Job is suspended, or was suspended earlier.
pub(in crate::objects) const SUSPENDED: &str = "Suspended";

/// How a Job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::objects) enum JobVerdict {
    Done,
    Failed,
}

/// Returns how the Job ends by its conditions, and whether it has ended.
pub(in crate::objects) fn verdict(job: &Job) -> Option<(JobVerdict, bool)> {
    let verdict = match verdict_of(job)?.type_.as_str() {
        "Complete" => (JobVerdict::Done, true),
        "Failed" => (JobVerdict::Failed, true),
        "SuccessCriteriaMet" => (JobVerdict::Done, false),
        _ => (JobVerdict::Failed, false),
    };
    Some(verdict)
}

pub(in crate::objects) fn verdict_of(job: &Job) -> Option<&JobCondition> {
    VERDICTS.iter().find_map(|type_| condition(job, type_))
}

pub(in crate::objects) fn condition<'a>(job: &'a Job, type_: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions
        .iter()
        .find(|condition| condition.type_ == type_ && one_line(&condition.status) == "True")
}

pub(in crate::objects) fn is_deleted(job: &Job) -> bool {
    job.metadata.deletion_timestamp.is_some()
}

pub(in crate::objects) fn is_suspended(job: &Job) -> bool {
    job.spec.as_ref().and_then(|spec| spec.suspend) == Some(true)
}

/// Returns whether the Job was told to stop before it reported how it ends. In that case its pods
/// were told to stop, and the Job still counts pods that exit with 0. A Job that has ended can no
/// longer be suspended.
pub(in crate::objects) fn stopped_early(job: &Job) -> bool {
    condition(job, SUSPENDED).is_some() || (is_deleted(job) && !ended_before_deletion(job))
}

/// Returns whether the Job reported how it ends more than [`CLEARLY`] before its deletion was
/// requested.
fn ended_before_deletion(job: &Job) -> bool {
    let said = verdict_of(job).and_then(|verdict| verdict.last_transition_time.as_ref());
    let asked = job.metadata.deletion_timestamp.as_ref();
    let between = said
        .zip(asked)
        .and_then(|(said, asked)| Duration::try_from(asked.0.duration_since(said.0)).ok());
    between.is_some_and(|between| between > CLEARLY)
}

/// Returns whether the Job has ended and was not told to stop before its end.
pub(in crate::objects) fn finished_by_itself(job: &Job) -> bool {
    verdict(job).is_some_and(|(_, finished)| finished) && !stopped_early(job)
}

/// Returns the UID of the Job to which a Pod belongs, if the Pod carries the operator's label.
#[must_use]
pub fn job_of(pod: &Pod) -> Option<&str> {
    let is_ours = pod
        .metadata
        .labels
        .as_ref()?
        .get(LABEL_MANAGED_BY)
        .is_some_and(|manager| manager == MANAGER);
    made_by(pod).filter(|_| is_ours)
}

/// Returns the UID of the Job that created a Pod: the Job that controls the Pod. If nothing
/// controls the Pod because the Job released it, the Pod's label names the Job.
#[must_use]
pub fn made_by(pod: &Pod) -> Option<&str> {
    let Some(owner) =
        pod.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
    else {
        return rules::released_by(pod.metadata.labels.as_ref()?.get(CONTROLLER_UID));
    };
    let is_job = owner.kind == "Job"
        && owner.api_version.split_once('/').is_some_and(|(group, _)| group == "batch");
    is_job.then_some(owner.uid.as_str())
}

/// Returns the completion index of a pod of an indexed Job.
#[must_use]
pub(in crate::objects) fn index_of(pod: &Pod) -> Option<&str> {
    let metadata = &pod.metadata;
    let label = metadata.labels.as_ref().and_then(|labels| labels.get(COMPLETION_INDEX));
    label.or_else(|| metadata.annotations.as_ref()?.get(COMPLETION_INDEX)).map(String::as_str)
}

/// Returns whether the Job has at most one pod and ends with that pod. Such a Job neither waits for
/// another pod nor replaces the pod.
#[must_use]
pub fn is_single(job: &Job) -> bool {
    let Some(spec) = &job.spec else { return false };
    let one = is_one(spec) && spec.parallelism.unwrap_or(1) == 1;
    let ends_with_it = spec.backoff_limit == Some(0) && spec.backoff_limit_per_index.is_none();
    let plain = spec.pod_failure_policy.is_none() && spec.success_policy.is_none();
    let never =
        spec.template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) == Some(NEVER);
    one && ends_with_it && plain && never
}

/// Returns whether the outputs of a Job come from one pod: from its only pod, or from the pod with
/// index 0.
pub(in crate::objects) fn may_hand_on(job: &Job) -> bool {
    job.spec.as_ref().is_some_and(|spec| is_one(spec) || is_indexed(spec))
}

/// Returns whether the outputs of the Job come from this pod.
pub(in crate::objects) fn hands_on(job: &Job, pod: &Pod) -> bool {
    job.spec
        .as_ref()
        .is_some_and(|spec| is_one(spec) || (is_indexed(spec) && index_of(pod) == Some("0")))
}

pub(in crate::objects) fn is_one(spec: &JobSpec) -> bool {
    spec.completions.unwrap_or(1) == 1
}

pub(in crate::objects) fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}
