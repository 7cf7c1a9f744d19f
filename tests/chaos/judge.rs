//! The judge: the conditions that every run must meet, independent of the fault.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use kube::ResourceExt as _;
use saga_operator::api::{
    Direction, DirectionStatus, Outcome, RequestResult, Saga, SagaPhase, StepPhase,
};

use crate::{
    fault::{Counter, Fault, Traced},
    plan::{Place, Plan},
    run::{Run, handled},
    shop::{Entry, Kind},
    stand::{records, scope},
    stories::{Scene, Seen, check},
};

/// The costs of a run without a fault.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The calls, in their order.
    pub calls: Vec<Place>,
    pub writes: usize,
    pub hands: usize,
    pub attempts: usize,
    /// Whether the run shows the normal costs. If true, no Lease lapsed, and no write met another
    /// write. A Lease lapses if the machine stands still for some time.
    pub clean: bool,
}

impl Reference {
    pub fn of(run: &Run) -> Self {
        let place = |call: &Traced| Place {
            counter: call.counter,
            nth: call.nth,
            class: call.class.clone(),
        };
        let calls: Vec<_> = run.calls.iter().take(1).flatten().map(place).collect();
        let met = run
            .calls
            .iter()
            .flatten()
            .any(|call| call.counter == Counter::Call && call.status == Some(409));
        let clean = !met && lapses(run) == 0;
        Self {
            calls,
            writes: writes(&run.history),
            hands: run.hands,
            attempts: attempts_of(run),
            clean,
        }
    }

    /// Returns the writes for the saga.
    pub fn made(&self) -> impl Iterator<Item = &str> {
        self.calls
            .iter()
            .filter(|call| call.counter == Counter::Call)
            .map(|call| call.class.as_str())
    }
}

/// Judges a run.
///
/// # Errors
/// Returns the first error, in one line.
pub fn judge(
    scene: &Scene<'_>,
    plan: &Plan,
    run: &Run,
    reference: &Reference,
) -> Result<(), String> {
    let costs = plan.story.costs;
    let crashed =
        plan.strike.is_some_and(|strike| strike.fault.crashes() || strike.fault == Fault::TakeOver);
    let lost = (usize::from(crashed) + lapses(run)) * costs.at_once;
    let seen = Seen { scene, run };
    ledger(&seen, plan)?;
    what_is_in_effect_is_named(&seen)?;
    each_request_is_answered_once(&run.saga, plan)?;
    (plan.story.judge)(&seen)?;
    if let Some(strike) = plan.strike {
        nothing_more_than_needed(run, plan, reference, lost)?;
        if strike.fault == Fault::Stale {
            nothing_was_decided_from_an_old_copy(run, plan, reference)?;
        }
    }
    Ok(())
}

/// Checks that every expected step was done or undone, once, in order. A call may be repeated only
/// after an Unknown outcome, with the same key.
fn ledger(seen: &Seen<'_>, plan: &Plan) -> Result<(), String> {
    let shop = &seen.scene.stand.shop;
    let entries = shop.entries(None);
    for saga in &seen.run.sagas {
        let summary = shop.summary(&scope(saga));
        check(summary.done_twice.is_empty() && summary.faults.is_empty(), || {
            format!("{summary:?}")
        })?;
    }
    let of = |kind: Kind| {
        entries.iter().filter(move |entry| entry.kind == kind).map(|entry| entry.step.as_str())
    };
    let (mut done, undone): (Vec<_>, Vec<_>) =
        (of(Kind::Done).collect(), of(Kind::Undone).collect());
    if plan.story.costs.at_once > 1 {
        done.sort_unstable();
    }
    check((done.as_slice(), undone.as_slice()) == (plan.story.done, plan.story.undone), || {
        format!(
            "the shop did {done:?} and undid {undone:?} instead of {:?} and {:?}",
            plan.story.done, plan.story.undone
        )
    })?;
    let twice: Vec<_> = of(Kind::NothingToUndo).filter(|step| undone.contains(step)).collect();
    check(twice.is_empty(), || format!("{twice:?} was undone twice"))?;
    let mut calls: BTreeMap<(String, bool), Vec<&Entry>> = BTreeMap::new();
    for entry in &entries {
        calls
            .entry((entry.step.clone(), entry.direction == Direction::Compensation))
            .or_default()
            .push(entry);
    }
    for ((step, undo), entries) in calls {
        let direction = if undo { Direction::Compensation } else { Direction::Action };
        let repeats = entries.iter().filter(|entry| entry.kind == Kind::Repeat).count();
        let unknown = unknowns(&seen.run.sagas, &step, direction);
        check(repeats <= unknown, || {
            format!(
                "{step} was called {} times with {unknown} unknown outcomes: {entries:?}",
                entries.len()
            )
        })?;
    }
    Ok(())
}

