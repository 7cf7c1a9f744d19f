//! The rules for every stored status.

use std::ops::Range;

use crate::{
    api::{Direction, Outcome, SagaPhase, SagaStatus, StepPhase, StepStatus},
    engine::planner::undo_set::{in_undo_set, is_in_effect, is_undone},
    model::{
        graph::{Graph, StepSet},
        saga::{ValidSaga, ValidStep},
    },
};

/// The range of a counter: integers that JSON carries exactly, with room to increase.
const COUNTS: Range<i64> = 0..1 << 52;

/// Returns sentences that say where the status contradicts itself; empty if nothing is wrong.
#[must_use]
pub fn check(saga: &ValidSaga, status: &SagaStatus) -> Vec<String> {
    let mut found = Vec::new();
    names(saga, status, &mut found);
    if found.is_empty() {
        for (valid, step) in saga.steps.iter().zip(&status.steps) {
            one_step(valid, step, &mut found);
        }
        sequences(status, &mut found);
        order(saga, status, &mut found);
        undo_order(saga, status, &mut found);
        requests(status, &mut found);
        phases(status, &mut found);
        ends(saga, status, &mut found);
    }
    found
}

fn names(saga: &ValidSaga, status: &SagaStatus, found: &mut Vec<String>) {
    if status.steps.is_empty() {
        if status.spec_hash.is_some() || !matches!(status.phase, None | Some(SagaPhase::Pending)) {
            found.push("status.steps is empty although the saga was accepted".into());
        }
        return;
    }
    let written: Vec<_> = status.steps.iter().map(|step| step.name.as_str()).collect();
    let valid: Vec<_> = saga.steps.iter().map(|step| step.name.as_str()).collect();
    if written != valid {
        found.push("status.steps does not list the steps of the spec in their order".into());
    }
}

fn one_step(valid: &ValidStep, step: &StepStatus, found: &mut Vec<String>) {
    let StepStatus { name, phase, action, .. } = step;
    let active =
        |direction| step.direction(direction).is_some_and(|record| record.active.is_some());
    let failing = matches!(phase, StepPhase::Retrying | StepPhase::Failed);
    let mut must = |holds: bool, what: &str| {
        if !holds {
            found.push(format!("step {name} is {} {what}", phase.as_str()));
        }
    };
    let under_way = matches!(phase, StepPhase::Running | StepPhase::Waiting);
    must(!active(Direction::Action) || under_way, "and has an active attempt of its action");
    must(
        !active(Direction::Compensation) || *phase == StepPhase::Compensating,
        "and has an active attempt of its compensation",
    );
    must(!under_way || active(Direction::Action), "without an active attempt");
    let waits = *phase == StepPhase::Waiting;
    must(
        !under_way || waits == valid.action.only_waits(),
        "although its action is of another kind",
    );
    let may_be_new = matches!(phase, StepPhase::Pending | StepPhase::Skipped | StepPhase::Failed);
    must(may_be_new || action.is_some(), "without any attempt of its action");
    // If the saga turned back, a step that only waited is Pending again.
    must(
        *phase != StepPhase::Pending || action.is_none() || valid.action.only_waits(),
        "although an attempt of its action was made",
    );
    must(
        !(failing || *phase == StepPhase::Skipped) || !succeeded(step, Direction::Action),
        "although its action succeeded",
    );
    undo_fits(valid, step, &mut must);
    counts_fit(step, &mut must);
}

/// A function that takes whether a rule holds, and the text to report if it does not.
type Must<'m> = dyn FnMut(bool, &str) + 'm;

fn succeeded(step: &StepStatus, direction: Direction) -> bool {
    step.direction(direction).and_then(|record| record.last_outcome) == Some(Outcome::Succeeded)
}

/// Checks that the phase fits the record of the compensation.
fn undo_fits(valid: &ValidStep, step: &StepStatus, must: &mut Must<'_>) {
    let StepStatus { phase, compensation, .. } = step;
    let undoing = phase.is_backward();
    must(!undoing || valid.compensation.is_some(), "although it has no compensation");
    must(
        !undoing || in_undo_set(valid, step) && began(valid, step),
        "although it did nothing that could be undone",
    );
    must(undoing || compensation.is_none(), "although an attempt of its compensation was made");
    must(
        *phase == StepPhase::Compensated || !succeeded(step, Direction::Compensation),
        "although its compensation succeeded",
    );
    must(
        *phase != StepPhase::Completed || succeeded(step, Direction::Action),
        "although its action did not succeed",
    );
    must(
        *phase != StepPhase::Compensated || succeeded(step, Direction::Compensation),
        "although its compensation did not succeed",
    );
}

