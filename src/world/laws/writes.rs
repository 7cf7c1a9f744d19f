//! What must hold of a plan, and of a status that was just written.

use super::{begins, must, versions};
use crate::{
    api::{
        Direction, DirectionStatus, Outcome, RequestAction, RequestRecord, RequestResult,
        SagaPhase, SagaStatus, StepPhase, StepStatus,
    },
    clock::between,
    engine::{attempt::settle::FREE_CALLED_OFF, invariants},
    model::{
        input::Seen,
        plan::{Effect, Finalizer, Plan, StatusWrite},
        saga::{Operation, ValidSaga, Work},
    },
    world::{
        Object, clocks,
        gather::{self, CALLED_OFF},
        other_side,
        state::{
            ask::Ask,
            law::{Broken, Law},
            object::active_in,
            world::{Who, World},
        },
    },
};

/// Checks a plan that was made on the newest copy.
pub(in super::super) fn plan(
    copy: &Object,
    seen: &Seen<'_>,
    plan: &Plan,
    broken: &mut Vec<Broken>,
) {
    // A saga that this replica cannot read is left to a replica that can.
    if (copy.deleting && !copy.finalizer) || !seen.versions.words.is_empty() {
        return;
    }
    for sentence in invariants::check_plan(copy.saga(), seen, plan) {
        broken.push(Broken::new(Law::Consistent, sentence));
    }
    let after = match &plan.status {
        Some(StatusWrite::Whole(status) | StatusWrite::Verdict(status)) => status.as_ref(),
        None => copy.status(),
    };
    let old = copy.status();
    if old.phase.is_some_and(SagaPhase::is_terminal) {
        let answers = after.requests.len() != old.requests.len()
            || after.handled_tokens.len() != old.handled_tokens.len();
        let spec_was_seen = after.observed_generation != old.observed_generation;
        must(broken, plan.status.is_none() || answers || spec_was_seen, Law::Quiescent, || {
            "something is written to an ended saga".into()
        });
        let begins = plan
            .drafted_effects()
            .iter()
            .any(|effect| matches!(effect, Effect::Begin { .. } | Effect::Stop(_)));
        must(broken, !begins || old.phase == Some(SagaPhase::Completed), Law::Quiescent, || {
            "something begins in an ended saga".into()
        });
    }
    let phase = after.phase.unwrap_or(SagaPhase::Pending);
    let paused = copy.saga().suspend || after.paused.is_some();
    let waits = phase.is_terminal()
        || matches!(phase, SagaPhase::Failed | SagaPhase::CompensationFailed)
        || (paused && !copy.deleting);
    // A user has to approve.
    let asks = after.steps.iter().any(|step| step.phase == StepPhase::Waiting);
    let goes = copy.deleting && plan.finalizer == Finalizer::Remove;
    let active = active_in(after).count();
    let wakes = plan.wake.is_some() || goes || asks || (waits && active == 0);
    must(broken, wakes, Law::WakeUp, || {
        format!("the saga is {phase:?} with {active} attempts under way, and asks for no wake-up")
    });
}

/// Checks the status that was just written. `before`: the saga before the write.
pub(in super::super) fn write(world: &World, before: &Object, broken: &mut Vec<Broken>) {
    let (old, new, saga) = (before.status(), world.status(), world.object().saga());
    for sentence in invariants::check(saga, new) {
        broken.push(Broken::new(Law::Consistent, sentence));
    }
    let holds = ["InvalidSpec", "SpecChanged", "InvalidStatus"];
    let held = new.conditions.iter().find(|condition| {
        condition.type_ == "Stalled" && holds.contains(&condition.reason.as_str())
    });
    must(broken, held.is_none(), Law::Consistent, || {
        format!("the saga is held: {:?}", new.message)
    });
    versions::write(world, before, broken);
    phases(old, new, broken);
    keys(world, old, new, broken);
    monotone(old, new, broken);
    requests(world, old, new, saga, broken);
    let (were, are) = (active_in(old).count(), active_in(new).count());
    must(broken, are <= saga.max_parallel.max(were), Law::Parallel, || {
        format!("{are} attempts are under way")
    });
    for (who, record) in active_in(new) {
        if !before.is_active(who) {
            begins::intent(world, before, who, record, broken);
        }
    }
    for (who, record) in before.active() {
        if !world.object().is_active(who) {
            settled(world, new, who, record, broken);
        }
    }
}

