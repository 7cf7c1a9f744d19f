//! The rules for a plan, given its inputs.

use std::collections::BTreeMap;

use super::{progress, stored, values};
use crate::{
    api::{
        ActiveAttempt, Direction, DirectionStatus, SagaPhase, SagaStatus, StepPhase,
        names::{AttemptId, idempotency_key},
        status::active_attempts,
    },
    engine::{planner::pivot::past_return, report::blocked},
    model::{
        input::PlanInput,
        plan::{Effect, Finalizer, Plan, StatusWrite},
        saga::{Identity, Operation, ValidSaga},
    },
};

/// Returns sentences that say what is wrong with a plan; empty if nothing is wrong. The saga must
/// be valid, and its stored status must not contradict itself.
#[must_use]
pub fn check_plan(saga: &ValidSaga, input: &PlanInput<'_>, plan: &Plan) -> Vec<String> {
    let Ok(before) = input.stored.status else { return Vec::new() };
    let after = match &plan.status {
        Some(StatusWrite::Whole(status) | StatusWrite::Verdict(status)) => status,
        None => before,
    };
    let mut found = Vec::new();
    if blocked::is_held(after) {
        effects(saga, input, before, after, plan, &mut found);
        return found;
    }
    found.extend(stored::check(saga, after));
    progress::check(saga, before, after, &mut found);
    values::check(saga, before, after, &mut found);
    let begun = intents(saga, input, before, after, &mut found);
    effects(saga, input, before, after, plan, &mut found);
    performed(saga, plan, &begun, &mut found);
    ends(saga, input, before, after, plan, &mut found);
    wakes(saga, input, after, plan, &mut found);
    found
}

fn records(status: &SagaStatus) -> BTreeMap<AttemptId, &ActiveAttempt> {
    active_attempts(status).collect()
}

fn record<'a>(status: &'a SagaStatus, id: &AttemptId) -> Option<&'a DirectionStatus> {
    status.steps.iter().find(|step| step.name == id.step)?.direction(id.direction)
}

/// Checks the attempts that begin with this plan: rules 5, 9, 13, 18.
fn intents(
    saga: &ValidSaga,
    input: &PlanInput<'_>,
    before: &SagaStatus,
    after: &SagaStatus,
    found: &mut Vec<String>,
) -> Vec<AttemptId> {
    let (old, new) = (records(before), records(after));
    let begun: Vec<_> = new.keys().filter(|id| !old.contains_key(*id)).cloned().collect();
    let mut must = |holds: bool, id: &AttemptId, what: &str| {
        if !holds {
            found.push(format!("{id} begins {what}"));
        }
    };
    for id in &begun {
        let Some(new) = record(after, id) else { continue };
        let earlier = record(before, id).map_or(0, |old| old.attempt);
        must(id.number == earlier.saturating_add(1), id, "out of turn");
        must(!input.process.draining, id, "although this process begins nothing");
        must(
            input.stored.deleting || !(saga.suspend || after.paused.is_some()),
            id,
            "although the saga is paused",
        );
        must(after.cancel_requested.is_none(), id, "although the saga is cancelled");
        let operation = saga
            .steps
            .iter()
            .find(|step| step.name == id.step)
            .and_then(|step| step.operation(id.direction));
        let budget = operation.map_or(0, |operation| i64::from(operation.retry.max_attempts));
        must(new.budget_used <= budget, id, "beyond its budget");
        let asked = after.retry_requests > before.retry_requests;
        let step = |status: &SagaStatus| {
            status.steps.iter().find(|step| step.name == id.step).cloned().unwrap_or_default()
        };
        let due = step(before).next_attempt_at.is_none_or(|next| next.0 <= input.now);
        must(due || asked || earlier == 0, id, "before its time");
        if id.direction == Direction::Action {
            must(!input.stored.deleting, id, "although the saga is being deleted");
            must(after.compensation_requested.is_none(), id, "although the saga is to be undone");
            must(after.steps.iter().all(|step| step.compensation.is_none()), id, "after an undo");
            let failed = after.timed_out_at.is_some()
                || after.steps.iter().any(|step| step.phase == StepPhase::Failed);
            must(
                !failed || step(after).retry_requested,
                id,
                "although a step failed and no request asked for it",
            );
        }
    }
    let allowed = saga.max_parallel.max(old.len());
    if new.len() > allowed {
        found.push(format!("{} attempts are active, of at most {allowed}", new.len()));
    }
    begun
}

