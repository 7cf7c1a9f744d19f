//! What must hold of an attempt that a write settled.

use super::must::must;
use crate::{
    api::{
        Direction, DirectionStatus, Outcome, SagaStatus,
        limits::{LEAST_DELAY, LEAST_LATER_DELAY},
    },
    clock::between,
    engine::attempt::settle::FREE_CALLED_OFF,
    model::saga::{Operation, Work},
    world::{
        clocks, query,
        state::{
            attempt::AttemptRef,
            property::{Property, Violation},
            replica::CALLED_OFF,
            world::World,
        },
    },
};

/// Checks an attempt that was active before the write and is no longer active.
pub(super) fn settled(
    world: &World,
    new: &SagaStatus,
    attempt: AttemptRef,
    record: &DirectionStatus,
    violations: &mut Vec<Violation>,
) {
    let Some(after) =
        new.steps.get(attempt.place).and_then(|step| step.direction(attempt.direction))
    else {
        return;
    };
    let outcome = after
        .attempts
        .iter()
        .find(|entry| entry.attempt == attempt.number)
        .map(|entry| entry.outcome);
    let Some(truth) = world.truth().get(attempt.place) else { return };
    let done = truth.key_done(attempt.direction) == Some(record.failures);
    let refused = truth.key_refused(attempt.direction) == Some(record.failures);
    match outcome {
        Some(Outcome::Succeeded) if waits(world, attempt) => {}
        Some(Outcome::Succeeded) => {
            must(violations, done, Property::Truthful, || {
                format!("{attempt} counts as done and was not")
            });
        }
        Some(Outcome::Failed) => {
            let told = !done || after.uncertain || may_have_crashed(world, attempt, after);
            must(violations, told, Property::Truthful, || {
                format!("{attempt} counts as failed and was done")
            });
        }
        Some(Outcome::Unknown) => {}
        None => violations.push(Violation::new(
            Property::Truthful,
            format!("{attempt} is not active any more and has no outcome"),
        )),
    }
    let moved = after.failures != record.failures;
    must(violations, !moved || refused, Property::OneIdentity, || {
        format!("the key moves after {attempt}, and the service gave no definite refusal")
    });
    let used = after.budget_used < record.budget_used;
    let free = after.disruptions > record.disruptions
        || after.called_off > record.called_off
        || new.retry_requests > 0;
    must(violations, !used || free, Property::Bounded, || format!("{attempt} is not counted"));
    if !free {
        waits_long_enough(new, attempt, after, violations);
    }
    called_off(world, new.retry_requests > 0, attempt, (record, after), violations);
    never_begun(world, new, attempt, record, outcome, violations);
    // The deletion of an object cannot be stopped, so it may still run.
    let running = !query::deletes(world, attempt)
        && world.executions.iter().any(|execution| {
            execution.attempt == attempt
                && execution.exists()
                && execution.runs()
                && !execution.again
        });
    must(violations, !running, Property::SettledFirst, || {
        format!("{attempt} counts as ended while its Pod runs")
    });
}

/// Checks that the delay to the next attempt is not below its floor. The next attempt may begin in
/// the same write.
fn waits_long_enough(
    new: &SagaStatus,
    attempt: AttemptRef,
    after: &DirectionStatus,
    violations: &mut Vec<Violation>,
) {
    let waits = new.steps.get(attempt.place).and_then(|step| step.next_attempt_at.as_ref());
    let begun = after.active.as_ref().filter(|_| after.attempt > attempt.number);
    let next = waits.or(begun.map(|active| &active.started_at));
    let settled = after.attempts.iter().find(|entry| entry.attempt == attempt.number);
    let Some((next, settled)) = next.zip(settled) else { return };
    let floor = if after.budget_used < 3 { LEAST_DELAY } else { LEAST_LATER_DELAY };
    let delay = between(settled.settled_at.0, next.0);
    must(violations, delay >= floor, Property::Bounded, || {
        format!("the attempt after {attempt} begins {delay:?} later, and {floor:?} is the least")
    });
}

