//! The rules between a status and the next one: nothing that was written is taken back.

use crate::{
    api::{
        Direction, DirectionStatus, Outcome, RequestAction, RequestRecord, RequestResult,
        SagaPhase, SagaStatus,
    },
    model::saga::{ValidSaga, ValidStep},
};

/// Finds facts that were taken back.
pub(super) fn check(
    saga: &ValidSaga,
    before: &SagaStatus,
    after: &SagaStatus,
    found: &mut Vec<String>,
) {
    phases(before, after, found);
    let fell = before.settled > after.settled
        || before.retry_requests > after.retry_requests
        || before.handled_tokens.len() > after.handled_tokens.len()
        || (before.spec_hash.is_some() && before.spec_hash != after.spec_hash)
        || (before.cancel_requested.is_some() && after.cancel_requested.is_none());
    if fell {
        found.push("what is known of the saga was taken back".into());
    }
    let newest = |status: &SagaStatus| {
        status.requests.iter().map(|record| record.number).max().unwrap_or_default()
    };
    let kept = |status: &SagaStatus, number: i64| {
        status.requests.iter().find(|record| record.number == number).cloned()
    };
    let rewritten = after
        .requests
        .iter()
        .any(|record| kept(before, record.number).is_some_and(|old| old != *record));
    if rewritten || newest(after) < newest(before) {
        found.push("the answer to a request was rewritten".into());
    }
    for old in &before.steps {
        let Some(new) = after.steps.iter().find(|new| new.name == old.name) else {
            found.push(format!("step {} is forgotten", old.name));
            continue;
        };
        if old.phase.is_backward() && !new.phase.is_backward() {
            found.push(format!(
                "step {} turns from {} to {}",
                old.name,
                old.phase.as_str(),
                new.phase.as_str()
            ));
        }
        let step = saga.steps.iter().find(|step| step.name == old.name);
        let settled_manually = is_settled_manually(before, after, &old.name);
        for direction in [Direction::Action, Direction::Compensation] {
            let what = format!("{}/{direction}", old.name);
            match (old.direction(direction), new.direction(direction)) {
                (Some(old), Some(new)) => records(
                    &what,
                    (old, new),
                    AllowedChange { leaves_doubt: leaves_doubt(step, direction), settled_manually },
                    found,
                ),
                (Some(_), None) => found.push(format!("the attempts of {what} are forgotten")),
                (None, _) => {}
            }
        }
    }
}

/// Checks the order of phases: running, then compensating, then ended. An ended saga stays ended,
/// except a Completed saga that is to be undone.
fn phases(before: &SagaStatus, after: &SagaStatus, found: &mut Vec<String>) {
    let (Some(old), Some(new)) = (before.phase, after.phase) else { return };
    let back = [SagaPhase::Compensating, SagaPhase::CompensationFailed];
    let reopened = old == SagaPhase::Completed && after.compensation_requested.is_some();
    let back_again = old == SagaPhase::Completed && after.requests.len() > before.requests.len();
    let legal = match old {
        SagaPhase::Completed => new == old || reopened || back_again,
        SagaPhase::Compensated | SagaPhase::Cancelled => new == old,
        SagaPhase::Compensating | SagaPhase::CompensationFailed => {
            back.contains(&new) || [SagaPhase::Compensated, SagaPhase::Cancelled].contains(&new)
        }
        SagaPhase::Pending | SagaPhase::Running | SagaPhase::Paused | SagaPhase::Failed => {
            new != SagaPhase::Pending || old == new
        }
    };
    if !legal {
        found.push(format!("the saga turns from {} to {}", old.as_str(), new.as_str()));
    }
}

/// Returns whether an attempt that may have acted makes the step uncertain.
fn leaves_doubt(step: Option<&ValidStep>, direction: Direction) -> bool {
    direction == Direction::Compensation || !step.is_some_and(ValidStep::leaves_nothing)
}

/// Returns whether a settle request for the step was accepted.
fn is_settled_manually(before: &SagaStatus, after: &SagaStatus, step: &str) -> bool {
    let last = before.requests.iter().map(|record| record.number).max().unwrap_or_default();
    let accepted = |record: &RequestRecord| {
        record.action == RequestAction::Settle && record.result == RequestResult::Accepted
    };
    let names = |value: &str| value.trim().split('=').next().map(str::trim) == Some(step);
    after
        .requests
        .iter()
        .any(|record| record.number > last && accepted(record) && names(&record.value))
}

/// What may change a record, besides its attempts.
#[derive(Clone, Copy)]
struct AllowedChange {
    leaves_doubt: bool,
    /// Whether a settle request was accepted.
    settled_manually: bool,
}

fn records(
    what: &str,
    (old, new): (&DirectionStatus, &DirectionStatus),
    allowed: AllowedChange,
    found: &mut Vec<String>,
) {
    let AllowedChange { leaves_doubt, settled_manually } = allowed;
    let mut must = |holds: bool, sentence: &str| {
        if !holds {
            found.push(format!("{what}: {sentence}"));
        }
    };
    let counters = [
        (old.attempt, new.attempt),
        (old.failures, new.failures),
        (old.disruptions, new.disruptions),
    ];
    must(
        counters.iter().all(|(old, new)| old <= new) && old.sequence <= new.sequence,
        "a counter fell",
    );
    must(new.attempt <= old.attempt.saturating_add(1), "a number was left out");
    let rewritten = old
        .attempts
        .iter()
        .any(|old| new.attempts.iter().any(|new| new.attempt == old.attempt && new != old));
    must(!rewritten, "an outcome was rewritten");
    let unsettled =
        old.active.is_some() && new.attempt > old.attempt && new.sequence == old.sequence;
    must(!unsettled, "an attempt begins before the one before it settled");
    must(
        !(old.last_outcome == Some(Outcome::Succeeded) && new.attempt > old.attempt),
        "what is done begins again",
    );
    let moved = new.failures.saturating_sub(old.failures);
    if new.sequence == old.sequence {
        let settled = settled_manually
            && old.active.is_none()
            && old.uncertain
            && !new.uncertain
            && moved <= 1;
        // With its first attempt a step may take over the keys of an earlier child saga.
        let goes_on = old.attempt == 0 || settled;
        must(
            goes_on || (moved == 0 && new.uncertain == old.uncertain),
            "the key moved although nothing settled",
        );
        return;
    }
    // If two attempts settled since, only the last one is known.
    must(old.active.is_some(), "an attempt settles that was not active");
    let right = match new.last_outcome {
        Some(Outcome::Unknown) => moved == 0 && new.uncertain == (leaves_doubt || old.uncertain),
        Some(Outcome::Succeeded) => moved == 0 && !new.uncertain,
        // A 2xx that the step does not accept as a success makes the step uncertain.
        Some(Outcome::Failed) if moved == 0 => new.uncertain || !old.uncertain,
        Some(Outcome::Failed) => moved == 1 && !new.uncertain,
        None => false,
    };
    must(right, "the key, or what is uncertain, does not follow the outcome");
}