/// Checks that the written status names every effect: rules 1, 2, 20.
fn effects(
    saga: &ValidSaga,
    input: &PlanInput<'_>,
    before: &SagaStatus,
    after: &SagaStatus,
    plan: &Plan,
    found: &mut Vec<String>,
) {
    let active = records(after);
    for effect in plan.drafted_effects() {
        match effect {
            Effect::Begin { identity, uid, .. } => {
                let intent = active.get(&identity.attempt).copied();
                leaves((saga, input), after, plan, (identity, uid.as_ref(), intent), found);
            }
            Effect::Ask { attempt, .. } if !active.contains_key(attempt) => {
                found.push(format!(
                    "a command to a child saga is sent for {attempt}, which is not active"
                ));
            }
            Effect::Stop(id) if !active.contains_key(id) => {
                found.push(format!("{id} is stopped although it is not active"));
            }
            Effect::Delete
                if !before.phase.is_some_and(SagaPhase::is_terminal)
                    || input.stored.finalizer
                    || plan.status.is_some() =>
            {
                found.push("the saga is deleted although it has not ended".into());
            }
            Effect::Ask { .. }
            | Effect::Stop(_)
            | Effect::Delete
            | Effect::Sweep
            | Effect::Publish(_)
            | Effect::TakeAway { .. } => {}
        }
    }
}