fn phases(old: &SagaStatus, new: &SagaStatus, broken: &mut Vec<Broken>) {
    let turned = || format!("the saga turns from {:?} to {:?}", old.phase, new.phase);
    if old.phase.is_some_and(SagaPhase::is_terminal) {
        let asked = old.phase == Some(SagaPhase::Completed) && new.compensation_requested.is_some();
        must(broken, old.phase == new.phase || asked, Law::Absorbing, turned);
    }
    let back = [Some(SagaPhase::Compensating), Some(SagaPhase::CompensationFailed)];
    if back.contains(&old.phase) {
        let ended = matches!(new.phase, Some(SagaPhase::Compensated | SagaPhase::Cancelled));
        must(broken, back.contains(&new.phase) || ended, Law::OneWay, turned);
    }
}

/// Checks that each request is answered once, and that an accepted request takes effect.
fn requests(
    world: &World,
    old: &SagaStatus,
    new: &SagaStatus,
    saga: &ValidSaga,
    broken: &mut Vec<Broken>,
) {
    let made = world.asked().iter().filter(|ask| matches!(ask, Ask::Request(..))).count();
    let answered = new.requests.len();
    must(broken, answered <= made, Law::AnsweredOnce, || {
        format!("{answered} requests are answered, and {made} were made")
    });
    let most = saga.max_retry_requests;
    must(broken, new.retry_requests <= most, Law::AnsweredOnce, || {
        format!("more than {most} retry requests are accepted")
    });
    let last = old.requests.last().map_or(0, |record| record.number);
    let followed_by = |since: i64, action: RequestAction| {
        let follows = |record: &RequestRecord| {
            record.action == action && record.result == RequestResult::Accepted
        };
        new.requests.iter().any(|record| record.number > since && follows(record))
    };
    for record in new
        .requests
        .iter()
        .filter(|record| record.number > last && record.result == RequestResult::Accepted)
    {
        let named =
            |step: &&StepStatus| record.value.split(['@', '=']).next() == Some(step.name.as_str());
        let is = |wanted: &[StepPhase]| {
            new.steps.iter().find(named).is_some_and(|step| wanted.contains(&step.phase))
        };
        let done = match record.action {
            RequestAction::Cancel => new.cancel_requested.is_some(),
            // A saga that ends or is resumed in the same write is no longer paused.
            RequestAction::Pause => {
                new.paused.is_some()
                    || new.phase.is_some_and(SagaPhase::is_terminal)
                    || followed_by(record.number, RequestAction::Resume)
            }
            RequestAction::Resume => new.paused.is_none(),
            // A retry in the same write may start a rejected approval again.
            RequestAction::Reject => {
                !is(&[StepPhase::Completed, StepPhase::Waiting])
                    || followed_by(record.number, RequestAction::Retry)
            }
            RequestAction::Approve => !is(&[StepPhase::Failed, StepPhase::Waiting]),
            RequestAction::Settle => {
                new.steps.iter().find(named).is_some_and(|step| !is_uncertain(step))
            }
            RequestAction::Skip => is(&[StepPhase::Skipped, StepPhase::CompensationSkipped]),
            RequestAction::Retry => new.retry_requests > old.retry_requests,
            RequestAction::Compensate => new.compensation_requested.is_some(),
        };
        must(broken, done, Law::AnsweredOnce, || {
            format!("{} is accepted, and nothing comes of it", record.action)
        });
    }
}

fn is_uncertain(step: &StepStatus) -> bool {
    let direction =
        if step.phase.is_backward() { Direction::Compensation } else { Direction::Action };
    step.direction(direction).is_some_and(|record| record.uncertain)
}

