//! What must hold of an attempt whose intent is written.

use super::{ends::past_pivot, must::must};
use crate::{
    api::{Direction, DirectionStatus, Outcome, SagaStatus, StepPhase, StepStatus},
    engine::attempt::settle::FREE_CALLED_OFF,
    model::saga::{ValidSaga, ValidStep},
    world::{
        clocks, query,
        state::{
            attempt::AttemptRef,
            execution::Execution,
            object::SagaObject,
            property::{Property, Violation},
            world::World,
        },
    },
};

/// Checks an intent that the newest write added.
pub(super) fn intent(
    world: &World,
    before: &SagaObject,
    attempt: AttemptRef,
    record: &DirectionStatus,
    violations: &mut Vec<Violation>,
) {
    let (object, old, new) = (world.object(), before.status(), world.status());
    let saga = object.saga();
    let (Some(step), Some(status)) = (saga.steps.get(attempt.place), new.steps.get(attempt.place))
    else {
        return;
    };
    let earlier = old
        .steps
        .get(attempt.place)
        .and_then(|step| step.direction(attempt.direction))
        .map_or(0, |record| record.attempt);
    must(violations, attempt.number == earlier + 1, Property::Monotone, || {
        format!("{attempt} begins after attempt {earlier}")
    });
    must(
        violations,
        !(before.saga().suspend || new.paused.is_some()) || before.deleting,
        Property::StartsNothing,
        || format!("{attempt} begins although the saga is paused"),
    );
    if let Some(operation) = step.operation(attempt.direction) {
        let most = i64::from(operation.retry.max_attempts);
        must(violations, record.budget_used <= most, Property::Bounded, || {
            format!("{attempt} is attempt {} of {most}", record.budget_used)
        });
        // In each earlier budget, at most `FREE_CALLED_OFF` attempts were free of charge.
        let called_off =
            record.called_off.saturating_add(new.retry_requests.saturating_mul(FREE_CALLED_OFF));
        let free = i64::from(old.steps.get(attempt.place).is_some())
            * record.disruptions.saturating_add(called_off);
        let all = most.saturating_mul(new.retry_requests.saturating_add(1)).saturating_add(free);
        must(violations, attempt.number <= all, Property::Bounded, || {
            format!("{attempt} begins, and the policy allows {all} in all")
        });
    }
    // An instant for which an attempt of the other direction waited does not limit this attempt.
    let waits = old
        .steps
        .get(attempt.place)
        .filter(|step| step.phase.is_backward() == (attempt.direction == Direction::Compensation));
    // A replica waits long enough by its own clock. That clock may be ahead of the clock by which
    // the instant was written.
    let due = waits
        .and_then(|step| step.next_attempt_at.as_ref())
        .is_none_or(|next| next.0 <= clocks::latest_shown(world));
    must(violations, due || new.retry_requests > old.retry_requests, Property::Bounded, || {
        format!("{attempt} begins before its time")
    });
    match attempt.direction {
        Direction::Action => {
            forward(before, new, attempt, step, status.retry_requested, violations);
        }
        Direction::Compensation => backward(world, saga, old, new, attempt, violations),
    }
}

fn forward(
    before: &SagaObject,
    new: &SagaStatus,
    attempt: AttemptRef,
    step: &ValidStep,
    asked: bool,
    violations: &mut Vec<Violation>,
) {
    let done = |place: &usize| new.steps.get(*place).is_some_and(|step| step.phase.is_done());
    must(violations, step.depends_on.iter().all(done), Property::DependencyOrder, || {
        format!("{attempt} begins before what it depends on is done")
    });
    let back = new.steps.iter().any(|step| step.compensation.is_some())
        || new.compensation_requested.is_some()
        || new.cancel_requested.is_some()
        || before.deleting;
    must(violations, !back, Property::NoForwardAfterUndo, || {
        format!("{attempt} begins although the saga goes back")
    });
    let failed = new.steps.iter().any(|step| step.phase == StepPhase::Failed);
    must(violations, !failed || asked, Property::StartsNothing, || {
        format!("{attempt} begins although a step failed")
    });
}

fn backward(
    world: &World,
    saga: &ValidSaga,
    old: &SagaStatus,
    new: &SagaStatus,
    attempt: AttemptRef,
    violations: &mut Vec<Violation>,
) {
    let dependants = dependants(saga, attempt.place);
    let settled = !is_unsettled(world, new, attempt.place)
        && !dependants.iter().any(|place| is_unsettled(world, new, *place));
    must(violations, settled, Property::SettledFirst, || {
        format!("{attempt} begins before all has settled")
    });
    for place in &dependants {
        let waits = stays(world, saga, new, *place);
        must(violations, !waits, Property::ReverseOrder, || {
            format!("{attempt} begins although step {place} depends on it and is in effect")
        });
    }
    no_return(world, saga, old, new, attempt, violations);
    right_set(world, saga, old, new, attempt, violations);
    if attempt.number == 1 {
        latest_first(world, saga, new, attempt, violations);
    }
}

/// Returns whether the action of a step is under way, by the status or in truth.
fn is_unsettled(world: &World, new: &SagaStatus, place: usize) -> bool {
    let active = new
        .steps
        .get(place)
        .and_then(|step| step.action.as_ref())
        .is_some_and(|action| action.active.is_some());
    let runs = |execution: &Execution| {
        execution.attempt.place == place && execution.attempt.direction == Direction::Action
    };
    // The deletion of an object cannot be stopped, so it does not count as under way.
    active
        || world.executions.iter().any(|execution| {
            runs(execution)
                && execution.runs()
                && execution.exists()
                && !execution.again
                && !query::deletes(world, execution.attempt)
        })
}