/// Returns the number of attempts of a step that ended Unknown.
fn unknowns(sagas: &[Saga], step: &str, direction: Direction) -> usize {
    let steps = sagas
        .iter()
        .filter_map(|saga| saga.status.as_ref())
        .flat_map(|status| &status.steps)
        .filter(|status| status.name == step);
    let attempts =
        steps.filter_map(|status| status.direction(direction)).flat_map(|record| &record.attempts);
    attempts.filter(|attempt| attempt.outcome == Outcome::Unknown).count()
}

/// Checks the steps that the saga reports as still in effect. The list must name every step that
/// the shop did and did not undo. Apart from these steps, it may only name steps whose state is
/// uncertain.
fn what_is_in_effect_is_named(seen: &Seen<'_>) -> Result<(), String> {
    for saga in &seen.run.sagas {
        let status = saga.status.clone().unwrap_or_default();
        let named: BTreeSet<_> = status.still_in_effect.unwrap_or_default().into_iter().collect();
        let stands = seen.scene.stand.shop.summary(&scope(saga)).in_effect;
        let completed = status.phase == Some(SagaPhase::Completed);
        let phase = |name: &String| {
            status.steps.iter().find(|step| step.name == *name).map(|step| step.phase)
        };
        // The completed steps of a completed saga are not reported, because they are its purpose.
        let silent: Vec<_> = stands
            .difference(&named)
            .filter(|name| !completed || phase(name) != Some(StepPhase::Completed))
            .collect();
        check(silent.is_empty(), || {
            format!("{silent:?} is in effect, which the saga does not say")
        })?;
        let may_stand = |name: &&String| {
            let asks_the_shop = seen
                .scene
                .stand
                .shop
                .entries(Some(&scope(saga)))
                .iter()
                .any(|entry| entry.step == **name);
            !asks_the_shop
                || stands.contains(*name)
                || unknowns(std::slice::from_ref(saga), name, Direction::Action) > 0
        };
        let invented: Vec<_> = named.iter().filter(|name| !may_stand(name)).collect();
        check(invented.is_empty(), || {
            format!("the saga says that {invented:?} is in effect, which it cannot be")
        })?;
    }
    Ok(())
}

fn each_request_is_answered_once(saga: &Saga, plan: &Plan) -> Result<(), String> {
    let answers: Vec<_> =
        records(saga).iter().map(|record| (record.number, record.action)).collect();
    let expected: Vec<_> = (1..).zip(plan.story.asks.iter().copied()).collect();
    check(answers == expected && handled(saga) == expected.len(), || {
        format!("the requests were answered {:?}", records(saga))
    })?;
    let left: Vec<_> = plan
        .story
        .asks
        .iter()
        .filter(|action| saga.annotations().contains_key(action.annotation()))
        .collect();
    check(left.is_empty(), || format!("{left:?} were answered and are still asked"))?;
    let refused =
        records(saga).iter().filter(|record| record.result != RequestResult::Accepted).count();
    check(refused <= plan.story.costs.late, || {
        format!("requests were refused: {:?}", records(saga))
    })
}

/// Checks that there are no more status writes, Pods, Jobs and attempts than the lost attempts
/// explain.
fn nothing_more_than_needed(
    run: &Run,
    plan: &Plan,
    reference: &Reference,
    lost: usize,
) -> Result<(), String> {
    let costs = plan.story.costs;
    let struck = run.calls.iter().flatten().find(|call| call.struck.is_some());
    let more_attempts = lost * costs.per_loss + costs.spare;
    // Each lost attempt may cost two writes: one for the Unknown outcome and one for the next
    // attempt.
    let more = 2 * more_attempts
        + costs.blur
        + plan.strike.zip(struck).map_or(0, |(strike, call)| shown(strike.fault, call));
    let wrote = writes(&run.history);
    check(
        (reference.writes.saturating_sub(costs.blur)..=reference.writes + more).contains(&wrote),
        || format!("{wrote} status writes instead of {} and at most {more} more", reference.writes),
    )?;
    check(run.hands == reference.hands, || {
        format!("{} Pods and Jobs instead of {}", run.hands, reference.hands)
    })?;
    let tried = attempts_of(run);
    check(
        (reference.attempts.saturating_sub(costs.spare)..=reference.attempts + more_attempts)
            .contains(&tried),
        || {
            format!(
                "{tried} attempts instead of {} and at most {more_attempts} more",
                reference.attempts
            )
        },
    )
}