/// Checks that a key changes only if nothing was done under it and nothing can be done under it any
/// more.
fn keys(world: &World, old: &SagaStatus, new: &SagaStatus, broken: &mut Vec<Broken>) {
    for (place, (before, after)) in old.steps.iter().zip(&new.steps).enumerate() {
        for direction in [Direction::Action, Direction::Compensation] {
            let (Some(was), Some(is)) = (before.direction(direction), after.direction(direction))
            else {
                continue;
            };
            if was.failures == is.failures {
                continue;
            }
            let done = world.truth().get(place).and_then(|truth| truth.key_done(direction))
                == Some(was.failures);
            let may_be = other_side::may_land(world, place, direction, was.failures, None);
            must(broken, !done && !may_be, Law::OneIdentity, || {
                format!(
                    "the key of step {} moves, and under the old one something was done, or may be",
                    before.name
                )
            });
            let under_way =
                was.active.is_some() && is.active.is_some() && was.attempt == is.attempt;
            must(broken, !under_way, Law::OneIdentity, || {
                format!("the key of step {} moves while an attempt is under way", before.name)
            });
        }
    }
}

fn monotone(old: &SagaStatus, new: &SagaStatus, broken: &mut Vec<Broken>) {
    let fell = old.settled > new.settled
        || old.retry_requests > new.retry_requests
        || old.handled_tokens.len() > new.handled_tokens.len();
    must(broken, !fell, Law::Monotone, || "a counter of the saga fell".into());
    for (before, after) in old.steps.iter().zip(&new.steps) {
        for direction in [Direction::Action, Direction::Compensation] {
            let Some(was) = before.direction(direction) else { continue };
            let Some(is) = after.direction(direction) else {
                broken.push(Broken::new(
                    Law::Monotone,
                    format!("the attempts of step {} are forgotten", before.name),
                ));
                continue;
            };
            let counters = [
                (was.attempt, is.attempt),
                (was.failures, is.failures),
                (was.disruptions, is.disruptions),
            ];
            let fell = counters.iter().any(|(was, is)| was > is) || was.sequence > is.sequence;
            must(broken, !fell, Law::Monotone, || {
                format!("a counter of step {} fell", before.name)
            });
            let rewritten = was
                .attempts
                .iter()
                .any(|was| is.attempts.iter().any(|is| is.attempt == was.attempt && is != was));
            must(broken, !rewritten, Law::Monotone, || {
                format!("an outcome of step {} is rewritten", before.name)
            });
        }
    }
}

/// Checks an attempt that was active before the write and is no longer active.
fn settled(
    world: &World,
    new: &SagaStatus,
    who: Who,
    record: &DirectionStatus,
    broken: &mut Vec<Broken>,
) {
    let Some(after) = new.steps.get(who.place).and_then(|step| step.direction(who.direction))
    else {
        return;
    };
    let outcome = after
        .attempts
        .iter()
        .find(|attempt| attempt.attempt == who.number)
        .map(|attempt| attempt.outcome);
    let Some(truth) = world.truth().get(who.place) else { return };
    let done = truth.key_done(who.direction) == Some(record.failures);
    let refused = truth.key_refused(who.direction) == Some(record.failures);
    match outcome {
        Some(Outcome::Succeeded) if waits(world, who) => {}
        Some(Outcome::Succeeded) => {
            must(broken, done, Law::Truthful, || format!("{who} counts as done and was not"));
        }
        Some(Outcome::Failed) => {
            let told = !done || after.uncertain || may_have_crashed(world, who, after);
            must(broken, told, Law::Truthful, || format!("{who} counts as failed and was done"));
        }
        Some(Outcome::Unknown) => {}
        None => broken.push(Broken::new(
            Law::Truthful,
            format!("{who} is not active any more and has no outcome"),
        )),
    }
    let moved = after.failures != record.failures;
    must(broken, !moved || refused, Law::OneIdentity, || {
        format!("the key moves after {who}, and the other side gave no definite no")
    });
    let used = after.budget_used < record.budget_used;
    let free = after.disruptions > record.disruptions
        || after.called_off > record.called_off
        || new.retry_requests > 0;
    must(broken, !used || free, Law::Bounded, || format!("{who} is not counted"));
    called_off(world, new.retry_requests > 0, who, (record, after), broken);
    never_begun(world, new, who, record, outcome, broken);
    // The deletion of an object cannot be stopped, so it may still run.
    let running = !gather::deletes(world, who)
        && world
            .trials
            .iter()
            .any(|trial| trial.who == who && trial.exists() && trial.runs() && !trial.again);
    must(broken, !running, Law::SettledFirst, || {
        format!("{who} counts as ended while its Pod runs")
    });
}

