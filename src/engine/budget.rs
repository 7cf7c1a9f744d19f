//! Keeps the status small enough for etcd and for everybody who watches.
//!
//! # Guarantees
//! The steps take at most [`STEPS`] bytes as JSON, whatever the other sides say. Only what no decision needs is dropped: the oldest
//! attempts first, then the ends of messages. Steps that fit are left as they are, so that a second look changes nothing.

use serde::Serialize;

use super::settle::clip;
use crate::api::{DirectionStatus, StepStatus};

/// The most bytes of all steps together: 256 KiB for the status, less what is said of the saga as a whole and what people asked for.
pub(super) const STEPS: usize = (256 - 56) * 1024;
/// The attempts kept of each direction, where all do not fit.
const KEPT: [usize; 4] = [3, 2, 1, 0];
/// The characters kept of each step's message, where nothing else helps.
const MESSAGE: usize = 60;
/// More than a step takes besides its messages and attempts, and more than an attempt takes besides its message.
const STEP: usize = 1420;
const ATTEMPT: usize = 200;

/// Drops what does not fit.
pub(super) fn fit(steps: &mut [StepStatus]) {
    if at_most(steps) <= STEPS {
        return;
    }
    for kept in KEPT {
        if size(steps) <= STEPS {
            return;
        }
        for record in steps.iter_mut().flat_map(records) {
            let surplus = record.attempts.len().saturating_sub(kept);
            record.attempts.drain(..surplus);
        }
    }
    if size(steps) > STEPS {
        for message in steps.iter_mut().filter_map(|step| step.message.as_mut()) {
            *message = clip(message, MESSAGE);
        }
    }
}

fn records(step: &mut StepStatus) -> impl Iterator<Item = &mut DirectionStatus> {
    [&mut step.action, &mut step.compensation].into_iter().flatten()
}

/// A size that no writing out is needed for; never below the real one.
fn at_most(steps: &[StepStatus]) -> usize {
    // A quote or a backslash becomes two bytes; control characters are cut out before.
    let text = |message: &Option<String>| message.as_ref().map_or(0, |message| message.len().saturating_mul(2));
    let step = |step: &StepStatus| {
        let attempts = [&step.action, &step.compensation].into_iter().flatten().flat_map(|record| &record.attempts);
        let attempts: usize = attempts.map(|attempt| text(&attempt.message).saturating_add(ATTEMPT)).sum();
        text(&step.message).saturating_add(attempts).saturating_add(STEP)
    };
    steps.iter().map(step).sum()
}

fn size(steps: &[impl Serialize]) -> usize {
    serde_json::to_vec(steps).map_or(usize::MAX, |json| json.len())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

    use super::*;
    use crate::api::{ActiveAttempt, AttemptRecord, Outcome};

    fn step(place: usize, attempts: i64, message: &str) -> StepStatus {
        let now = || MicroTime(Timestamp::MAX);
        let record = |attempt| AttemptRecord {
            attempt,
            outcome: Outcome::Succeeded,
            started_at: now(),
            settled_at: now(),
            message: Some(message.to_owned()),
        };
        let direction = DirectionStatus {
            attempt: i64::MAX,
            budget_used: i64::MAX,
            budget_started_at: Some(now()),
            failures: i64::MAX,
            disruptions: i64::MAX,
            begun: true,
            uncertain: true,
            sequence: Some(i64::MAX),
            last_outcome: Some(Outcome::Succeeded),
            request_hash: Some("h".repeat(67)),
            active: Some(ActiveAttempt { started_at: now(), executor: Some("e".repeat(36)), child_uid: Some("u".repeat(36)) }),
            attempts: (1..=attempts).map(record).collect(),
        };
        StepStatus {
            name: format!("{place:063}"),
            phase: crate::api::StepPhase::CompensationFailed,
            started_at: Some(now()),
            completed_at: Some(now()),
            message: Some(message.to_owned()),
            next_attempt_at: Some(now()),
            retry_requested: true,
            action: Some(direction.clone()),
            compensation: Some(direction),
        }
    }

    #[test]
    fn what_fits_is_left_as_it_is() {
        let mut steps: Vec<_> = (0..30).map(|place| step(place, 5, "no")).collect();
        let before = steps.clone();
        fit(&mut steps);
        assert_eq!(steps, before);
    }

    #[test]
    fn the_rough_size_is_never_too_small() {
        for message in ["", "no", &"\"\\".repeat(300)] {
            for attempts in [0, 5] {
                let steps = [step(0, attempts, message)];
                assert!(size(&steps) <= at_most(&steps), "{} > {}", size(&steps), at_most(&steps));
            }
        }
    }

    #[test]
    fn the_largest_saga_fits_and_its_newest_attempts_stay_the_longest() {
        let mut steps: Vec<_> = (0..128).map(|place| step(place, 5, &"😀".repeat(400))).collect();
        fit(&mut steps);
        assert!(size(&steps) <= STEPS, "{}", size(&steps));
        let mut steps: Vec<_> = (0..128).map(|place| step(place, 5, "no")).collect();
        fit(&mut steps);
        let kept: Vec<_> = steps[0].action.iter().flat_map(|record| &record.attempts).map(|attempt| attempt.attempt).collect();
        assert_eq!(kept.last(), Some(&5));
        let after = steps.clone();
        fit(&mut steps);
        assert_eq!(steps, after);
    }
}
