//! Time limits and retry policies. Each field is taken from the operation, else from the defaults
//! of the saga, else from the built-in values.
//!
//! # Guarantees
//! Each fault is reported once, at the place where it is written: the defaults are checked alone,
//! even if no operation uses them.

use std::time::Duration;

use super::floors;
use crate::{
    api::{Backoff, Defaults, GoDuration, RetryPolicy},
    fault::Fault,
    model::saga::Retry,
};

const INITIAL_DELAY: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_mins(1);
const MAX_ATTEMPTS: i32 = 1_000_000;

/// Returns the policy that applies if nothing is written.
pub(in crate::validate) fn built_in(attempts: i32) -> Retry {
    effective(None, None, attempts, "", &mut Vec::new())
}

/// Checks the defaults of the saga alone.
pub(in crate::validate) fn check_defaults(defaults: &Defaults, faults: &mut Vec<Fault>) {
    let Defaults { timeout, retry, compensation_retry } = defaults;
    check_duration(*timeout, "spec.defaults.timeout", faults);
    check(retry.as_ref(), "spec.defaults.retry", faults);
    check(compensation_retry.as_ref(), "spec.defaults.compensationRetry", faults);
}

/// Checks that a time limit is positive. `path` is the place where it is written.
pub(in crate::validate) fn check_duration(
    written: Option<GoDuration>,
    path: &str,
    faults: &mut Vec<Fault>,
) {
    if let Some(written) = written.filter(|written| written.positive().is_none()) {
        faults.push(Fault::new(
            path,
            format!("is {written}: must be a positive duration such as 90s or 1m30s"),
        ));
    }
}

/// Checks a retry policy at the place where it is written.
fn check(policy: Option<&RetryPolicy>, path: &str, faults: &mut Vec<Fault>) {
    let Some(RetryPolicy { max_attempts, deadline, backoff }) = policy else { return };
    if max_attempts.is_some_and(|attempts| !(1..=MAX_ATTEMPTS).contains(&attempts)) {
        let message = "counts all attempts, the first included: write 1 or more, at most 1000000";
        faults.push(Fault::new(format!("{path}.maxAttempts"), message));
    }
    check_duration(*deadline, &format!("{path}.deadline"), faults);
    let Some(Backoff { kind: _, initial_delay, max_delay, jitter }) = backoff else { return };
    check_duration(*initial_delay, &format!("{path}.backoff.initialDelay"), faults);
    check_duration(*max_delay, &format!("{path}.backoff.maxDelay"), faults);
    if shorter(*max_delay, *initial_delay) {
        let message = "maxDelay is shorter than initialDelay: raise maxDelay, or leave it out";
        faults.push(Fault::new(format!("{path}.backoff.maxDelay"), message));
    }
    if jitter.is_some_and(|jitter| !(0.0..=1.0).contains(&jitter)) {
        faults.push(Fault::new(format!("{path}.backoff.jitter"), "must be 0 to 1"));
    }
}

/// Returns the effective policy of an operation, and checks the operation's own policy. The result
/// is usable only if there is no fault.
pub(in crate::validate) fn effective(
    own: Option<&RetryPolicy>,
    default: Option<&RetryPolicy>,
    attempts: i32,
    path: &str,
    faults: &mut Vec<Fault>,
) -> Retry {
    check(own, path, faults);
    let policies = [own, default];
    let [own, default] =
        policies.map(|policy| policy.and_then(|policy| policy.backoff.clone()).unwrap_or_default());
    if shorter(default.max_delay.filter(|_| own.max_delay.is_none()), own.initial_delay) {
        let message =
            "is longer than the maxDelay of spec.defaults: lower it, or set maxDelay here";
        // The fault is broken, because the defaults can still be changed.
        faults.push(Fault::broken(format!("{path}.backoff.initialDelay"), message));
    }
    if shorter(
        own.max_delay,
        default
            .initial_delay
            .or(Some(INITIAL_DELAY.into()))
            .filter(|_| own.initial_delay.is_none()),
    ) {
        let message = "maxDelay is shorter than the initialDelay that applies here: raise \
            maxDelay, or set initialDelay";
        faults.push(Fault::broken(format!("{path}.backoff.maxDelay"), message));
    }
    let initial_delay = own
        .initial_delay
        .or(default.initial_delay)
        .and_then(GoDuration::positive)
        .unwrap_or(INITIAL_DELAY);
    let max_delay = own.max_delay.or(default.max_delay).and_then(GoDuration::positive);
    let max_attempts =
        policies.iter().flatten().find_map(|policy| policy.max_attempts).unwrap_or(attempts);
    Retry {
        max_attempts: floors::attempts(u32::try_from(max_attempts).unwrap_or(1)),
        deadline: policies
            .iter()
            .flatten()
            .find_map(|policy| policy.deadline)
            .and_then(GoDuration::positive),
        backoff: own.kind.or(default.kind).unwrap_or_default(),
        initial_delay,
        max_delay: max_delay.unwrap_or_else(|| MAX_DELAY.max(initial_delay)),
        jitter: own.jitter.or(default.jitter).unwrap_or(0.0),
    }
}

/// Returns whether both delays are set and positive, and `max_delay` is shorter than
/// `initial_delay`.
fn shorter(max_delay: Option<GoDuration>, initial_delay: Option<GoDuration>) -> bool {
    let [max_delay, initial_delay] =
        [max_delay, initial_delay].map(|delay| delay.and_then(GoDuration::positive));
    max_delay.zip(initial_delay).is_some_and(|(max_delay, initial_delay)| max_delay < initial_delay)
}

pub(in crate::validate) const ACTION_ATTEMPTS: i32 = 1;

pub(in crate::validate) const COMPENSATION_ATTEMPTS: i32 = 10;
