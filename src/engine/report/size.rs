//! Keeps the status small enough for etcd and for everything that watches sagas.
//!
//! # Guarantees
//! The steps take at most [`STEPS`] bytes as JSON, however long the messages of services are. Only
//! data that no decision needs is dropped: first the oldest attempts and the names of children,
//! then why due attempts do not begin, then the ends of messages. Outputs are bounded when they are
//! taken. They count here as well, and are never dropped. Steps that fit are not changed, so a
//! second pass changes nothing.

use serde::Serialize;

use crate::{
    api::{DirectionStatus, MAX_OUTPUTS, StepStatus, ThrottleStatus},
    engine::planner::throttled::withdraw,
    text::clip,
};

/// The most bytes of all steps together: 256 KiB for the status, less the part for the whole saga
/// and for requests.
pub(in crate::engine) const STEPS: usize = (256 - 64) * 1024;
/// How many attempts of each direction are kept, if not all fit. The limits are applied in this
/// order.
const KEPT: [usize; 4] = [3, 2, 1, 0];
/// How many characters of each step's message are kept, if nothing else helps. The last limit
/// leaves room for as many outputs as there may be.
const MESSAGE: [usize; 2] = [60, 16];
/// `STEP` is more than a step takes without its messages and attempts. `ATTEMPT` is more than an
/// attempt takes without its message. `THROTTLE` is more than the reason takes for which a due
/// attempt does not begin, without its texts.
const STEP: usize = 1660;
const ATTEMPT: usize = 200;
const THROTTLE: usize = 160;

/// Drops what does not fit. `others`: the bytes of another version's fields, which are never
/// dropped.
pub(in crate::engine) fn fit(steps: &mut [StepStatus], others: usize) {
    let room = STEPS.saturating_sub(others);
    if at_most(steps) <= room {
        return;
    }
    for kept in KEPT {
        if size(steps) <= room {
            return;
        }
        // The newest attempt says more than the child's name, which can be computed.
        if kept == 0 {
            for step in steps.iter_mut() {
                step.child = None;
            }
            if size(steps) <= room {
                return;
            }
        }
        for record in steps.iter_mut().flat_map(records) {
            let surplus = record.attempts.len().saturating_sub(kept);
            record.attempts.drain(..surplus);
        }
    }
    if size(steps) <= room {
        return;
    }
    // The message of the saga says which steps wait.
    steps.iter_mut().for_each(withdraw);
    for kept in MESSAGE {
        if size(steps) <= room {
            return;
        }
        for message in steps.iter_mut().filter_map(|step| step.message.as_mut()) {
            *message = clip(message, kept);
        }
    }
}

fn records(step: &mut StepStatus) -> impl Iterator<Item = &mut DirectionStatus> {
    [&mut step.action, &mut step.compensation].into_iter().flatten()
}

/// Returns an upper bound of the size. It does not serialize the steps.
fn at_most(steps: &[StepStatus]) -> usize {
    // A quote or a backslash becomes two bytes. Control characters were removed before.
    let text = |message: &Option<String>| {
        message.as_ref().map_or(0, |message| message.len().saturating_mul(2))
    };
    let throttle = |throttle: &ThrottleStatus| {
        let ThrottleStatus { reason, origin, until: _, previous_message } = throttle;
        let texts = reason.len().saturating_add(origin.len()).saturating_mul(2);
        text(previous_message).saturating_add(texts).saturating_add(THROTTLE)
    };
    let step = |step: &StepStatus| {
        let attempts = [&step.action, &step.compensation]
            .into_iter()
            .flatten()
            .flat_map(|record| &record.attempts);
        let attempts: usize =
            attempts.map(|attempt| text(&attempt.message).saturating_add(ATTEMPT)).sum();
        let outputs = if step.outputs.is_some() { MAX_OUTPUTS } else { 0 };
        let throttled = step.throttled.as_deref().map_or(0, throttle);
        [text(&step.message), attempts, outputs, throttled]
            .into_iter()
            .fold(STEP, usize::saturating_add)
    };
    steps.iter().map(step).sum()
}

