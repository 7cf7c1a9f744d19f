#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::*;
use crate::{api::ActiveAttempt, clock::between, model::skew::UNTOLD};

#[test]
fn an_effect_leaves_unread_for_two_seconds_and_never_without_a_write() {
    for (since, leaves) in
        [(Some(0), true), (Some(1_999), true), (Some(2_000), false), (None, false)]
    {
        assert_eq!(is_fresh(since.map(Duration::from_millis)), leaves, "{since:?}");
    }
}

#[test]
fn a_child_is_created_again_for_thirty_seconds_by_both_clocks_or_after_a_definite_refusal() {
    let may_create = |intended, known, refused| {
        Age { intended: Duration::from_millis(intended), known: Duration::from_millis(known) }
            .may_create(refused)
    };
    assert!(may_create(29_999, 29_999, false));
    assert!(!may_create(30_000, 0, false), "another process wrote the intent");
    assert!(!may_create(0, 30_000, false), "the clock was set back");
    assert!(may_create(30_000, 30_000, true));
}

fn intent(started_at: Timestamp, clock_ahead_seconds: i64) -> ActiveAttempt {
    told_of(started_at, clock_ahead_seconds, 0)
}

fn told_of(
    started_at: Timestamp,
    clock_ahead_seconds: i64,
    clock_behind_seconds: i64,
) -> ActiveAttempt {
    let started_at = MicroTime(started_at);
    ActiveAttempt {
        started_at,
        executor: None,
        ends_by: None,
        clock_ahead_seconds,
        clock_behind_seconds,
        child_uid: None,
        trouble: None,
    }
}

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(1_767_225_600_000 + milliseconds).unwrap()
}

/// A write at this instant of the API server's clock by a process whose clock is ahead by so much.
fn seen_by(ahead: i64) -> Skew {
    // The call takes 200 ms, half of it there; the stamp has no fractions.
    Skew::of(at(ahead + 700), at(0), at(ahead + 900))
}

#[test]
fn a_clock_that_is_behind_makes_no_intent_younger() {
    for behind in [0, 1_000, 25_000, 40_000, 3_600_000] {
        for writer in [-40_000, -1_000, 0, 1_000, 2_000, 25_000, 40_000] {
            let reader = seen_by(-behind).towards_others();
            let told = seen_by(writer).stated_ahead();
            for age in [0, 10_000, 29_000, 30_000, 50_000, 100_000] {
                let (started, now) = (at(writer), at(age - behind));
                let intended = between(reader.intended(&intent(started, told)), now);
                let may = Age { intended, known: Duration::ZERO }.may_create(false);
                assert!(
                    !may || age < 30_000,
                    "created {age} ms after the intent; reader {behind} behind, writer {writer} \
                     ahead"
                );
                assert!(
                    may || age > 10_000 || writer < 0,
                    "not created after {age} ms; reader {behind} behind, writer {writer} ahead"
                );
            }
        }
    }
}

#[test]
fn no_clock_says_too_early_that_nobody_creates_any_more() {
    for reader in [-40_000, 0, 1_000, 40_000, 3_600_000] {
        for writer in [-3_600_000, -40_000, -1_000, 0, 2_000, 40_000] {
            let skew = seen_by(reader).towards_others();
            for age in [0, 10_000, 29_999, 30_000, 36_000, 200_000, 8_000_000] {
                let intent = told_of(
                    at(writer),
                    seen_by(writer).stated_ahead(),
                    seen_by(writer).stated_behind(),
                );
                let past = is_past_creation(
                    between(skew.intended_by(&intent), at(age + reader)),
                    Duration::ZERO,
                );
                assert!(
                    !past || age >= 30_000,
                    "said {age} ms after the intent; reader {reader} ahead, writer {writer} ahead"
                );
                // An intent tells the most that its clock may be off, and not the least.
                let apart = reader.max(0) - reader.min(0) + writer.max(0) - writer.min(0);
                assert!(
                    past || age < 36_000 + apart,
                    "not said after {age} ms; reader {reader} ahead, writer {writer} ahead"
                );
            }
        }
    }
    assert!(
        is_past_creation(Duration::ZERO, CREATED_WITHIN),
        "who has known it for so long needs no clock of others"
    );
}

#[test]
fn a_clock_that_is_set_between_two_renewals_makes_no_intent_younger() {
    let (origin, seconds) = (Instant::now(), |seconds| Duration::from_secs(seconds));
    // The answer takes half a second, and the clock is set two seconds after the write left.
    let compared = Comparison::of((at(300), origin), at(0), origin + Duration::from_millis(500));
    assert_eq!(compared.skew((at(300), origin)), Skew::of(at(300), at(0), at(800)));
    for set in [-3_600_000, -40_000, -1_000, 0, 1_000, 40_000] {
        let skew = compared.skew((at(2_300 + set), origin + seconds(2)));
        let told = Duration::from_secs(u64::try_from(skew.stated_ahead()).unwrap());
        assert!(
            told + UNTOLD >= between(at(0), at(set)),
            "told {told:?} of a clock that was set by {set} ms"
        );
        for age in [0, 29_000, 30_000, 100_000] {
            // The intent was written by a clock that is right, so long before the clock was set.
            let intended = between(
                skew.towards_others().intended(&intent(at(2_000 - age), 0)),
                at(2_000 + set),
            );
            assert!(
                intended >= Duration::from_millis(age.unsigned_abs()),
                "{age} ms is {intended:?} by a clock that was set by {set} ms"
            );
        }
    }
}

#[test]
fn an_attempt_grows_older_by_the_monotonic_clock() {
    let age = Age { intended: Duration::from_secs(29), known: Duration::ZERO };
    assert!(
        age.later(Duration::from_millis(999)).may_leave(false)
            && !age.later(Duration::from_secs(1)).may_leave(false)
    );
}

#[test]
fn an_intent_tells_of_a_clock_that_is_ahead_by_more_than_calls_and_stamps_explain() {
    assert_eq!(
        [-10_000, 0, 1_000, 2_000, 40_000].map(|ahead| seen_by(ahead).stated_ahead()),
        [0, 0, 0, 3, 41]
    );
    assert_eq!(
        [10_000, 0, -1_000, -3_000, -40_000].map(|ahead| seen_by(ahead).stated_behind()),
        [0, 0, 0, 4, 41]
    );
    let far = Skew { ahead: Duration::MAX, behind: Duration::MAX, untold: Duration::MAX };
    assert!(far.stated_ahead() > 0 && far.stated_behind() > 0);
    assert_eq!(far.intended(&intent(Timestamp::MIN, i64::MAX)), Timestamp::MIN);
    assert_eq!(far.intended_by(&told_of(Timestamp::MAX, 0, i64::MAX)), Timestamp::MAX);
    assert_eq!(Skew::default().intended(&intent(at(0), -7)), at(0), "a stored status is input");
}

#[test]
fn a_copy_is_fresh_from_the_known_version_on() {
    assert_eq!(freshness(None, "7"), VersionOrder::Fresh);
    for (copy, judged) in [
        ("9", VersionOrder::Older),
        ("10", VersionOrder::Fresh),
        ("11", VersionOrder::Fresh),
        ("x-11", VersionOrder::Incomparable),
    ] {
        assert_eq!(freshness(Some("10"), copy), judged, "{copy}");
    }
}
