//! The rules on the children of attempts and on answers, as functions of facts. Each rule has the
//! name of the mutant that breaks it.

use kube::Resource;

use crate::{api::names::AttemptId, model::observation::Reached, objects::attempt};

/// Rule "adopt": an object with the name of an attempt is adopted only if its owner and its labels
/// name the attempt. Any other object is left alone. `uid`: the UID of the saga.
#[must_use]
pub(crate) fn is_ours(found: &impl Resource, uid: &str, attempt: &AttemptId) -> bool {
    attempt::is_ours(found, uid, attempt)
}

/// Rule "known by UID": once a child was seen, it is recognized by its UID. Somebody can remove
/// owner references and labels. `known`: the UIDs that the process and the status recorded.
#[must_use]
pub(in crate::objects) fn is_known(found: Option<&str>, known: [Option<&str>; 2]) -> bool {
    found.is_some() && known.contains(&found)
}

/// Rule "kept job": a Job that was deleted has ended when none of its pods runs, even if a
/// finalizer keeps the Job. `runs`: whether a pod of the Job may still run.
#[must_use]
pub(in crate::objects) fn ends_although_kept(deleted: bool, runs: bool) -> bool {
    deleted && !runs
}

/// Rule "job counts": a Job that was told to end before it completed has succeeded only if enough
/// of its pods succeeded before they were told to stop. The Job also counts pods that exit with 0
/// because they were told to stop.
#[must_use]
pub(in crate::objects) fn is_done(stopped_early: bool, has_all: bool) -> bool {
    !stopped_early || has_all
}

/// Rule "orphan": a pod that its Job released belongs to the Job that its label names. `label`:
/// that label. Returns the UID of the Job.
#[must_use]
pub(in crate::objects) fn released_by(label: Option<&String>) -> Option<&str> {
    label.map(String::as_str)
}

/// Rule "zero": exit code 0 means that the work is done only if the container ended before its Pod
/// was told to stop. `finishes`: the author of the step declares that exit code 0 always means
/// that.
#[must_use]
pub(in crate::objects) fn zero_means_done(
    told_to_stop: bool,
    finishes: bool,
    ended_before: bool,
) -> bool {
    !told_to_stop || finishes || ended_before
}

/// Rule "success stays": a Pod that was seen to succeed stays a success, even if a later version
/// shows that it was told to stop. `succeeded`: whether the later version is a success by itself.
/// Returns whether the earlier status is kept.
#[must_use]
pub(in crate::objects) fn keeps_success(succeeded: bool) -> bool {
    !succeeded
}

/// Rule "conflict": a 409 is a refusal, unless an earlier attempt is uncertain. A service also
/// answers 409 while it works on the earlier attempt. Returns what the refusal reached; `None` if
/// the 409 says nothing.
#[must_use]
pub(in crate::objects) fn conflict(uncertain: bool) -> Option<Reached> {
    (!uncertain).then_some(Reached::Answer)
}
