//! The rules of [`kept`] with their mutants: a rule that this process breaks gives the wrong
//! answer.

use kube::Resource;

use super::kept;
use crate::{
    api::names::AttemptId,
    model::observation::Reached,
    mutants::{Twin, broken},
};

pub(crate) fn is_ours(found: &impl Resource, uid: &str, attempt: &AttemptId) -> bool {
    broken(Twin::Adopt) || kept::is_ours(found, uid, attempt)
}

pub(crate) fn is_known(found: Option<&str>, known: [Option<&str>; 2]) -> bool {
    !broken(Twin::OwnerOnly) && kept::is_known(found, known)
}

pub(crate) fn ends_although_kept(deleted: bool, runs: bool) -> bool {
    !broken(Twin::JobKept) && kept::ends_although_kept(deleted, runs)
}

pub(crate) fn is_done(told_to_end: bool, has_all: bool) -> bool {
    broken(Twin::JobCountsAll) || kept::is_done(told_to_end, has_all)
}

pub(crate) fn released_by(label: Option<&String>) -> Option<&str> {
    kept::released_by(label).filter(|_| !broken(Twin::OrphanStays))
}

pub(crate) fn zero_means_done(told_to_go: bool, finishes: bool, ended_before: bool) -> bool {
    broken(Twin::ZeroIsDone) || kept::zero_means_done(told_to_go, finishes, ended_before)
}

pub(crate) fn keeps_success(succeeded: bool) -> bool {
    !broken(Twin::ForgetsSuccess) && kept::keeps_success(succeeded)
}

pub(crate) fn conflict(uncertain: bool) -> Option<Reached> {
    if uncertain && broken(Twin::ConflictIsFinal) {
        Some(Reached::Settled)
    } else {
        kept::conflict(uncertain)
    }
}
