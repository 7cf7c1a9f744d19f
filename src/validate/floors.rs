//! The floors of delays and time limits, and the most attempts of a budget.
//!
//! # Guarantees
//! A number beyond its bound refuses nothing: the bound applies instead, and a warning names the
//! number. [`time_limit`] and [`attempts`] decide the effective values alone, so the engine, the
//! Pods and the Jobs have the same ones. The floor of a delay applies where a delay is computed.

use std::time::Duration;

use crate::{
    api::{
        Backoff, BackoffType, GoDuration, RetryPolicy, SagaSpec,
        limits::{
            EARLY_ATTEMPTS, LEAST_DELAY, LEAST_LATER_DELAY, LEAST_LIMIT, LEAST_SHORT_LIMIT,
            MAX_BUDGET_ATTEMPTS,
        },
    },
    fault::Fault,
    model::saga::{Operation, Retry, ValidStep, Work},
};

/// Returns the effective time limit of an attempt.
pub(in crate::validate) fn time_limit(work: &Work, written: Duration) -> Duration {
    written.max(least_limit(work))
}

/// Returns the effective number of attempts of a budget.
pub(in crate::validate) fn attempts(written: u32) -> u32 {
    written.min(MAX_BUDGET_ATTEMPTS)
}

/// Returns the shortest time limit of an attempt.
const fn least_limit(work: &Work) -> Duration {
    match work {
        Work::Http(_) | Work::Wait(_) | Work::Until(_) => LEAST_SHORT_LIMIT,
        Work::Pod(_)
        | Work::Job(_)
        | Work::Apply(_)
        | Work::Delete(_)
        | Work::Saga(_)
        | Work::UndoSaga
        | Work::Approval(_) => LEAST_LIMIT,
    }
}

/// The limits of an operation, or the defaults of a saga for its operations, as written.
#[derive(Clone, Copy)]
struct WrittenLimits<'s> {
    timeout: Option<GoDuration>,
    retry: Option<&'s RetryPolicy>,
}

/// The places at which the limits are written.
struct LimitPlaces {
    timeout: String,
    retry: String,
}

impl LimitPlaces {
    /// Returns the places of the limits of an operation.
    fn of(operation: &str) -> Self {
        Self { timeout: format!("{operation}.timeout"), retry: format!("{operation}.retry") }
    }

    /// Returns the places of the default limits.
    fn of_defaults(retry: &str) -> Self {
        let defaults = Self::of("spec.defaults");
        Self { retry: format!("spec.defaults.{retry}"), ..defaults }
    }
}

/// Returns the numbers of a spec that are beyond their bounds, each with what is used instead. Each
/// is named once, at the place where it is written.
pub(in crate::validate) fn raised(spec: &SagaSpec, steps: &[ValidStep]) -> Vec<Fault> {
    let defaults = spec.defaults.clone().unwrap_or_default();
    let (timeout, retry) = (defaults.timeout, defaults.retry.as_ref());
    let forward = (LimitPlaces::of_defaults("retry"), WrittenLimits { timeout, retry });
    let retry = defaults.compensation_retry.as_ref();
    let backward =
        (LimitPlaces::of_defaults("compensationRetry"), WrittenLimits { timeout, retry });
    let (mut of_defaults, mut of_steps) = (Vec::new(), Vec::new());
    let mut note = |found: Vec<Fault>| {
        for fault in found {
            if !fault.path.starts_with("spec.defaults") {
                of_steps.push(fault);
            } else if !of_defaults.contains(&fault) {
                of_defaults.push(fault);
            }
        }
    };
    for (place, (written, step)) in spec.steps.iter().zip(steps).enumerate() {
        let path = format!("spec.steps[{place}]");
        let own = WrittenLimits { timeout: written.timeout, retry: written.retry.as_ref() };
        note(of_operation((&LimitPlaces::of(&path), own), (&forward.0, forward.1), &step.action));
        let Some(operation) = &step.compensation else { continue };
        let own = written.compensation.as_ref();
        let own = WrittenLimits {
            timeout: own.and_then(|own| own.timeout),
            retry: own.and_then(|own| own.retry.as_ref()),
        };
        let places = LimitPlaces::of(&format!("{path}.compensation"));
        note(of_operation((&places, own), (&backward.0, backward.1), operation));
    }
    of_defaults.append(&mut of_steps);
    of_defaults
}