/// Checks that an HTTP request that its replica called off costs an attempt if it must not be
/// repeated, and costs none if it may be repeated.
fn called_off(
    world: &World,
    asked: bool,
    attempt: AttemptRef,
    (record, after): (&DirectionStatus, &DirectionStatus),
    violations: &mut Vec<Violation>,
) {
    let said = after
        .attempts
        .iter()
        .find(|entry| entry.attempt == attempt.number)
        .and_then(|entry| entry.message.as_deref());
    let step = world.object().saga().steps.get(attempt.place);
    let Some(operation) = step
        .and_then(|step| step.operation(attempt.direction))
        .filter(|_| said == Some(CALLED_OFF))
    else {
        return;
    };
    let free = operation.may_be_repeated() && record.called_off < FREE_CALLED_OFF;
    // A retry in the same write gives a fresh budget. The next attempt may already have used one
    // attempt of that budget.
    let counted = record.budget_used.saturating_sub(after.budget_used);
    let right = counted == i64::from(free)
        || (asked && after.budget_used <= i64::from(after.active.is_some()));
    must(violations, right, Property::Bounded, || {
        format!(
            "{attempt} was called off by its operator, and is {} counted",
            if free { "" } else { "not" }
        )
    });
}

/// Returns whether a failed program may have done its work. Then the step is undone as if the work
/// was done, or it stays in effect.
fn may_have_crashed(world: &World, attempt: AttemptRef, record: &DirectionStatus) -> bool {
    let step = world.object().saga().steps.get(attempt.place);
    let work =
        step.and_then(|step| step.operation(attempt.direction)).map(|operation| &operation.work);
    let undone = attempt.direction == Direction::Compensation
        || (record.begun && step.is_some_and(|step| step.compensate_failed));
    matches!(work, Some(Work::Pod(_) | Work::Job(_))) && undone
}

/// Checks that a Pod that was never created costs no attempt before its time is over.
fn never_begun(
    world: &World,
    new: &SagaStatus,
    attempt: AttemptRef,
    record: &DirectionStatus,
    outcome: Option<Outcome>,
    violations: &mut Vec<Violation>,
) {
    let step = world.object().saga().steps.get(attempt.place);
    let Some((operation, active)) =
        step.and_then(|step| step.operation(attempt.direction)).zip(record.active.as_ref())
    else {
        return;
    };
    let pod = matches!(operation.work, Work::Pod(_) | Work::Job(_));
    let begun = world.executions.iter().any(|execution| execution.attempt == attempt);
    // The attempt ends at the earliest of its own time limit, the deadline of the budget and the
    // timeout of the saga. The latter two may be stopped. The time limits are measured by the clock
    // of the replica that judges.
    let now =
        new.clock_stopped_at.as_ref().map_or(clocks::latest_shown(world), |stopped| stopped.0);
    let past = |record: &DirectionStatus| {
        let deadline = operation.retry.deadline.zip(record.budget_started_at.as_ref());
        deadline.is_some_and(|(deadline, since)| between(since.0, now) >= deadline)
    };
    let settled = new.steps.get(attempt.place).and_then(|step| step.direction(attempt.direction));
    let over = between(active.started_at.0, clocks::latest_shown(world)) >= operation.timeout
        || past(record)
        || settled.is_some_and(past)
        || new.timed_out_at.is_some()
        || new.cancel_requested.is_some();
    let counts = pod && !begun && !over && outcome == Some(Outcome::Failed);
    must(violations, !counts, Property::Bounded, || {
        format!("{attempt} counts as failed, and nothing of it began")
    });
}

/// Returns whether the step only waits: nothing of it reaches the service.
fn waits(world: &World, attempt: AttemptRef) -> bool {
    let step = world.object().saga().steps.get(attempt.place);
    step.and_then(|step| step.operation(attempt.direction)).is_some_and(Operation::only_waits)
}