/// Checks that a saga can reach the counts of attempts.
fn counts_fit(step: &StepStatus, must: &mut Must<'_>) {
    let StepStatus { action, compensation, .. } = step;
    let keys = step.keys_from.clone().unwrap_or_default();
    for (record, from) in [(action, keys.action), (compensation, keys.compensation)] {
        let Some(record) = record else { continue };
        let counts = [
            record.attempt,
            record.budget_used,
            record.failures,
            record.disruptions,
            record.called_off,
            from,
        ];
        must(
            counts.iter().all(|count| COUNTS.contains(count)),
            "with a count that no saga reaches",
        );
        let settled = record.attempt.saturating_sub(record.active.is_some().into());
        must(
            record.budget_used <= record.attempt && record.failures <= settled.saturating_add(from),
            "with more attempts counted than made",
        );
        must(
            record.attempt > 0 || record.active.is_none(),
            "with an active attempt that has no number",
        );
    }
}

/// Returns whether the action of a step that is being undone was done, may have been done, or may
/// have done half its work.
fn began(valid: &ValidStep, step: &StepStatus) -> bool {
    step.action.as_ref().is_some_and(|action| {
        action.last_outcome == Some(Outcome::Succeeded)
            || action.uncertain
            || (valid.compensate_failed && action.begun)
    })
}

/// Checks that the counter is not lower than any recorded sequence. Otherwise the next attempt to
/// settle would not count as the last.
fn sequences(status: &SagaStatus, found: &mut Vec<String>) {
    let settled = status.settled.unwrap_or_default();
    if !COUNTS.contains(&settled) {
        found.push("settled is a count that no saga reaches".into());
    }
    for step in &status.steps {
        let records = [&step.action, &step.compensation].into_iter().flatten();
        if records.filter_map(|record| record.sequence).any(|sequence| sequence > settled) {
            found.push(format!("settled is lower than the sequence of step {}", step.name));
        }
    }
}

/// Checks that the numbers of requests increase. If a number were used twice, one request would be
/// taken for another.
fn requests(status: &SagaStatus, found: &mut Vec<String>) {
    let numbers: Vec<_> = status.requests.iter().map(|record| record.number).collect();
    if !numbers.is_sorted_by(|one, next| one < next)
        || numbers.iter().any(|number| !COUNTS.contains(number))
    {
        found.push("the numbers of status.requests do not go up one after the other".into());
    }
    if !COUNTS.contains(&status.retry_requests) {
        found.push("retryRequests is a count that no saga reaches".into());
    }
}

fn order(saga: &ValidSaga, status: &SagaStatus, found: &mut Vec<String>) {
    let graph = Graph::new(&saga.steps);
    let done = |step: &StepStatus| match step.phase {
        StepPhase::Completed | StepPhase::Skipped => true,
        // Later phases of a step that was done. If the step failed and is undone, none of its
        // dependants had started.
        StepPhase::Compensating
        | StepPhase::Compensated
        | StepPhase::CompensationFailed
        | StepPhase::CompensationSkipped => {
            step.action.as_ref().and_then(|action| action.last_outcome) == Some(Outcome::Succeeded)
        }
        StepPhase::Pending
        | StepPhase::Running
        | StepPhase::Retrying
        | StepPhase::Waiting
        | StepPhase::Failed => false,
    };
    let places = |filter: &dyn Fn(&StepStatus) -> bool| {
        StepSet::of(
            status
                .steps
                .iter()
                .enumerate()
                .filter(|(_, step)| filter(step))
                .map(|(place, _)| place),
        )
    };
    let done = places(&done);
    for (place, step) in status.steps.iter().enumerate() {
        // A failed step may be retried, so it counts as started.
        let begun = step.action.is_some() || step.phase == StepPhase::Failed;
        if begun && !graph.depends_on(place).is_subset(done) {
            found.push(format!(
                "step {} was started although not all it depends on is done",
                step.name
            ));
        }
    }
}

