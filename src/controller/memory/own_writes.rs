//! The own-write guard. No decision rests on a copy older than the last acknowledged write of that
//! saga, or older than a copy that an earlier decision rested on.
//!
//! # Guarantees
//! The guard fails closed: if two versions cannot be compared, a live read follows. A write is
//! remembered for ten minutes after its saga ended, because a watch may deliver old copies long
//! after the end.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::coordination::fence;

/// How long a write is remembered after its saga ended or was deleted.
const REMEMBERED: Duration = Duration::from_mins(10);

/// How a copy compares with the last acknowledged write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// The copy is that write, or newer.
    Fresh,
    /// The copy is older. The watch will deliver a newer one.
    Stale {
        /// How long ago the write was acknowledged.
        since: Duration,
    },
    /// The versions cannot be compared.
    Incomparable,
}

/// The last acknowledged write of each saga, or the fact that the saga is gone.
#[derive(Debug, Default)]
pub struct OwnWrites(Mutex<HashMap<String, Written>>);

#[derive(Debug)]
struct Written {
    version: String,
    at: Instant,
    /// Whether this process is known to have written this version.
    own: bool,
}

impl OwnWrites {
    /// Notes a write of the saga with this UID.
    pub fn acknowledged(&self, uid: &str, version: &str) {
        let written = Written { version: version.to_owned(), at: Instant::now(), own: true };
        self.lock().insert(uid.to_owned(), written);
    }

    /// Notes that a write of this process removed the saga: every copy of it is old from now on.
    /// The answer to such a write still shows the version of the earlier copy.
    pub fn gone(&self, uid: &str) {
        self.acknowledged(uid, &u128::MAX.to_string());
    }

    /// Notes a write that was acknowledged this long ago.
    #[cfg(test)]
    pub(in crate::controller) fn acknowledged_before(
        &self,
        uid: &str,
        version: &str,
        ago: Duration,
    ) {
        self.acknowledged(uid, version);
        if let (Some(written), Some(at)) =
            (self.lock().get_mut(uid), Instant::now().checked_sub(ago))
        {
            written.at = at;
        }
    }

    /// Notes a copy that a decision rests on. If the answer to a write was lost, the copy is the
    /// only sign of the write. A list that is read again may be older than this copy.
    pub fn seen(&self, uid: &str, version: &str) {
        let Ok(copy) = version.parse::<u128>() else { return };
        let mut writes = self.lock();
        let newer = writes
            .get(uid)
            .is_none_or(|known| known.version.parse::<u128>().is_ok_and(|known| known < copy));
        if newer {
            writes.insert(
                uid.to_owned(),
                Written { version: version.to_owned(), at: Instant::now(), own: false },
            );
        }
    }

    /// Returns whether this version of the saga is known to be a write of this process.
    #[must_use]
    pub fn is_own(&self, uid: &str, version: &str) -> bool {
        self.lock().get(uid).is_some_and(|written| written.own && written.version == version)
    }

    /// Compares a copy with the last write by its resourceVersion.
    #[must_use]
    pub fn judge(&self, uid: &str, version: &str) -> Freshness {
        let writes = self.lock();
        let written = writes.get(uid);
        match (fence::freshness(written.map(|written| written.version.as_str()), version), written)
        {
            (fence::VersionOrder::Older, Some(written)) => {
                Freshness::Stale { since: written.at.elapsed() }
            }
            (fence::VersionOrder::Incomparable, _) => Freshness::Incomparable,
            (fence::VersionOrder::Fresh, _) | (fence::VersionOrder::Older, None) => {
                Freshness::Fresh
            }
        }
    }

    /// Removes writes of sagas that ended or were deleted, after ten minutes. `lives`: whether a
    /// UID belongs to an unfinished saga.
    pub fn forget(&self, lives: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, written| written.at.elapsed() < REMEMBERED || lives(uid));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Written>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_copy_is_stale_and_a_newer_one_is_not() {
        let writes = OwnWrites::default();
        assert_eq!(writes.judge("a", "7"), Freshness::Fresh);
        writes.acknowledged("a", "10");
        assert!(matches!(writes.judge("a", "9"), Freshness::Stale { .. }));
        assert_eq!(writes.judge("a", "10"), Freshness::Fresh);
        assert_eq!(writes.judge("a", "11"), Freshness::Fresh);
        assert_eq!(writes.judge("b", "1"), Freshness::Fresh);
        writes.seen("a", "11");
        assert!(!writes.is_own("a", "10") && !writes.is_own("a", "11") && !writes.is_own("b", "1"));
        writes.acknowledged("a", "12");
        assert!(writes.is_own("a", "12"));
    }

    #[test]
    fn after_a_lost_answer_the_copy_that_shows_the_write_counts_as_it() {
        let writes = OwnWrites::default();
        writes.acknowledged("a", "10");
        writes.seen("a", "11");
        writes.seen("a", "9");
        assert!(matches!(writes.judge("a", "10"), Freshness::Stale { .. }));
        assert_eq!(writes.judge("a", "11"), Freshness::Fresh);
        writes.seen("b", "5");
        assert!(matches!(writes.judge("b", "4"), Freshness::Stale { .. }));
    }

    #[test]
    fn versions_that_cannot_be_compared_ask_for_a_live_read() {
        let writes = OwnWrites::default();
        writes.acknowledged("a", "10");
        assert_eq!(writes.judge("a", "x-11"), Freshness::Incomparable);
    }

    #[test]
    fn a_write_is_remembered_past_the_end_of_its_saga() {
        let writes = OwnWrites::default();
        writes.acknowledged("ended", "10");
        writes.forget(|_| false);
        assert!(matches!(writes.judge("ended", "9"), Freshness::Stale { .. }));
    }
}
