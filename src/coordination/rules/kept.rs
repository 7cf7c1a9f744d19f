//! The rules on clocks and versions among processes, as functions of facts. Each rule has the name
//! of the mutant that breaks it.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::clock::between;

/// How long after its acknowledged write was sent an effect may be performed without a live read.
pub(crate) const FRESH: Duration = Duration::from_secs(2);

/// How long a child may be created whose first creation may have been answered to no one. After
/// this time no replica creates the child.
pub(crate) const CREATED_WITHIN: Duration = Duration::from_secs(30);

/// How much longer than its time limit an HTTP request may take before it is over in any case.
const GRACE: Duration = Duration::from_secs(30);

/// Rule "live read": an effect may be performed without a live read only for [`FRESH`] after the
/// status write that names it. `since_written` is the time since that write was sent; `None` if
/// there was no such write. Otherwise the saga is read live, and the effect is dropped unless its
/// attempt is still active.
#[must_use]
pub(crate) fn is_fresh(since_written: Option<Duration>) -> bool {
    since_written.is_some_and(|since| since < FRESH)
}

/// Rule "own writes": nothing is decided from a copy that is older than this process's last
/// acknowledged write of the saga. Returns the version with which the copy has to be compared;
/// `None` if the copy has that version. `known`: the newest version that this process wrote or used
/// for a decision.
#[must_use]
pub(in crate::coordination) fn newer_than_copy<'k>(
    known: Option<&'k str>,
    copy: &str,
) -> Option<&'k str> {
    known.filter(|known| *known != copy)
}

/// Rule "create in time": a child whose first creation may have happened is created again only
/// while less than [`CREATED_WITHIN`] have passed since its intent, by both clocks. `intended`:
/// since the earliest instant at which the intent may have been written. `known`: since this
/// process first read the intent.
#[must_use]
pub(in crate::coordination) fn is_created_in_time(intended: Duration, known: Duration) -> bool {
    intended.max(known) < CREATED_WITHIN
}

/// Rule "perform in time": the same age is checked again when the creation is performed. A replica
/// may be frozen after it decided. The status that it then writes makes the effect fresh, but the
/// attempt no younger.
#[must_use]
pub(in crate::coordination) fn is_performed_in_time(intended: Duration, known: Duration) -> bool {
    is_created_in_time(intended, known)
}

/// Rule "late creation": a missing child is known not to appear later only when no replica creates
/// it any more, whatever the clock of that replica shows. `at_least`: since the latest instant at
/// which the intent may have been written, by this process's clock. `known`: since this process
/// first read the intent, by its monotonic clock.
#[must_use]
pub(crate) fn is_past_creation(at_least: Duration, known: Duration) -> bool {
    at_least.max(known) >= CREATED_WITHIN
}

/// Rule "clock set": a wall clock that was set since the last comparison is off by as much more.
/// Returns how far it was set ahead and how far back. `unset`: what the wall clock would show if it
/// had not been set. `shown`: what it shows.
#[must_use]
pub(in crate::coordination) fn set_by(unset: Timestamp, shown: Timestamp) -> (Duration, Duration) {
    (between(unset, shown), between(shown, unset))
}

/// Rule "executor": the outcome of an HTTP request that another executor had to send is recorded as
/// Unknown only when that executor is gone, or when the time limit of the HTTP request and 30 s
/// have passed since this process first read the intent. Returns how long, from `now` on, the HTTP
/// request may still be under way if its end is unknown.
#[must_use]
pub(crate) fn may_last(first_read: Instant, timeout: Duration, now: Instant) -> Duration {
    timeout.saturating_add(GRACE).saturating_sub(now.saturating_duration_since(first_read))
}

/// Rule "tenure": an HTTP request is sent only while the tenure of the executor that its intent
/// names holds. `holding`: the executor of this process whose tenure holds now.
#[must_use]
#[cfg(feature = "operator")]
pub(crate) fn may_send(holding: Option<&str>, named: &str) -> bool {
    holding == Some(named)
}
