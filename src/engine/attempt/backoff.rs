//! The delay between two attempts.
//!
//! # Guarantees
//! The functions are pure and total. No attempt number and no duration overflows. No delay is
//! shorter than its floor, and none is longer than the longer of `max_delay` and the floor. Without
//! jitter, no delay is shorter than the previous one. The same attempt of the same saga always has
//! the same delay, so a restarted operator computes the instant that its predecessor wrote.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::{
    api::{BackoffType, names::AttemptId},
    engine::rules,
    model::saga::Retry,
};

/// Returns the delay after the `n`-th attempt of a budget (`n` ≥ 1). None → `initial`; Linear →
/// `initial`·n; Exponential → `initial`·2^(n−1). The result is capped, multiplied by (1 +
/// `jitter`·(2r − 1)) with `r` in [0, 1), and capped again. If the service asks for a longer wait
/// (`asked`), that wait is the delay. In the end the delay is raised to its floor.
#[must_use]
pub fn delay(retry: &Retry, n: u32, r: f64, asked: Option<Duration>) -> Duration {
    rules::floored(of_policy(retry, n, r).max(asked.unwrap_or_default()), n)
}

/// Returns the delay as the policy states it.
fn of_policy(retry: &Retry, n: u32, r: f64) -> Duration {
    let Retry { max_attempts: _, deadline: _, backoff, initial_delay, max_delay, jitter } = retry;
    let grown = match backoff {
        BackoffType::None => *initial_delay,
        BackoffType::Linear => initial_delay.saturating_mul(n),
        BackoffType::Exponential => double(*initial_delay, n.saturating_sub(1), *max_delay),
    };
    let capped = grown.min(*max_delay);
    if *jitter == 0.0 {
        return capped;
    }
    let factor = 1.0 + jitter * (2.0 * r - 1.0);
    Duration::try_from_secs_f64(capped.as_secs_f64() * factor).unwrap_or(*max_delay).min(*max_delay)
}

/// Returns `start`·2^`times`, or `cap` if the product reaches it. The loop has at most 96 rounds,
/// because a duration has fewer bits.
fn double(start: Duration, times: u32, cap: Duration) -> Duration {
    let mut grown = start;
    for _ in 0..times.min(96) {
        if grown >= cap {
            return cap;
        }
        grown = grown.saturating_mul(2);
    }
    grown
}

