//! What a run has to be like, whatever went wrong in it.

use std::collections::HashSet;

use saga_operator::api::{Direction, DirectionStatus, Outcome, RequestResult, Saga};

use crate::{
    crash,
    fault::{Counter, Fault, Traced},
    plan::{Plan, Story},
    shop::Kind,
    stand::{Stand, outcomes, scope, step},
    story::{Run, records},
};

/// What a run without a fault costs.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The calls made for the saga, in their order.
    pub calls: Vec<String>,
    pub writes: usize,
    pub pods: usize,
    pub attempts: i64,
}

impl Reference {
    pub fn of(run: &Run) -> Self {
        let calls = run.calls.iter().flatten().filter(|call| call.counter == Counter::Call).map(|call| call.class.clone()).collect();
        Self { calls, writes: writes(&run.history), pods: run.pods, attempts: attempts(&run.saga) }
    }
}

/// Status writes that took place, but for those that note the UID of a Pod that lives long.
pub fn writes(history: &[Saga]) -> usize {
    let mut noted = HashSet::new();
    let mut count = 0;
    for pair in history.windows(2) {
        let [before, after] = pair else { continue };
        let new: Vec<_> = children(after).filter(|child| noted.insert(child.clone())).collect();
        if before.status != after.status && new.is_empty() {
            count += 1;
        }
    }
    count
}

fn directions(saga: &Saga) -> impl Iterator<Item = &DirectionStatus> {
    let steps = saga.status.iter().flat_map(|status| &status.steps);
    steps.flat_map(|step| [Direction::Action, Direction::Compensation].map(|direction| step.direction(direction))).flatten()
}

fn children(saga: &Saga) -> impl Iterator<Item = String> {
    directions(saga).filter_map(|record| record.active.as_ref()?.child_uid.clone())
}

/// How many attempts there were, in both directions.
fn attempts(saga: &Saga) -> i64 {
    directions(saga).map(|record| record.attempt).sum()
}

/// Judges a run.
///
/// # Errors
/// What is wrong, in one line.
pub fn judge(stand: &Stand, plan: &Plan, run: &Run, reference: &Reference) -> Result<(), String> {
    // Panics, as the other tests do: the one who called reports it.
    crash::judge(stand, &run.saga, plan.story == Story::Failing);
    let entries = stand.shop.entries(Some(&scope(&run.saga)));
    check(entries.iter().all(|entry| entry.kind != Kind::NothingToUndo), || "something was undone twice".into())?;
    let Some(strike) = plan.strike else { return Ok(()) };
    let struck = run.calls.iter().flatten().find(|call| call.struck.is_some()).map(|call| call.class.clone()).unwrap_or_default();
    let wrote = writes(&run.history).checked_sub(reference.writes);
    // Each may lose an attempt, which costs two writes: that it is unknown, and the next one.
    let lost = usize::from(strike.fault.crashes() || strike.fault == Fault::TakeOver) + lapses(run);
    let allowed = 2 * lost + shown(strike.fault, &struck);
    check(wrote.is_some_and(|more| more <= allowed), || {
        format!("{} status writes instead of {} and at most {allowed} more", writes(&run.history), reference.writes)
    })?;
    check(run.pods == reference.pods, || format!("{} Pods instead of {}", run.pods, reference.pods))?;
    let repeated = usize::try_from(attempts(&run.saga) - reference.attempts);
    check(repeated.is_ok_and(|more| more <= lost), || {
        format!("{} attempts instead of {}, where at most {lost} can have been lost", attempts(&run.saga), reference.attempts)
    })?;
    if strike.fault == Fault::Stale {
        nothing_was_decided_from_an_old_copy(run, reference)?;
    }
    if plan.story == Story::Held { each_asking_was_acted_on_once(&run.saga) } else { Ok(()) }
}

/// How often an operator's Lease lapsed, as it does where the process or the API server stands still for too long: it then made another.
fn lapses(run: &Run) -> usize {
    let leases = |calls: &Vec<Traced>| calls.iter().filter(|call| call.counter == Counter::LeaseCreation && call.committed()).count();
    run.calls.iter().map(|calls| leases(calls).saturating_sub(1)).sum()
}

/// How many status writes more show what is going on: a Pod that is refused for now is shown, and that it no longer is.
fn shown(fault: Fault, class: &str) -> usize {
    if matches!(fault, Fault::Conflict | Fault::TooMany) && class == "POST pods" { 2 } else { 0 }
}

/// A refused write, or a write more, would have come from one.
fn nothing_was_decided_from_an_old_copy(run: &Run, reference: &Reference) -> Result<(), String> {
    let calls: Vec<&Traced> = run.calls.iter().flatten().filter(|call| call.counter == Counter::Call).collect();
    let refused = calls.iter().filter(|call| call.status == Some(409)).count();
    check(refused == 0, || format!("{refused} writes were refused"))?;
    let wrote = calls.iter().filter(|call| !call.class.starts_with("GET ")).count();
    let expected = reference.calls.len() + 2 * lapses(run);
    check(wrote <= expected, || format!("{wrote} writes of all kinds instead of {expected}"))
}

fn each_asking_was_acted_on_once(saga: &Saga) -> Result<(), String> {
    let answers: Vec<_> = records(saga).iter().map(|record| (record.number, record.result)).collect();
    check(answers == [(1, RequestResult::Accepted), (2, RequestResult::Accepted)], || format!("the requests were answered {answers:?}"))?;
    let outcomes = outcomes(saga, "charge-card");
    let refused = outcomes.iter().filter(|outcome| **outcome == Outcome::Failed).count();
    check(refused == 2 && step(saga, "charge-card").action.is_some(), || format!("the card was tried with the outcomes {outcomes:?}"))
}

fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