/// Checks that an attempt begins as the written status says: its intent, its key, its executor, its
/// UID.
fn leaves(
    (saga, input): (&ValidSaga, &PlanInput<'_>),
    after: &SagaStatus,
    plan: &Plan,
    (identity, uid, intent): (&Identity, Option<&String>, Option<&ActiveAttempt>),
    found: &mut Vec<String>,
) {
    let id = &identity.attempt;
    let Some(intent) = intent else {
        found.push(format!("{id} leaves although no intent of it stands in the status"));
        return;
    };
    let deletes = saga
        .steps
        .iter()
        .find(|step| step.name == id.step)
        .and_then(|step| step.operation(id.direction));
    let deletes = deletes.is_some_and(Operation::deletes);
    if deletes && (uid.is_none() || uid != intent.child_uid.as_ref()) {
        found.push(format!("{id} deletes {uid:?}, and the status names {:?}", intent.child_uid));
    }
    if intent.executor.as_deref().is_some_and(|executor| Some(executor) != input.process.executor) {
        found.push(format!("{id} leaves although another process is to send it"));
    }
    let key = record(after, id)
        .map(|record| idempotency_key(&saga.key_scope, &id.step, id.direction, record.failures));
    if key.as_ref() != Some(&identity.key) {
        found.push(format!("{id} leaves under the key {}, not {key:?}", identity.key));
    }
    if !(input.stored.finalizer || plan.finalizer == Finalizer::Add)
        || plan.finalizer == Finalizer::Remove
    {
        found.push(format!("{id} is sent although the saga has no finalizer"));
    }
    if after.spec_hash.as_deref() != Some(input.stored.spec_hash) {
        found.push(format!("{id} leaves although the spec is not what was accepted"));
    }
}

/// Checks that each new intent has exactly one effect. Without its effect no process would carry
/// out the intent.
fn performed(saga: &ValidSaga, plan: &Plan, begun: &[AttemptId], found: &mut Vec<String>) {
    for id in begun {
        let operation = saga
            .steps
            .iter()
            .find(|step| step.name == id.step)
            .and_then(|step| step.operation(id.direction));
        // An object is read before it is deleted, so the intent has no effect yet.
        let only_waits =
            operation.is_none_or(|operation| operation.only_waits() || operation.deletes());
        let leaves = |effect: &Effect| {
            matches!(
                effect,
                Effect::Begin { identity, .. } if identity.attempt == *id
            )
        };
        if plan.drafted_effects().iter().filter(|effect| leaves(effect)).count()
            != usize::from(!only_waits)
        {
            found.push(format!("{id} is written and does not leave once"));
        }
    }
}

/// Checks that an ended saga is not changed, and that a deleted saga is released only when it may
/// be: rules 20, 28.
fn ends(
    saga: &ValidSaga,
    input: &PlanInput<'_>,
    before: &SagaStatus,
    after: &SagaStatus,
    plan: &Plan,
    found: &mut Vec<String>,
) {
    let ended = |status: &SagaStatus| status.phase.is_some_and(SagaPhase::is_terminal);
    if ended(before) && plan.status.is_some() {
        let answers =
            (&before.requests, &before.handled_tokens) != (&after.requests, &after.handled_tokens);
        // A changed spec of an ended saga is acknowledged once.
        let spec_was_seen = before.observed_generation != after.observed_generation;
        if !answers && !spec_was_seen {
            found.push("an ended saga is written although no request was made".into());
        }
    }
    let turns = input.stored.deleting || after.compensation_requested.is_some();
    if after.phase == Some(SagaPhase::Completed)
        && !ended(before)
        && turns
        && !past_return(saga, after)
    {
        found.push("the saga is Completed although it was to be undone".into());
    }
    if plan.finalizer == Finalizer::Remove && !ended(after) {
        let untouched = before.steps.iter().all(|step| step.action.is_none());
        let abandoned = input.stored.deletion_policy == crate::api::DeletionPolicy::Abandon
            || input.surroundings.terminating
            || past_return(saga, before);
        if !(input.stored.deleting && (untouched || abandoned)) {
            found.push(format!("the finalizer is removed while the saga is {:?}", after.phase));
        }
    }
}

/// Checks that a saga that has not ended and waits for no user has a next wake-up: rule 27.
fn wakes(
    saga: &ValidSaga,
    input: &PlanInput<'_>,
    after: &SagaStatus,
    plan: &Plan,
    found: &mut Vec<String>,
) {
    // A process that begins nothing is followed by a process that does. A deleted saga without our
    // finalizer is gone.
    if plan.wake.is_some()
        || plan.finalizer == Finalizer::Remove
        || input.process.draining
        || (input.stored.deleting && !input.stored.finalizer)
    {
        return;
    }
    let children = after.steps.iter().any(|step| {
        let active = [&step.action, &step.compensation]
            .into_iter()
            .flatten()
            .any(|record| record.active.is_some());
        active && step.phase != StepPhase::Waiting
    });
    let asks = after.steps.iter().any(|step| step.phase == StepPhase::Waiting);
    let paused = (saga.suspend || after.paused.is_some()) && !input.stored.deleting;
    let failed = after.timed_out_at.is_some()
        || after.steps.iter().any(|step| step.phase == StepPhase::Failed);
    let turns = failed
        || input.stored.deleting
        || after.compensation_requested.is_some()
        || after.cancel_requested.is_some();
    let full = !input.process.host_capacity.is_empty();
    let waits = match after.phase {
        Some(
            SagaPhase::Completed
            | SagaPhase::Compensated
            | SagaPhase::Cancelled
            | SagaPhase::CompensationFailed
            | SagaPhase::Paused,
        ) => true,
        // The write of the status enqueues the deleted saga, which is then released.
        Some(SagaPhase::Failed) => !input.stored.deleting || plan.status.is_some(),
        Some(SagaPhase::Running) => asks && !turns,
        Some(SagaPhase::Compensating) => paused,
        Some(SagaPhase::Pending) | None => false,
    };
    if children || !(waits || full) {
        found.push(format!("the saga is {:?} and plans no requeue", after.phase));
    }
}