/// Returns `r` of an attempt, in [0, 1): the first 53 bits of SHA-256 over
/// `<uid>/<step>/<direction>/<attempt>`, as a binary fraction.
#[must_use]
pub fn fraction(uid: &str, attempt: &AttemptId) -> f64 {
    let digest = Sha256::digest(format!("{uid}/{attempt}"));
    let bits = digest.iter().take(8).fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte)) >> 11;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let numerator = bits as f64;
    numerator / 9_007_199_254_740_992.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::Direction;

    fn retry(backoff: BackoffType, initial: u64, max: u64, jitter: f64) -> Retry {
        Retry {
            max_attempts: 10,
            deadline: None,
            backoff,
            initial_delay: Duration::from_millis(initial),
            max_delay: Duration::from_millis(max),
            jitter,
        }
    }

    /// The floor, as the docs of the fields state it.
    fn floor(n: u32) -> Duration {
        Duration::from_millis(if n < 3 { 100 } else { 1000 })
    }

    fn millis(retry: &Retry, attempts: std::ops::RangeInclusive<u32>) -> Vec<u128> {
        attempts.map(|n| delay(retry, n, 0.5, None).as_millis()).collect()
    }

    #[test]
    fn the_three_shapes() {
        assert_eq!(
            millis(&retry(BackoffType::None, 1000, 60_000, 0.0), 1..=4),
            [1000, 1000, 1000, 1000]
        );
        assert_eq!(
            millis(&retry(BackoffType::Linear, 1000, 3500, 0.0), 1..=5),
            [1000, 2000, 3000, 3500, 3500]
        );
        assert_eq!(
            millis(&retry(BackoffType::Exponential, 1000, 10_000, 0.0), 1..=6),
            [1000, 2000, 4000, 8000, 10_000, 10_000]
        );
    }

    #[test]
    fn jitter_spreads_around_the_delay() {
        let policy = retry(BackoffType::None, 1000, 60_000, 0.2);
        assert_eq!(delay(&policy, 1, 0.0, None).as_millis(), 800);
        assert_eq!(delay(&policy, 1, 0.5, None).as_millis(), 1000);
        assert_eq!(delay(&policy, 1, 1.0, None).as_millis(), 1200);
    }

    #[test]
    fn a_delay_below_its_floor_is_raised_also_above_max_delay() {
        for backoff in [BackoffType::None, BackoffType::Linear, BackoffType::Exponential] {
            assert_eq!(millis(&retry(backoff, 1, 1, 0.0), 1..=4), [100, 100, 1000, 1000]);
        }
        assert_eq!(
            millis(&retry(BackoffType::Linear, 300, 700, 0.0), 1..=4),
            [300, 600, 1000, 1000]
        );
        let jittered = retry(BackoffType::None, 1000, 60_000, 0.5);
        assert_eq!(
            [2, 3].map(|n| delay(&jittered, n, 0.0, None)),
            [500, 1000].map(Duration::from_millis)
        );
    }

    #[test]
    fn what_the_service_asks_for_is_raised_too() {
        let policy = retry(BackoffType::None, 1, 1, 0.0);
        let after = |n, asked| delay(&policy, n, 0.5, Some(Duration::from_millis(asked)));
        assert_eq!(
            [(1, 0), (1, 200), (3, 200), (3, 5000)].map(|(n, asked)| after(n, asked)),
            [100, 200, 1000, 5000].map(Duration::from_millis)
        );
    }

    #[test]
    fn at_every_bound_the_delay_stays_between_its_bounds() {
        let nanos = [1, 2, 999_999_999];
        let durations = [0, 1, u64::from(u32::MAX), u64::MAX / 2, u64::MAX]
            .map(|seconds| nanos.map(|nanos| Duration::new(seconds, nanos)));
        let durations: Vec<_> =
            durations.into_iter().flatten().chain([Duration::ZERO, Duration::MAX]).collect();
        let powers =
            (0..32).flat_map(|bit| [(1_u32 << bit).saturating_sub(1), 1 << bit, (1 << bit) + 1]);
        let attempts: Vec<_> =
            powers.chain([0, 94, 95, 96, 97, 98, u32::MAX - 1, u32::MAX]).collect();
        let mut tried = 0;
        for (initial_delay, max_delay) in
            durations.iter().flat_map(|initial| durations.iter().map(move |max| (*initial, *max)))
        {
            for backoff in [BackoffType::None, BackoffType::Linear, BackoffType::Exponential] {
                let with =
                    |jitter| Retry { initial_delay, max_delay, ..retry(backoff, 0, 0, jitter) };
                let mut before = Duration::ZERO;
                for jitter in [0.0, f64::EPSILON, 0.5, 1.0] {
                    let policy = with(jitter);
                    for n in &attempts {
                        for r in [0.0, 0.5, 1.0 - f64::EPSILON] {
                            tried += 1;
                            let (delay, floor) = (delay(&policy, *n, r, None), floor(*n));
                            let fits = (floor..=max_delay.max(floor)).contains(&delay);
                            assert!(fits, "{policy:?} {n} {r}: {delay:?}");
                        }
                    }
                }
                let policy = with(0.0);
                let mut sorted = attempts.clone();
                sorted.sort_unstable();
                for n in sorted {
                    let next = delay(&policy, n, 0.0, None);
                    assert!(before <= next, "{policy:?} {n}: {before:?}, then {next:?}");
                    before = next;
                }
            }
        }
        assert_eq!(tried, durations.len().pow(2) * 3 * 4 * attempts.len() * 3);
    }

    fn any_duration() -> impl Strategy<Value = Duration> {
        (any::<u64>(), 0..1_000_000_000_u32)
            .prop_map(|(seconds, nanos)| Duration::new(seconds, nanos))
    }

    fn any_backoff() -> impl Strategy<Value = BackoffType> {
        prop_oneof![
            Just(BackoffType::None),
            Just(BackoffType::Linear),
            Just(BackoffType::Exponential)
        ]
    }

    proptest! {
        #[test]
        fn no_delay_overflows_or_passes_the_cap(
            backoff in any_backoff(),
            a in any_duration(),
            b in any_duration(),
            n in any::<u32>(),
            jitter in 0.0..=1.0,
            r in 0.0..1.0,
        ) {
            let policy = Retry {
                max_attempts: 1,
                deadline: None,
                backoff,
                initial_delay: a.min(b),
                max_delay: a.max(b),
                jitter,
            };
            let delay = delay(&policy, n, r, None);
            prop_assert!(delay >= floor(n));
            prop_assert!(delay <= policy.max_delay.max(floor(n)));
        }

        #[test]
        fn without_jitter_no_delay_is_shorter_than_the_one_before(
            backoff in any_backoff(), a in any_duration(), b in any_duration(), n in 1..u32::MAX,
        ) {
            let policy = Retry {
                max_attempts: 1,
                deadline: None,
                backoff,
                initial_delay: a.min(b),
                max_delay: a.max(b),
                jitter: 0.0,
            };
            prop_assert!(delay(&policy, n, 0.0, None) <= delay(&policy, n + 1, 0.0, None));
            prop_assert!(delay(&policy, n, 0.0, None) >= policy.initial_delay);
        }

        #[test]
        fn the_fraction_is_below_one_and_stays_the_same(
            uid in ".{0,40}", step in "[a-z]{1,10}", number in any::<i64>(),
        ) {
            let attempt = AttemptId { step, direction: Direction::Action, number };
            let r = fraction(&uid, &attempt);
            prop_assert!((0.0..1.0).contains(&r));
            prop_assert!(r.to_bits() == fraction(&uid, &attempt).to_bits());
        }
    }
}
