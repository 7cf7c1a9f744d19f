//! Which attempts of a saga under way settled so long ago that their children are deleted. The
//! other children of a saga stay until it has ended, so that a late creation finds its name taken.

use std::ops::RangeInclusive;

use jiff::Timestamp;

use crate::{
    api::{
        DirectionStatus,
        limits::{KEPT_FAILED_CHILDREN, LEAST_LATER_DELAY, LOOKED_FOR_CHILDREN, SETTLED_CHILD_FOR},
    },
    clock::between,
};

/// Returns the numbers of the attempts whose children are deleted if they still exist. The newest
/// [`KEPT_FAILED_CHILDREN`] that settled are not among them, nor is one that settled less than
/// [`SETTLED_CHILD_FOR`] ago. At most [`LOOKED_FOR_CHILDREN`] numbers are returned.
///
/// The status knows the instants of the last attempts alone. Every earlier attempt settled before
/// these, and at least one delay before the attempt that followed it. The first two delays of a
/// budget may be shorter than [`LEAST_LATER_DELAY`]. They matter little: a creation is on its way
/// for seconds, not for minutes.
pub(crate) fn attempts_without_child(
    record: &DirectionStatus,
    now: Timestamp,
) -> RangeInclusive<i64> {
    let oldest = record.attempts.first().map(|settled| (settled.attempt, &settled.started_at));
    let active = record.active.as_ref().map(|active| (record.attempt, &active.started_at));
    let Some((oldest, began)) = oldest.or(active) else { return RangeInclusive::new(1, 0) };
    let missing = SETTLED_CHILD_FOR.saturating_sub(between(began.0, now));
    let delays = missing.as_millis().div_ceil(LEAST_LATER_DELAY.as_millis());
    let long_ago =
        i64::try_from(delays).map_or(0, |delays| oldest.saturating_sub(1).saturating_sub(delays));
    let settled = record.attempt.saturating_sub(record.active.is_some().into());
    let newest = long_ago.min(settled.saturating_sub(KEPT_FAILED_CHILDREN));
    newest.saturating_sub(LOOKED_FOR_CHILDREN - 1).max(1)..=newest
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

    use super::*;
    use crate::{
        api::{ActiveAttempt, AttemptRecord, Outcome},
        clock::later,
    };

    fn at(second: u64) -> Timestamp {
        later(Timestamp::UNIX_EPOCH, Duration::from_secs(second))
    }

    /// Returns the record of attempts that began every `pace` seconds from second 0 and took no
    /// time. The last five are kept.
    fn record(settled: i64, pace: u64) -> DirectionStatus {
        let kept = |attempt: i64| {
            let began = MicroTime(at(pace * attempt.unsigned_abs()));
            let (started_at, settled_at) = (began.clone(), began);
            AttemptRecord {
                attempt,
                outcome: Outcome::Failed,
                started_at,
                settled_at,
                message: None,
            }
        };
        let attempts = (1.max(settled - 4)..=settled).map(kept).collect();
        DirectionStatus { attempt: settled, attempts, ..DirectionStatus::default() }
    }

    /// Returns what is deleted this many seconds after the last attempt settled.
    fn deleted(settled: i64, pace: u64, after: u64) -> Vec<i64> {
        let now = at(pace * settled.unsigned_abs() + after);
        attempts_without_child(&record(settled, pace), now).collect()
    }

    #[test]
    fn the_newest_ten_stay() {
        for (settled, expected) in [(0, 0), (1, 0), (10, 0), (11, 1), (12, 2), (30, 20)] {
            assert_eq!(deleted(settled, 1000, 0), (1..=expected).collect::<Vec<_>>(), "{settled}");
        }
        let mut active = record(11, 1000);
        active.attempt = 12;
        active.active = Some(ActiveAttempt {
            started_at: MicroTime(at(12_000)),
            executor: None,
            ends_by: None,
            clock_ahead_seconds: 0,
            clock_behind_seconds: 0,
            child_uid: None,
            trouble: None,
        });
        assert_eq!(attempts_without_child(&active, at(12_000)), 1..=1, "12 has not settled");
    }

    #[test]
    fn what_settled_less_than_two_minutes_ago_stays() {
        // At one attempt a second, attempt 60 settled 120 seconds before attempt 180.
        for (settled, pace, after) in [(180, 1, 0), (180, 1, 30), (60, 5, 0), (20, 10, 99)] {
            let last = deleted(settled, pace, after).last().copied().unwrap_or_default();
            let ago = pace * (settled - last).unsigned_abs() + after;
            assert!(last == 0 || ago >= 120, "{settled} {pace} {after}: {last}");
        }
        assert_eq!(deleted(180, 1, 0).last(), Some(&59));
        assert_eq!(deleted(20, 1, 0), [0; 0]);
        assert_eq!(deleted(20, 1, 120).last(), Some(&10), "all settled long ago");
    }

    #[test]
    fn few_numbers_are_looked_for_and_no_number_overflows() {
        assert_eq!(deleted(5000, 10, 200), (4791..=4990).collect::<Vec<_>>());
        for attempt in [i64::MIN, -1, 0, i64::MAX] {
            let mut wrong = record(9, 1);
            wrong.attempt = attempt;
            wrong.attempts[0].attempt = attempt;
            for now in [Timestamp::MIN, at(0), Timestamp::MAX] {
                assert!(attempts_without_child(&wrong, now).count() <= 200);
            }
        }
        let none = DirectionStatus { attempt: 500, ..DirectionStatus::default() };
        assert_eq!(attempts_without_child(&none, at(0)).count(), 0);
    }
}
