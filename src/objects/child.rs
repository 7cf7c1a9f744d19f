//! The child of an attempt, a Pod or a Job: which object is the child, and what the outcome is if
//! the child stays terminating or is gone.
//!
//! # Guarantees
//! - Once a child was seen, the operator recognizes it by its UID: somebody can remove owner
//!   references and labels.
//! - An object with the attempt's name is left alone if its UID is not known and if its owner and
//!   labels do not name the attempt.
//! - If a Job has been terminating for at least [`STUCK_SINCE`] and no pod of the Job runs, the Job
//!   has ended, even if a finalizer keeps the Job. Nothing creates pods for such a Job any more.
//! - A Job that is gone has ended when its pods have ended: pods may outlive their Job.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use kube::Resource;

pub(crate) use super::rules::is_ours;
use super::{
    job::{self, fields::is_deleted, known_pods::KnownPods},
    rules,
};
use crate::{
    api::names::AttemptId,
    model::observation::{ChildState, End, Failure},
};

/// How often a terminating child is read. No event reports that a child has been terminating for
/// too long.
pub const DELETION_POLL: Duration = Duration::from_secs(10);
/// How long a child must at least be terminating before it counts as stuck: 30 s of grace and one
/// minute. The time is measured by the monotonic clock of the waiting process. The instants in the
/// child come from another machine, whose clock may differ by minutes.
pub const STUCK_SINCE: Duration = Duration::from_secs(90);
/// How long a created child may be missing from the watch before a live read looks for it.
pub const WATCH_LAG: Duration = Duration::from_secs(5);

/// Returns whether an object with the name of an attempt is the attempt's child. It is if its UID
/// is known, or if its owner and labels name the attempt. `known`: the UIDs that the process and
/// the status recorded.
#[must_use]
pub fn is_child(
    found: &impl Resource,
    (uid, attempt): (&str, &AttemptId),
    known: [Option<&str>; 2],
) -> bool {
    rules::is_known(found.meta().uid.as_deref(), known) || is_ours(found, uid, attempt)
}

/// Returns the state of a child that the watch does not show. `age`: the time since the child was
/// created or last seen. Returns `None` once a live read must look for the child.
#[must_use]
pub fn just_created(uid: &str, age: Duration) -> Option<ChildState> {
    (age < WATCH_LAG).then(|| ChildState::Active {
        uid: Some(uid.to_owned()),
        age,
        detail: "it was created just now".into(),
        trouble: None,
    })
}

/// Returns the failure of an attempt whose name is taken by an object of another owner. The
/// operator neither adopts nor changes that object.
#[must_use]
pub fn name_conflict<K: Resource<DynamicType = ()>>(found: &K) -> End {
    let (kind, name) = (K::kind(&()), found.meta().name.as_deref().unwrap_or_default());
    let message = format!(
        "NameConflict: the {kind} {name} exists and does not belong to this attempt; delete it, \
         then retry the step"
    );
    End::Failed(Failure::not_started(message).permanent())
}

/// Returns the outcome of a child that was created after an earlier child of the same attempt
/// vanished. If the later child failed, the outcome is unknown: the earlier child may have acted.
#[must_use]
pub fn after_another(state: ChildState, kind: &str) -> ChildState {
    match state {
        ChildState::Ended(End::Failed(Failure { message, retry_after, .. })) => {
            let message =
                format!("an earlier {kind} of this attempt vanished, and then: {message}");
            ChildState::Ended(End::Unknown { message, retry_after })
        }
        ChildState::Absent(_)
        | ChildState::Active { .. }
        | ChildState::Present(_)
        | ChildState::Unavailable(_)
        | ChildState::Ended(_) => state,
    }
}

/// Returns the state of a child that the watch reports as gone and that a live read finds: the
/// child lost its label. `live`: the state by the live read. `gone`: the state by the last copy
/// that the watch delivered. If `gone` is a success, the success stays, even if the child was
/// deleted later.
#[must_use]
pub fn unless_done(live: ChildState, gone: Option<End>) -> ChildState {
    gone.filter(|gone| matches!(gone, End::Succeeded(_))).map_or(live, ChildState::Ended)
}

/// Returns the outcome of a child that may run forever because its node does not answer. `stuck`:
/// the message that follows from the child's own instants. `deleting_for`: how long the waiting
/// process has known that the child is terminating; `None` if the child is not terminating.
#[must_use]
pub fn given_up(stuck: Option<String>, deleting_for: Option<Duration>) -> Option<End> {
    stuck
        .filter(|_| is_late(deleting_for))
        .map(|message| End::Unknown { message, retry_after: None })
}

/// Returns whether a child has been terminating for at least [`STUCK_SINCE`].
#[must_use]
pub fn is_late(deleting_for: Option<Duration>) -> bool {
    deleting_for.is_some_and(|since| since >= STUCK_SINCE)
}

/// Returns whether a Job or one of its pods is terminating.
#[must_use]
pub fn job_is_terminating(job: &Job, job_pods: &KnownPods) -> bool {
    is_deleted(job) || job_pods.pods.iter().any(|pod| pod.metadata.deletion_timestamp.is_some())
}

/// Returns whether a Job was deleted and none of its pods runs. If such a Job still exists after
/// [`STUCK_SINCE`], a finalizer keeps it. Its outcome is then the outcome of a Job that is
/// [gone](job::state::gone), by a live read of its pods.
#[must_use]
pub fn only_kept(job: &Job, job_pods: &KnownPods) -> bool {
    rules::ends_although_kept(is_deleted(job), job::known_pods::runs(job_pods))
}

/// Returns the state of a Job that a live read did not find. `child`: the UID of the Job. `last`:
/// the last copy of the Job, if the watch delivered one. `age`: how long the process has known the
/// Job. Returns `None` if nothing shows how the Job ended.
#[must_use]
pub fn after_job(
    child: &str,
    job_pods: &KnownPods,
    last: Option<&Job>,
    age: Duration,
) -> Option<ChildState> {
    if job::known_pods::runs(job_pods) {
        let detail = "its Job is gone; the end of its pods is awaited".into();
        return Some(ChildState::Active {
            uid: Some(child.to_owned()),
            age,
            detail,
            trouble: None,
        });
    }
    last.and_then(|last| job::state::gone(last, job_pods)).map(ChildState::Ended)
}