/// Returns what is beyond its bound in the limits of one operation.
fn of_operation(
    (own_places, own): (&LimitPlaces, WrittenLimits<'_>),
    (default_places, default): (&LimitPlaces, WrittenLimits<'_>),
    operation: &Operation,
) -> Vec<Fault> {
    let timeout = own
        .timeout
        .map(|given| (&own_places.timeout, given))
        .or_else(|| default.timeout.map(|given| (&default_places.timeout, given)));
    let policies =
        [(&own_places.retry, own.retry), (&default_places.retry, default.retry)].into_iter();
    let policies: Vec<_> = policies.filter_map(|(place, policy)| Some((place, policy?))).collect();
    [
        timeout.and_then(|(place, given)| short_limit(place, given, operation)),
        too_many(&policies, &operation.retry),
        short_delay(&policies, &operation.retry),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Returns the warning about a time limit below its floor. A default that does not apply to the
/// operation is not named.
fn short_limit(place: &str, given: GoDuration, operation: &Operation) -> Option<Fault> {
    let least = least_limit(&operation.work);
    let short = given.positive()? < least && operation.timeout == least;
    short.then(|| {
        Fault::new(
            place,
            format!(
                "{given} is below the floor; the time limit of an attempt is at least {} for http \
                 and wait, and {} for every other action",
                GoDuration::from(LEAST_SHORT_LIMIT),
                GoDuration::from(LEAST_LIMIT)
            ),
        )
    })
}

/// Returns the warning about more attempts than a budget may have.
fn too_many(policies: &[(&String, &RetryPolicy)], effective: &Retry) -> Option<Fault> {
    let (place, given) =
        policies.iter().find_map(|(place, policy)| Some((place, policy.max_attempts?)))?;
    let many = u32::try_from(given).is_ok_and(|given| given > MAX_BUDGET_ATTEMPTS);
    (many && effective.max_attempts == MAX_BUDGET_ATTEMPTS).then(|| {
        let message = format!(
            "{given} is above the limit; a budget has at most {MAX_BUDGET_ATTEMPTS} attempts"
        );
        Fault::new(format!("{place}.maxAttempts"), message)
    })
}

/// Returns the warning about a delay below its floor, for an operation that has such a delay. The
/// first delay and the first later one tell: no delay is shorter than the one before. Jitter does
/// not count.
fn short_delay(policies: &[(&String, &RetryPolicy)], effective: &Retry) -> Option<Fault> {
    let Retry { max_attempts, backoff, initial_delay, max_delay, .. } = effective;
    let growth = match backoff {
        BackoffType::None => 1,
        BackoffType::Linear => 3,
        BackoffType::Exponential => 4,
    };
    let later = initial_delay.saturating_mul(growth);
    let is_short = |first: Duration, later: Duration| {
        (*max_attempts > 1 && first < LEAST_DELAY)
            || (*max_attempts > EARLY_ATTEMPTS + 1 && later < LEAST_LATER_DELAY)
    };
    if !is_short(*initial_delay, later.min(*max_delay)) {
        return None;
    }
    // If the delay would grow beyond the floors, `maxDelay` is what keeps it short.
    let (field, written): (_, fn(&Backoff) -> Option<GoDuration>) =
        if is_short(*initial_delay, later) {
            ("initialDelay", |backoff| backoff.initial_delay)
        } else {
            ("maxDelay", |backoff| backoff.max_delay)
        };
    let (place, given) = policies
        .iter()
        .find_map(|(place, policy)| Some((place, written(policy.backoff.as_ref()?)?)))?;
    let message = format!(
        "{given} is below the floor; the delay is at least {}, and {} from the third attempt on",
        GoDuration::from(LEAST_DELAY),
        GoDuration::from(LEAST_LATER_DELAY)
    );
    Some(Fault::new(format!("{place}.backoff.{field}"), message))
}
