//! The fields of a Job that its reader looks at: what it says of its end, and whether it was told to end before.

use std::time::Duration;

use k8s_openapi::api::batch::v1::{Job, JobCondition};

use super::pod_outside::CLEARLY;
use crate::text::one_line;

/// With which a Job says how it ends: that it has ended, and before that, while its pods do.
pub(super) const VERDICTS: [&str; 4] = ["Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"];
/// With which it says that it has no pods for now, or that it had none for a while.
pub(super) const SUSPENDED: &str = "Suspended";

/// How a Job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Done,
    Failed,
}

/// How the Job says that it ends, and whether it has.
pub(super) fn verdict(job: &Job) -> Option<(Verdict, bool)> {
    let verdict = match verdict_of(job)?.type_.as_str() {
        "Complete" => (Verdict::Done, true),
        "Failed" => (Verdict::Failed, true),
        "SuccessCriteriaMet" => (Verdict::Done, false),
        _ => (Verdict::Failed, false),
    };
    Some(verdict)
}

pub(super) fn verdict_of(job: &Job) -> Option<&JobCondition> {
    VERDICTS.iter().find_map(|type_| condition(job, type_))
}

pub(super) fn condition<'a>(job: &'a Job, type_: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_ && one_line(&condition.status) == "True")
}

pub(super) fn is_deleted(job: &Job) -> bool {
    job.metadata.deletion_timestamp.is_some()
}

pub(super) fn is_suspended(job: &Job) -> bool {
    job.spec.as_ref().and_then(|spec| spec.suspend) == Some(true)
}

/// Whether the Job itself was told to end before it said how it does: then its pods were told to go, and it counts those that exit with 0
/// all the same. A Job is not suspended any more once it has ended.
pub(super) fn told_to_end(job: &Job) -> bool {
    condition(job, SUSPENDED).is_some() || (is_deleted(job) && !ended_before_deletion(job))
}

/// Whether the Job said how it ends clearly before its deletion was asked for.
fn ended_before_deletion(job: &Job) -> bool {
    let said = verdict_of(job).and_then(|verdict| verdict.last_transition_time.as_ref());
    let asked = job.metadata.deletion_timestamp.as_ref();
    let between = said.zip(asked).and_then(|(said, asked)| Duration::try_from(asked.0.duration_since(said.0)).ok());
    between.is_some_and(|between| between > CLEARLY)
}

/// Whether the Job has ended, and was not told to before.
pub(super) fn finished_by_itself(job: &Job) -> bool {
    verdict(job).is_some_and(|(_, finished)| finished) && !told_to_end(job)
}
