//! The fields of a Job that its reader looks at: what it says of its end, and whether it was told
//! to end before.

use crate::objects::pod::fields::{COMPLETION_INDEX, CONTROLLER_UID};
use std::time::Duration;

use k8s_openapi::api::{
    batch::v1::{Job, JobCondition, JobSpec},
    core::v1::Pod,
};

use crate::{
    api::names::{LABEL_MANAGED_BY, MANAGER},
    manifest::pod_template::NEVER,
    mutants::{Twin, broken},
    objects::pod::outside::CLEARLY,
    text::one_line,
};

/// With which a Job says how it ends: that it has ended, and before that, while its pods do.
pub(crate) const VERDICTS: [&str; 4] =
    ["Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"];
/// With which it says that it has no pods for now, or that it had none for a while.
pub(crate) const SUSPENDED: &str = "Suspended";

/// How a Job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    Failed,
}

/// How the Job says that it ends, and whether it has.
pub(crate) fn verdict(job: &Job) -> Option<(Verdict, bool)> {
    let verdict = match verdict_of(job)?.type_.as_str() {
        "Complete" => (Verdict::Done, true),
        "Failed" => (Verdict::Failed, true),
        "SuccessCriteriaMet" => (Verdict::Done, false),
        _ => (Verdict::Failed, false),
    };
    Some(verdict)
}

pub(crate) fn verdict_of(job: &Job) -> Option<&JobCondition> {
    VERDICTS.iter().find_map(|type_| condition(job, type_))
}

pub(crate) fn condition<'a>(job: &'a Job, type_: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions
        .iter()
        .find(|condition| condition.type_ == type_ && one_line(&condition.status) == "True")
}

pub(crate) fn is_deleted(job: &Job) -> bool {
    job.metadata.deletion_timestamp.is_some()
}

pub(crate) fn is_suspended(job: &Job) -> bool {
    job.spec.as_ref().and_then(|spec| spec.suspend) == Some(true)
}

/// Whether the Job itself was told to end before it said how it does: then its pods were told to
/// go, and it counts those that exit with 0 all the same. A Job is not suspended any more once it
/// has ended.
pub(crate) fn told_to_end(job: &Job) -> bool {
    condition(job, SUSPENDED).is_some() || (is_deleted(job) && !ended_before_deletion(job))
}

/// Whether the Job said how it ends clearly before its deletion was asked for.
fn ended_before_deletion(job: &Job) -> bool {
    let said = verdict_of(job).and_then(|verdict| verdict.last_transition_time.as_ref());
    let asked = job.metadata.deletion_timestamp.as_ref();
    let between = said
        .zip(asked)
        .and_then(|(said, asked)| Duration::try_from(asked.0.duration_since(said.0)).ok());
    between.is_some_and(|between| between > CLEARLY)
}

/// Whether the Job has ended, and was not told to before.
pub(crate) fn finished_by_itself(job: &Job) -> bool {
    verdict(job).is_some_and(|(_, finished)| finished) && !told_to_end(job)
}

/// The UID of the Job that a Pod belongs to, where it is one of an attempt: of a Job, and with the
/// operator's label.
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

/// The UID of the Job that made a Pod: the one that controls it, or, where that let go of it and
/// nothing controls it, the one that its label names.
#[must_use]
pub fn made_by(pod: &Pod) -> Option<&str> {
    let Some(owner) =
        pod.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
    else {
        return pod
            .metadata
            .labels
            .as_ref()?
            .get(CONTROLLER_UID)
            .map(String::as_str)
            .filter(|_| !broken(Twin::OrphanStays));
    };
    let is_job = owner.kind == "Job"
        && owner.api_version.split_once('/').is_some_and(|(group, _)| group == "batch");
    is_job.then_some(owner.uid.as_str())
}

/// The number of a pod of an indexed Job.
#[must_use]
pub(crate) fn index_of(pod: &Pod) -> Option<&str> {
    let metadata = &pod.metadata;
    let label = metadata.labels.as_ref().and_then(|labels| labels.get(COMPLETION_INDEX));
    label.or_else(|| metadata.annotations.as_ref()?.get(COMPLETION_INDEX)).map(String::as_str)
}

/// Whether the Job has one pod at most, whose end is its own: there is no other for it to wait for
/// or to put in its place.
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

/// Whether what a Job hands on is the word of one pod: of the only one, or of the one with the
/// index 0.
pub(crate) fn may_hand_on(job: &Job) -> bool {
    job.spec.as_ref().is_some_and(|spec| is_one(spec) || is_indexed(spec))
}

/// Whether it is the word of this pod.
pub(crate) fn hands_on(job: &Job, pod: &Pod) -> bool {
    job.spec
        .as_ref()
        .is_some_and(|spec| is_one(spec) || (is_indexed(spec) && index_of(pod) == Some("0")))
}

pub(crate) fn is_one(spec: &JobSpec) -> bool {
    spec.completions.unwrap_or(1) == 1
}

pub(crate) fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}