/// Checks that an HTTP request that its replica called off costs an attempt if it must not be
/// repeated, and costs none if it may be repeated.
fn called_off(
    world: &World,
    asked: bool,
    who: Who,
    (record, after): (&DirectionStatus, &DirectionStatus),
    broken: &mut Vec<Broken>,
) {
    let said = after
        .attempts
        .iter()
        .find(|attempt| attempt.attempt == who.number)
        .and_then(|attempt| attempt.message.as_deref());
    let step = world.object().saga().steps.get(who.place);
    let Some(operation) =
        step.and_then(|step| step.operation(who.direction)).filter(|_| said == Some(CALLED_OFF))
    else {
        return;
    };
    let free = operation.may_be_repeated() && record.called_off < FREE_CALLED_OFF;
    // A retry in the same write gives a fresh budget. The next attempt may already have used one
    // attempt of that budget.
    let counted = record.budget_used.saturating_sub(after.budget_used);
    let right = counted == i64::from(free)
        || (asked && after.budget_used <= i64::from(after.active.is_some()));
    must(broken, right, Law::Bounded, || {
        format!(
            "{who} was called off by its operator, and is {} counted",
            if free { "" } else { "not" }
        )
    });
}

/// Returns whether a failed program may have done its work. Then the step is undone as if the work
/// was done, or it stays in effect.
fn may_have_crashed(world: &World, who: Who, record: &DirectionStatus) -> bool {
    let step = world.object().saga().steps.get(who.place);
    let work = step.and_then(|step| step.operation(who.direction)).map(|operation| &operation.work);
    let undone = who.direction == Direction::Compensation
        || (record.begun && step.is_some_and(|step| step.compensate_failed));
    matches!(work, Some(Work::Pod(_) | Work::Job(_))) && undone
}

/// Checks that a Pod that was never created costs no attempt before its time is over.
fn never_begun(
    world: &World,
    new: &SagaStatus,
    who: Who,
    record: &DirectionStatus,
    outcome: Option<Outcome>,
    broken: &mut Vec<Broken>,
) {
    let step = world.object().saga().steps.get(who.place);
    let Some((operation, active)) =
        step.and_then(|step| step.operation(who.direction)).zip(record.active.as_ref())
    else {
        return;
    };
    let pod = matches!(operation.work, Work::Pod(_) | Work::Job(_));
    let begun = world.trials.iter().any(|trial| trial.who == who);
    // The attempt ends at the earliest of its own time limit, the deadline of the budget and the
    // timeout of the saga. The latter two may be stopped. The time limits are measured by the clock
    // of the replica that judges.
    let now =
        new.clock_stopped_at.as_ref().map_or(clocks::latest_shown(world), |stopped| stopped.0);
    let past = |record: &DirectionStatus| {
        let deadline = operation.retry.deadline.zip(record.budget_started_at.as_ref());
        deadline.is_some_and(|(deadline, since)| between(since.0, now) >= deadline)
    };
    let settled = new.steps.get(who.place).and_then(|step| step.direction(who.direction));
    let over = between(active.started_at.0, clocks::latest_shown(world)) >= operation.timeout
        || past(record)
        || settled.is_some_and(past)
        || new.timed_out_at.is_some()
        || new.cancel_requested.is_some();
    let counts = pod && !begun && !over && outcome == Some(Outcome::Failed);
    must(broken, !counts, Law::Bounded, || {
        format!("{who} counts as failed, and nothing of it began")
    });
}

/// Returns whether the step only waits: nothing of it reaches the service.
fn waits(world: &World, who: Who) -> bool {
    let step = world.object().saga().steps.get(who.place);
    step.and_then(|step| step.operation(who.direction)).is_some_and(Operation::only_waits)
}
