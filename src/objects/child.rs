//! The child of an attempt, a Pod or a Job: which object it is, and what is made of one that does
//! not go, or that is gone.
//!
//! # Guarantees
//! - A child that was seen once is known by its UID: owners and labels can be taken away.
//! - What bears the attempt's name and is neither known nor says that it is the attempt's is left
//!   alone.
//! - A Job that somebody keeps has ended once it was deleted long ago and nothing of it runs:
//!   nothing makes pods for it any more.
//! - A Job that is gone has ended when its pods have: they may outlive it.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use kube::Resource;

use super::{
    attempt,
    job::{self, fields::is_deleted, state::Family},
};
use crate::{
    api::names::AttemptId,
    model::observation::{ChildState, Failure, Reached},
    mutants::{Twin, broken},
};

/// How often a child that is being deleted is looked at: nothing tells when it has been so for too
/// long.
pub const DELETION_POLL: Duration = Duration::from_secs(10);
/// The least time that a child is being deleted before it counts as stuck, by the monotonic clock
/// of who waits: 30 s of grace and one minute. Its own instants are another machine's, whose clock
/// may be minutes away.
pub const STUCK_SINCE: Duration = Duration::from_secs(90);
/// How long a created child may be missing from the watch before it is looked for.
pub const WATCH_LAG: Duration = Duration::from_secs(5);

/// Whether a child says that it is the attempt's.
#[must_use]
pub fn is_ours(found: &impl Resource, uid: &str, attempt: &AttemptId) -> bool {
    attempt::is_ours(found, uid, attempt) || broken(Twin::Adopt)
}

/// Whether what was found under the name of an attempt is its child: the one that is known by its
/// UID, or one that says so. `known`: the UIDs by which the process and the status know it.
#[must_use]
pub fn is_child(
    found: &impl Resource,
    (uid, attempt): (&str, &AttemptId),
    known: [Option<&str>; 2],
) -> bool {
    let found_uid = found.meta().uid.as_deref();
    let is_known = found_uid.is_some() && known.contains(&found_uid) && !broken(Twin::OwnerOnly);
    is_known || is_ours(found, uid, attempt)
}

/// The state of a child that was created, or seen, so long ago and that the watch does not show;
/// `None` once it is to be looked for.
#[must_use]
pub fn just_created(uid: &str, age: Duration) -> Option<ChildState> {
    (age < WATCH_LAG).then(|| ChildState::Active {
        uid: Some(uid.to_owned()),
        age,
        detail: "it was created just now".into(),
        trouble: None,
    })
}

/// A child of another owner has the attempt's name: it is neither adopted nor touched.
#[must_use]
pub fn name_conflict<K: Resource<DynamicType = ()>>(found: &K) -> ChildState {
    let (kind, name) = (K::kind(&()), found.meta().name.as_deref().unwrap_or_default());
    ChildState::Failed(Failure {
        reached: Reached::Nothing,
        last: true,
        exit_code: None,
        disrupted: false,
        retry_after: None,
        message: format!(
            "NameConflict: the {kind} {name} exists and is not of this attempt; delete it, then \
             retry the step"
        ),
    })
}

/// What the end of a child means that was made after an earlier one of the attempt vanished: where
/// it failed, the earlier one may have acted.
#[must_use]
pub fn after_another(state: ChildState, kind: &str) -> ChildState {
    match state {
        ChildState::Failed(Failure { message, retry_after, .. }) => ChildState::Unknown {
            message: format!("an earlier {kind} of this attempt vanished, and then: {message}"),
            retry_after,
        },
        ChildState::Absent(_)
        | ChildState::Active { .. }
        | ChildState::Object { .. }
        | ChildState::Saga(_)
        | ChildState::Standing { .. }
        | ChildState::Refused { .. }
        | ChildState::Elsewhere { .. }
        | ChildState::CalledOff { .. }
        | ChildState::Succeeded(_)
        | ChildState::Answered(_)
        | ChildState::Unknown { .. } => state,
    }
}

/// The state of a child by a live read, where the watch calls it gone: it lost its label. `gone`:
/// what its last copy told. What was seen to be done stays so, whatever tells the child to go
/// since.
#[must_use]
pub fn unless_done(live: ChildState, gone: Option<ChildState>) -> ChildState {
    gone.filter(|gone| matches!(gone, ChildState::Succeeded(_))).unwrap_or(live)
}

/// The end of a child of which something may run for ever, since its node does not answer. `stuck`:
/// what is said of it by its own instants. `deleting_for`: how long who waits has known that it is
/// being deleted; `None` where it is not.
#[must_use]
pub fn given_up(stuck: Option<String>, deleting_for: Option<Duration>) -> Option<ChildState> {
    stuck
        .filter(|_| is_late(deleting_for))
        .map(|message| ChildState::Unknown { message, retry_after: None })
}

/// Whether a child has been deleted for so long that it should be gone.
#[must_use]
pub fn is_late(deleting_for: Option<Duration>) -> bool {
    deleting_for.is_some_and(|since| since >= STUCK_SINCE)
}

/// Whether something of a Job is being deleted.
#[must_use]
pub fn job_goes(job: &Job, family: &Family) -> bool {
    is_deleted(job) || family.pods.iter().any(|pod| pod.metadata.deletion_timestamp.is_some())
}

/// Whether nothing of a Job runs that was deleted. Where it was so long ago and is still there,
/// somebody keeps it: then its end is that of one that is [gone](job_state::gone), by a live read
/// of its pods.
#[must_use]
pub fn only_kept(job: &Job, family: &Family) -> bool {
    is_deleted(job) && !job::state::runs(family) && !broken(Twin::JobKept)
}

/// The state of a Job that a live read did not find. `child`: its UID. `last`: the Job as it last
/// was, where the watch brought that. `age`: how long it has been known. `None` where nothing tells
/// of its end.
#[must_use]
pub fn after_job(
    child: &str,
    family: &Family,
    last: Option<&Job>,
    age: Duration,
) -> Option<ChildState> {
    if job::state::runs(family) {
        let detail = "its Job is gone; the end of its pods is awaited".into();
        return Some(ChildState::Active {
            uid: Some(child.to_owned()),
            age,
            detail,
            trouble: None,
        });
    }
    last.and_then(|last| job::state::gone(last, family))
}
