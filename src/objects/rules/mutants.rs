//! The rules of [`kept`] with their mutants: a rule that this process breaks gives the wrong
//! answer.

use kube::Resource;

use super::kept;
use crate::{
    api::names::AttemptId,
    model::observation::Reached,
    mutants::{Mutant, broken},
};

pub(crate) fn is_ours(found: &impl Resource, uid: &str, attempt: &AttemptId) -> bool {
    broken(Mutant::Adopt) || kept::is_ours(found, uid, attempt)
}

pub(in crate::objects) fn is_known(found: Option<&str>, known: [Option<&str>; 2]) -> bool {
    !broken(Mutant::OwnerOnly) && kept::is_known(found, known)
}

pub(in crate::objects) fn ends_although_kept(deleted: bool, runs: bool) -> bool {
    !broken(Mutant::JobKept) && kept::ends_although_kept(deleted, runs)
}

pub(in crate::objects) fn is_done(stopped_early: bool, has_all: bool) -> bool {
    broken(Mutant::JobCountsAll) || kept::is_done(stopped_early, has_all)
}

pub(in crate::objects) fn released_by(label: Option<&String>) -> Option<&str> {
    kept::released_by(label).filter(|_| !broken(Mutant::OrphanStays))
}

pub(in crate::objects) fn zero_means_done(
    told_to_stop: bool,
    finishes: bool,
    ended_before: bool,
) -> bool {
    broken(Mutant::ZeroIsDone) || kept::zero_means_done(told_to_stop, finishes, ended_before)
}

pub(in crate::objects) fn keeps_success(succeeded: bool) -> bool {
    !broken(Mutant::ForgetsSuccess) && kept::keeps_success(succeeded)
}

pub(in crate::objects) fn conflict(uncertain: bool) -> Option<Reached> {
    if uncertain && broken(Mutant::ConflictIsFinal) {
        Some(Reached::Settled)
    } else {
        kept::conflict(uncertain)
    }
}