fn size(steps: &[impl Serialize]) -> usize {
    serde_json::to_vec(steps).map_or(usize::MAX, |json| json.len())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, Time};

    use super::*;
    use crate::{
        api::{
            ActiveAttempt, AttemptRecord, Direction, Outcome, Pause, RequestAction, RequestRecord,
            RequestResult, SagaPhase, SagaStatus, SpecDoubts, limits::MAX_ALL_OUTPUTS,
        },
        engine::planner::throttled::BlockingBreaker,
        model::origin::Origin,
    };

    /// The highest number that a status may hold: see [`crate::engine::invariants`].
    const COUNT: i64 = (1 << 52) - 1;

    /// Creates the longest possible step without outputs: a step that is being undone.
    fn step(place: usize, attempts: i64, message: &str) -> StepStatus {
        let now = || MicroTime(Timestamp::MAX);
        let record = |attempt| AttemptRecord {
            attempt,
            outcome: Outcome::Succeeded,
            started_at: now(),
            settled_at: now(),
            message: Some(message.to_owned()),
        };
        let action = DirectionStatus {
            attempt: COUNT,
            budget_used: COUNT,
            budget_started_at: Some(now()),
            failures: COUNT,
            disruptions: COUNT,
            called_off: COUNT,
            begun: true,
            uncertain: true,
            answered: true,
            sequence: Some(COUNT),
            last_outcome: Some(Outcome::Succeeded),
            request_hash: Some("h".repeat(67)),
            active: None,
            attempts: (1..=attempts).map(record).collect(),
        };
        // An attempt that sends an HTTP request has no child, and so neither a child UID nor a
        // trouble. Those are shorter.
        let active = ActiveAttempt {
            started_at: now(),
            executor: Some("e".repeat(36)),
            ends_by: Some(now()),
            clock_ahead_seconds: COUNT,
            clock_behind_seconds: COUNT,
            child_uid: None,
            trouble: None,
        };
        StepStatus {
            name: format!("{place:063}"),
            phase: crate::api::StepPhase::CompensationSkipped,
            started_at: Some(now()),
            completed_at: Some(now()),
            message: Some(message.to_owned()),
            next_attempt_at: Some(now()),
            throttled: None,
            outputs: None,
            unwanted: true,
            retry_requested: true,
            keys_from: None,
            child: Some(crate::api::ChildStatus {
                name: "n".repeat(63),
                uid: Some("u".repeat(36)),
                phase: Some(crate::api::SagaPhase::CompensationFailed),
            }),
            // At most 64 steps are active at once, as many as may run in parallel.
            compensation: Some(DirectionStatus {
                active: Some(active).filter(|_| place < 64),
                ..action.clone()
            }),
            action: Some(action),
        }
    }

    /// Creates the most steps, with the most outputs.
    fn largest(message: &str) -> Vec<StepStatus> {
        let mut steps: Vec<_> = (0..128).map(|place| step(place, 5, message)).collect();
        for step in steps.iter_mut().take(MAX_ALL_OUTPUTS / MAX_OUTPUTS) {
            let text = "x".repeat(MAX_OUTPUTS - r#"{"a":""}"#.len());
            step.outputs = serde_json::from_str(&format!(r#"{{"a":"{text}"}}"#)).unwrap();
            assert_eq!(serde_json::to_string(&step.outputs).unwrap().len(), MAX_OUTPUTS);
        }
        steps
    }

    #[test]
    fn the_largest_saga_fits_with_as_many_outputs_as_there_may_be() {
        for message in ["", "no", &"\"".repeat(400), &"😀".repeat(400)] {
            let mut steps = largest(message);
            let outputs: Vec<_> = steps.iter().map(|step| step.outputs.clone()).collect();
            fit(&mut steps, 0);
            assert!(size(&steps) <= STEPS, "{} bytes", size(&steps));
            assert!(
                steps.iter().map(|step| step.outputs.clone()).eq(outputs),
                "what steps hand on is never dropped"
            );
            let after = steps.clone();
            fit(&mut steps, 0);
            assert_eq!(steps, after);
        }
    }

    fn doubted() -> SpecDoubts {
        SpecDoubts { by: "v".repeat(63), accepted_message: "the spec is valid".into() }
    }

    #[test]
    fn the_whole_status_is_at_most_256_kib_with_the_longest_of_everything() {
        let long = |count: usize| "😀".repeat(count);
        let mut steps = largest(&long(400));
        fit(&mut steps, 0);
        let now = || MicroTime(Timestamp::MAX);
        let condition = |kind: &str| Condition {
            type_: kind.into(),
            status: "Unknown".into(),
            reason: "CompensationFailed".into(),
            message: long(1500),
            observed_generation: Some(i64::MAX),
            last_transition_time: Time(Timestamp::MAX),
        };
        let request = |number| RequestRecord {
            number,
            action: RequestAction::Compensate,
            value: "\"".repeat(128),
            value_hash: "f".repeat(16),
            token: Some("t".repeat(63)),
            at: now(),
            result: RequestResult::Accepted,
            message: long(400),
        };
        let names: Vec<_> = steps.iter().map(|step| step.name.clone()).collect();
        let status = SagaStatus {
            observed_generation: Some(i64::MAX),
            phase: Some(SagaPhase::CompensationFailed),
            message: Some(long(1500)),
            progress: Some("128/128".into()),
            current_steps: Some(names.join(",")),
            retries: Some(COUNT),
            started_at: Some(now()),
            completed_at: Some(now()),
            clock_stopped_at: Some(now()),
            timeout_started_at: Some(now()),
            timed_out_at: Some(now()),
            paused: Some(Pause { at: now(), reason: long(200) }),
            spec_hash: Some("h".repeat(67)),
            accepted_by: Some("v".repeat(63)),
            doubted: Some(Box::new(doubted())),
            #[cfg(feature = "next")]
            noted: Some("n".repeat(63)),
            still_in_effect: Some(names),
            compensation_requested: Some(long(200)),
            cancel_requested: Some(long(200)),
            retry_requests: COUNT,
            requests: (COUNT - 9..=COUNT).map(request).collect(),
            handled_tokens: vec![format!("{0}-{0}", "f".repeat(16)); 128],
            settled: Some(COUNT),
            outputs: serde_json::from_str(&format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_OUTPUTS - 8)))
                .unwrap(),
            // `Reconciling` and `Stalled` never occur together. The message of `Accepted` is short.
            conditions: vec![
                Condition { message: "the spec is valid".into(), ..condition("Accepted") },
                condition("Ready"),
                condition("Stalled"),
            ],
            steps,
        };
        let bytes = serde_json::to_vec(&status).unwrap().len();
        assert!(bytes <= 256 * 1024, "{bytes} bytes");
    }

    #[test]
    fn what_fits_is_left_as_it_is() {
        let mut steps: Vec<_> = (0..30).map(|place| step(place, 5, "no")).collect();
        let before = steps.clone();
        fit(&mut steps, 0);
        assert_eq!(steps, before);
    }

    /// Makes a step wait for a breaker, with the longest origin.
    fn throttle(mut step: StepStatus) -> StepStatus {
        let breaker = BlockingBreaker {
            origin: Origin { scheme: "https".into(), host: "h".repeat(300), port: 65_535 },
            direction: Direction::Compensation,
            until: Some(Timestamp::MAX),
        };
        breaker.report(&mut step, Timestamp::MIN);
        assert!(step.throttled.is_some());
        step
    }

    #[test]
    fn what_steps_wait_for_is_dropped_before_their_messages_are_cut() {
        let message = "x".repeat(400);
        let mut steps: Vec<_> = (0..128).map(|place| throttle(step(place, 5, &message))).collect();
        fit(&mut steps, 0);
        assert!(size(&steps) <= STEPS, "{} bytes", size(&steps));
        let left = |step: &StepStatus| step.throttled.is_none() && step.message.is_some();
        assert!(steps.iter().all(left));
        assert!(steps.iter().all(|step| !step.message.as_ref().unwrap().contains("CircuitOpen")));
        let mut few = vec![throttle(step(0, 5, &message))];
        let before = few.clone();
        fit(&mut few, 0);
        assert_eq!(few, before);
    }

    #[test]
    fn the_rough_size_is_never_too_small() {
        for message in ["", "no", &"\"\\".repeat(300)] {
            for attempts in [0, 5] {
                let with_outputs = largest(message).remove(0);
                let waits = throttle(with_outputs.clone());
                for steps in [[step(0, attempts, message)], [with_outputs], [waits]] {
                    assert!(
                        size(&steps) <= at_most(&steps),
                        "{} > {}",
                        size(&steps),
                        at_most(&steps)
                    );
                }
            }
        }
    }

    #[test]
    fn the_largest_saga_fits_and_its_newest_attempts_stay_the_longest() {
        let mut steps: Vec<_> = (0..128).map(|place| step(place, 5, &"😀".repeat(400))).collect();
        fit(&mut steps, 0);
        assert!(size(&steps) <= STEPS, "{}", size(&steps));
        let mut steps: Vec<_> = (0..128).map(|place| step(place, 5, "no")).collect();
        fit(&mut steps, 0);
        let kept: Vec<_> = steps[0]
            .action
            .iter()
            .flat_map(|record| &record.attempts)
            .map(|attempt| attempt.attempt)
            .collect();
        assert_eq!(kept.last(), Some(&5));
        let after = steps.clone();
        fit(&mut steps, 0);
        assert_eq!(steps, after);
    }
}