/// Checks that the undo of a step begins only when all its dependants are undone, or were left in
/// effect by request.
fn undo_order(saga: &ValidSaga, status: &SagaStatus, found: &mut Vec<String>) {
    let graph = Graph::new(&saga.steps);
    let steps = || saga.steps.iter().zip(&status.steps).enumerate();
    let open =
        steps().filter(|(_, (valid, step))| in_undo_set(valid, step) && !is_undone(valid, step));
    let open = StepSet::of(open.map(|(place, _)| place));
    for (place, (_, step)) in steps().filter(|(_, (_, step))| step.compensation.is_some()) {
        if !graph.dependants(place).and(open).is_empty() {
            found.push(format!("step {} is undone before what depends on it", step.name));
        }
    }
}

/// Checks that the end is true: everything that can be undone is undone, and all steps in effect
/// are named.
fn ends(saga: &ValidSaga, status: &SagaStatus, found: &mut Vec<String>) {
    let steps = || saga.steps.iter().zip(&status.steps);
    let named = status.still_in_effect.as_deref().unwrap_or_default();
    if status.phase == Some(SagaPhase::Compensated)
        && !steps().all(|(valid, step)| !in_undo_set(valid, step) || is_undone(valid, step))
    {
        found.push("the saga is Compensated although not all is undone that can be".into());
    }
    let in_effect = |valid: &ValidStep, step: &StepStatus| match status.phase {
        Some(SagaPhase::Completed) => {
            step.phase == StepPhase::Skipped
                && step.action.as_ref().is_some_and(|action| action.uncertain)
        }
        Some(SagaPhase::Compensated | SagaPhase::CompensationFailed | SagaPhase::Cancelled) => {
            is_in_effect(valid, step)
        }
        Some(
            SagaPhase::Pending
            | SagaPhase::Running
            | SagaPhase::Paused
            | SagaPhase::Failed
            | SagaPhase::Compensating,
        )
        | None => false,
    };
    for (_, step) in
        steps().filter(|(valid, step)| in_effect(valid, step) && !named.contains(&step.name))
    {
        found.push(format!("step {} is in effect and stillInEffect does not name it", step.name));
    }
    let cancelled = status.cancel_requested.is_some();
    if cancelled && matches!(status.phase, Some(SagaPhase::Completed | SagaPhase::Compensated)) {
        found.push("the saga ended otherwise although it was to be cancelled".into());
    }
}

fn phases(status: &SagaStatus, found: &mut Vec<String>) {
    let any =
        |filter: &dyn Fn(StepPhase) -> bool| status.steps.iter().any(|step| filter(step.phase));
    let active = any(&|phase| matches!(phase, StepPhase::Running | StepPhase::Compensating));
    match status.phase {
        None | Some(SagaPhase::Pending) if any(&|phase| phase != StepPhase::Pending) => {
            found.push("steps have begun although the saga has not".into());
        }
        Some(SagaPhase::Completed)
            if status.steps.is_empty() || !status.steps.iter().all(|step| step.phase.is_done()) =>
        {
            found.push("the saga is Completed although not every step is done".into());
        }
        Some(SagaPhase::Completed) if status.compensation_requested.is_some() => {
            found.push("the saga is Completed although it was to be undone".into());
        }
        Some(SagaPhase::Cancelled)
            if active
                || any(&|phase| matches!(phase, StepPhase::Waiting | StepPhase::Retrying)) =>
        {
            found.push("the saga is Cancelled although a step is active or waits".into());
        }
        Some(SagaPhase::Cancelled) if status.cancel_requested.is_none() => {
            found.push("the saga is Cancelled although no request asked for it".into());
        }
        Some(SagaPhase::Compensated)
            if active || any(&|phase| phase == StepPhase::CompensationFailed) =>
        {
            found.push(
                "the saga is Compensated although a step is active or could not be undone".into(),
            );
        }
        Some(SagaPhase::Running | SagaPhase::Paused | SagaPhase::Failed)
            if any(&StepPhase::is_backward) =>
        {
            found.push("a step is being undone although the saga goes forward".into());
        }
        Some(SagaPhase::Compensating | SagaPhase::CompensationFailed)
            if any(&|phase| matches!(phase, StepPhase::Running | StepPhase::Waiting)) =>
        {
            found.push("a step runs although the saga is being undone".into());
        }
        Some(_) | None => {}
    }
    if status.spec_hash.is_none() && any(&|phase| phase != StepPhase::Pending) {
        found.push("steps have begun although no specHash was pinned".into());
    }
}