/// Checks that nothing is undone after the pivot is passed or may be passed, or after the saga is
/// cancelled.
fn no_return(
    world: &World,
    saga: &ValidSaga,
    old: &SagaStatus,
    new: &SagaStatus,
    attempt: AttemptRef,
    violations: &mut Vec<Violation>,
) {
    // If this write records a definite failure of the pivot, the pivot is not passed.
    let no = |action: &DirectionStatus| {
        action.last_outcome == Some(Outcome::Failed) && !action.uncertain
    };
    let refused = |step: &StepStatus| {
        step.phase != StepPhase::Skipped && step.action.as_ref().is_some_and(no)
    };
    let steps = saga.steps.iter().zip(&old.steps).zip(&new.steps);
    let passed = steps.into_iter().any(|((step, was), is)| past_pivot(step, was) && !refused(is));
    must(violations, !passed, Property::NoReturn, || {
        format!("{attempt} begins although the pivot is passed, or may be")
    });
    // Whatever the status says: the action of the pivot did its work, or may still do it.
    let acted = |place: usize| {
        let done = world.truth().get(place).is_some_and(|truth| truth.done_under.is_some());
        done || world.executions.iter().any(|execution| {
            execution.attempt.place == place
                && execution.attempt.direction == Direction::Action
                && execution.runs()
        })
    };
    let of_pivot = |(place, step): (usize, &ValidStep)| {
        step.pivot && !step.compensate_failed && !step.leaves_nothing() && acted(place)
    };
    let secret = saga.steps.iter().enumerate().any(of_pivot);
    must(violations, !secret, Property::NoReturn, || {
        format!("{attempt} begins although the pivot was passed, or may yet be")
    });
    must(violations, new.cancel_requested.is_none(), Property::NoReturn, || {
        format!("{attempt} begins although the saga is cancelled")
    });
}

/// Checks that only a step that may have started is undone, and never a skipped step.
fn right_set(
    world: &World,
    saga: &ValidSaga,
    old: &SagaStatus,
    new: &SagaStatus,
    attempt: AttemptRef,
    violations: &mut Vec<Violation>,
) {
    let action = new.steps.get(attempt.place).and_then(|step| step.action.as_ref());
    let started = action.is_some_and(|action| action.uncertain)
        || world.truth().get(attempt.place).is_some_and(|truth| truth.begun > 0)
        || waited(saga, new, attempt.place);
    must(violations, started, Property::RightSet, || {
        format!("{attempt} undoes what never started")
    });
    let skipped = old.steps.get(attempt.place).is_some_and(|step| {
        matches!(step.phase, StepPhase::Skipped | StepPhase::CompensationSkipped)
    });
    must(violations, !skipped, Property::RightSet, || format!("{attempt} undoes what was skipped"));
}

/// Returns whether a step that only waits is done. Nothing of such a step reaches the service, so
/// the status is the only evidence. The undo set holds every step that is done.
fn waited(saga: &ValidSaga, status: &SagaStatus, place: usize) -> bool {
    let only_waits = saga.steps.get(place).is_some_and(|step| step.action.only_waits());
    let action = status.steps.get(place).and_then(|step| step.action.as_ref());
    only_waits && action.is_some_and(|action| action.last_outcome == Some(Outcome::Succeeded))
}

/// Returns whether a step is in effect and still has to be undone.
fn stays(world: &World, saga: &ValidSaga, status: &SagaStatus, place: usize) -> bool {
    let in_effect = world
        .truth()
        .get(place)
        .is_some_and(|truth| truth.in_effect || (waited(saga, status, place) && !truth.undone));
    let can = saga.steps.get(place).is_some_and(|step| step.compensation.is_some());
    let waived = status.steps.get(place).is_some_and(|step| {
        matches!(step.phase, StepPhase::Skipped | StepPhase::CompensationSkipped)
    });
    in_effect && can && !waived
}

/// Checks that no done step that is free to be undone settled later than the step that is undone
/// now.
fn latest_first(
    world: &World,
    saga: &ValidSaga,
    new: &SagaStatus,
    attempt: AttemptRef,
    violations: &mut Vec<Violation>,
) {
    let sequence =
        |place: usize| new.steps.get(place).and_then(|step| step.action.as_ref()?.sequence);
    let phase = |place: usize| new.steps.get(place).map(|step| step.phase);
    for other in (0..saga.steps.len()).filter(|other| phase(*other) == Some(StepPhase::Completed)) {
        let can = saga.steps.get(other).is_some_and(|step| step.compensation.is_some());
        let under_way = |place: usize| {
            matches!(
                phase(place),
                Some(StepPhase::Compensating | StepPhase::CompensationFailed | StepPhase::Failed)
            )
        };
        let free = can
            && dependants(saga, other)
                .into_iter()
                .all(|place| !stays(world, saga, new, place) && !under_way(place));
        let later = sequence(other) > sequence(attempt.place);
        must(violations, !(free && later), Property::ReverseOrder, || {
            format!("{attempt} begins although step {other} settled later and is free")
        });
    }
}

/// Returns the steps that depend on a step, directly or through other steps. A step depends only on
/// earlier steps, so one pass over the list finds all dependants.
fn dependants(saga: &ValidSaga, place: usize) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::new();
    for (later, step) in saga.steps.iter().enumerate() {
        if step.depends_on.iter().any(|needed| *needed == place || found.contains(needed)) {
            found.push(later);
        }
    }
    found
}
