//! The rules of [`kept`] with their mutants: a rule that this process breaks gives the wrong
//! answer.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::kept;
pub(crate) use super::kept::*;
use crate::mutants::{Mutant, broken};

pub(crate) fn is_fresh(since_written: Option<Duration>) -> bool {
    broken(Mutant::TwoSeconds) || kept::is_fresh(since_written)
}

pub(in crate::coordination) fn newer_than_copy<'k>(
    known: Option<&'k str>,
    copy: &str,
) -> Option<&'k str> {
    kept::newer_than_copy(known, copy).filter(|_| !broken(Mutant::OwnWrites))
}

pub(in crate::coordination) fn is_created_in_time(intended: Duration, known: Duration) -> bool {
    broken(Mutant::CreateLate) || kept::is_created_in_time(intended, known)
}

pub(in crate::coordination) fn is_performed_in_time(intended: Duration, known: Duration) -> bool {
    // A process whose decision breaks the rule "create in time" performs what it decided.
    broken(Mutant::LeavesLate)
        || is_created_in_time(intended, known)
        || kept::is_performed_in_time(intended, known)
}

pub(crate) fn is_past_creation(at_least: Duration, known: Duration) -> bool {
    broken(Mutant::UnknownEarly) || kept::is_past_creation(at_least, known)
}

pub(in crate::coordination) fn set_by(unset: Timestamp, shown: Timestamp) -> (Duration, Duration) {
    if broken(Mutant::ClockSet) {
        (Duration::ZERO, Duration::ZERO)
    } else {
        kept::set_by(unset, shown)
    }
}

pub(crate) fn may_last(first_read: Instant, timeout: Duration, now: Instant) -> Duration {
    if broken(Mutant::Executor) { Duration::ZERO } else { kept::may_last(first_read, timeout, now) }
}

#[cfg(feature = "operator")]
pub(crate) fn may_send(holding: Option<&str>, named: &str) -> bool {
    broken(Mutant::Tenure) || kept::may_send(holding, named)
}