/// Returns the number of additional status writes that report temporary refusals. The first write
/// reports that a child or an object is refused for now. The second write reports that the refusal
/// is over.
fn shown(fault: Fault, call: &Traced) -> usize {
    let makes = ["POST pods", "POST jobs", "POST sagas", "PATCH configmaps", "DELETE configmaps"]
        .contains(&call.class.as_str());
    let passes = fault.refusal().is_some()
        || matches!(fault, Fault::Reset | Fault::ResetAfterCommit | Fault::TimeoutAfterCommit);
    if makes && passes { 2 } else { 0 }
}

/// Checks that the operator decided nothing from an old copy. Such a decision would cause an
/// additional write, or a refused write without an earlier write of another client.
fn nothing_was_decided_from_an_old_copy(
    run: &Run,
    plan: &Plan,
    reference: &Reference,
) -> Result<(), String> {
    let calls: Vec<&Traced> =
        run.calls.iter().flatten().filter(|call| call.counter == Counter::Call).collect();
    let refused = calls.iter().filter(|call| call.status == Some(409)).count();
    let met = plan.story.asks.len() + plan.story.costs.met;
    check(refused <= met, || {
        format!("{refused} writes were refused, and others wrote {met} times")
    })?;
    let expected = reference.made().count() + 2 * lapses(run) + refused + plan.story.costs.blur;
    check(calls.len() <= expected, || {
        let line = |call: &&Traced| {
            format!(
                "{} {}",
                call.class,
                call.status.map_or("unanswered".to_owned(), |status| status.to_string())
            )
        };
        let (made, usual) =
            (calls.iter().map(line).collect::<Vec<_>>(), reference.made().collect::<Vec<_>>());
        format!(
            "{} writes of all kinds instead of {expected}: {}; without a fault: {}",
            calls.len(),
            made.join(", "),
            usual.join(", ")
        )
    })
}

/// Returns how often the Lease of an operator lapsed. A Lease lapses if the process or the API
/// server stands still for too long. The operator then creates another Lease.
fn lapses(run: &Run) -> usize {
    let leases = |calls: &Vec<Traced>| {
        calls
            .iter()
            .filter(|call| call.counter == Counter::LeaseCreation && call.committed())
            .count()
    };
    run.calls.iter().map(|calls| leases(calls).saturating_sub(1)).sum()
}

/// Returns the number of successful status writes. Writes that add the UID of a child that lives
/// long do not count.
fn writes(history: &[Saga]) -> usize {
    let (mut noted, mut count) = (HashSet::new(), 0);
    let mut before: BTreeMap<String, &Saga> = BTreeMap::new();
    for after in history {
        let Some(before) = before.insert(after.uid().unwrap_or_default(), after) else { continue };
        let new = children(after).filter(|child| noted.insert(child.clone())).count();
        if before.status != after.status && new == 0 {
            count += 1;
        }
    }
    count
}

fn directions(saga: &Saga) -> impl Iterator<Item = &DirectionStatus> {
    let steps = saga.status.iter().flat_map(|status| &status.steps);
    steps
        .flat_map(|step| {
            [Direction::Action, Direction::Compensation].map(|direction| step.direction(direction))
        })
        .flatten()
}

fn children(saga: &Saga) -> impl Iterator<Item = String> {
    directions(saga).filter_map(|record| record.active.as_ref()?.child_uid.clone())
}

/// Returns the number of attempts since the operators of the plan started.
fn attempts_of(run: &Run) -> usize {
    let before = run.history.first().map(|first| attempts(std::slice::from_ref(first)));
    attempts(&run.sagas).saturating_sub(before.unwrap_or_default())
}

/// Returns the number of attempts, in both directions.
fn attempts(sagas: &[Saga]) -> usize {
    sagas
        .iter()
        .flat_map(directions)
        .map(|record| usize::try_from(record.attempt).unwrap_or_default())
        .sum()
}
