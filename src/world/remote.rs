//! The service: Pods that run, HTTP requests under way, and what was really done.
//!
//! The service knows its keys. What was done under a key is not done again. What was undone under a
//! key has no effect any more, and later HTTP requests with that key have none either. Nothing else
//! is assumed of the service. Work that was refused under a key may still be done while an earlier
//! HTTP request with that key is under way. Work that was done may be refused when it is requested
//! again. If the exit code of a program is permanent, nothing was done under its key.

use super::{
    query, replica,
    state::{
        attempt::AttemptRef,
        event::Event,
        execution::{AttemptEnd, Execution},
        property::{Property, Violation},
        replica::Replica,
        world::World,
    },
};
use crate::{api::Direction, model::saga::ValidStep};

/// Returns how this execution may end now.
pub(super) fn endings(world: &World, execution: &Execution) -> impl Iterator<Item = AttemptEnd> {
    let (request, unawaited) = (execution.pod.is_none(), execution.is_unawaited());
    let allowed = if execution.attempt.direction == Direction::Action {
        &world.rules.endings
    } else {
        &world.rules.undo_endings
    };
    let truth = world.truth.get(execution.attempt.place);
    let known =
        truth.and_then(|truth| truth.key_done(execution.attempt.direction)) == Some(execution.key);
    let earlier = may_be_done_beside(world, execution);
    let (deletes, program) =
        (query::deletes(world, execution.attempt), query::is_program(world, execution.attempt));
    // A child that is simulated as a real object ends by its own moves.
    let runs = execution.runs() && !query::has_real_child(world, execution.attempt);
    // If the step says that a failed program has done nothing, the world believes it.
    let halfway = execution.attempt.direction == Direction::Compensation
        || world
            .object()
            .saga()
            .steps
            .get(execution.attempt.place)
            .is_some_and(|step| step.compensate_failed);
    allowed.iter().copied().filter(move |ending| {
        let fits = match ending {
            AttemptEnd::Busy => request && !unawaited && !known,
            AttemptEnd::Vanished(_) => !request && !deletes,
            // A program knows what was done under its key, and does not report that work as not
            // done.
            AttemptEnd::No => (request || !known) && !unawaited,
            // If no earlier HTTP request with the key did the work or is under way, a 409 equals
            // any other refusal.
            AttemptEnd::Conflict => request && !unawaited && (known || earlier),
            AttemptEnd::Crash => program && halfway,
            AttemptEnd::Accepted(_) => request && !unawaited,
            AttemptEnd::Done => !unawaited,
            AttemptEnd::Unknown(_) => true,
        };
        // What was already done is not done again, so one variant of an end without an answer is
        // enough.
        let again = matches!(
            ending,
            AttemptEnd::Unknown(false) | AttemptEnd::Vanished(false) | AttemptEnd::Accepted(false)
        );
        runs && fits && !(known && again)
    })
}

/// Returns whether another execution with the same key is under way.
fn may_be_done_beside(world: &World, execution: &Execution) -> bool {
    query::may_be_done(
        world,
        execution.attempt.place,
        execution.attempt.direction,
        execution.key,
        Some(execution.attempt),
    )
}

/// Ends the execution of an attempt. Returns `None` if it cannot end so.
pub(super) fn end(
    world: &mut World,
    attempt: AttemptRef,
    ending: AttemptEnd,
    events: &mut Vec<Event>,
    violations: &mut Vec<Violation>,
) -> Option<()> {
    let place = world
        .executions
        .iter()
        .position(|execution| execution.attempt == attempt && execution.runs())?;
    let execution = world.executions.get(place)?.clone();
    if !endings(world, &execution).any(|allowed| allowed == ending) {
        return None;
    }
    events.push(if execution.is_unawaited() {
        Event::DoneUnawaited(attempt)
    } else {
        Event::Ended(attempt, ending)
    });
    if ending.does_work() {
        record_work(world, &execution, ending, violations);
    } else if ending == AttemptEnd::No {
        record_refusal(world, &execution);
    }
    if execution.is_unawaited() {
        world.executions.remove(place);
        return Some(());
    }
    if let Some(execution) = world.executions.get_mut(place) {
        execution.ended = Some(ending);
    }
    match execution.awaited_by {
        Some(replica) => {
            replica::receive_answer(world, replica, attempt, ending);
            world.executions.remove(place);
        }
        None => replica::trigger_all(world),
    }
    Some(())
}

pub(super) fn record_work(
    world: &mut World,
    execution: &Execution,
    ending: AttemptEnd,
    violations: &mut Vec<Violation>,
) {
    let Execution { attempt, key, .. } = execution;
    let nothing =
        world.object().saga().steps.get(attempt.place).is_some_and(ValidStep::leaves_nothing);
    let Some(truth) = world.truth.get_mut(attempt.place) else { return };
    if truth.key_done(attempt.direction).is_some_and(|done| done != *key) {
        violations.push(Violation::new(
            Property::DoneOnce,
            format!("{attempt} does its work again, under another idempotency key"),
        ));
    }
    match attempt.direction {
        Direction::Action => {
            truth.crashed |= ending == AttemptEnd::Crash;
            truth.done_under = Some(*key);
            truth.in_effect |= !truth.undone && !nothing;
        }
        Direction::Compensation => {
            truth.undone_under = Some(*key);
            truth.undone = true;
            truth.in_effect = false;
        }
    }
}

/// Records the key of a refusal. A Pod that reports a failure may have done half of its work.
pub(super) fn record_refusal(world: &mut World, execution: &Execution) {
    if let Some(truth) = world.truth.get_mut(execution.attempt.place) {
        match execution.attempt.direction {
            Direction::Action => truth.refused_under = Some(execution.key),
            Direction::Compensation => truth.undo_refused_under = Some(execution.key),
        }
    }
    let leaves = execution.attempt.direction == Direction::Action
        && world
            .object()
            .saga()
            .steps
            .get(execution.attempt.place)
            .is_some_and(|step| step.compensate_failed && !step.leaves_nothing());
    if let Some(truth) = world.truth.get_mut(execution.attempt.place).filter(|_| leaves) {
        truth.in_effect |= !truth.undone;
    }
}

/// Creates an object again that an attempt deleted. A third party does this, not the operator.
pub(super) fn remake(world: &mut World, attempt: AttemptRef) -> Option<()> {
    let object = query::deletion_target(world, attempt);
    let gone = |execution: &Execution| {
        execution.attempt == attempt
            && execution.pod == Some(object)
            && execution.ended == Some(AttemptEnd::Done)
    };
    let may = query::deletes(world, attempt)
        && object < world.rules.remakes
        && world.executions.iter().any(gone);
    let [action, undo] = world.remade.get_mut(attempt.place).filter(|_| may)?;
    *(if attempt.direction == Direction::Action { action } else { undo }) += 1;
    // No watch covers the object: a replica that waits reconciles again from time to time.
    replica::trigger_all(world);
    Some(())
}

/// Forgets what no longer matters: the ends of settled attempts that no replica will read again,
/// and HTTP requests without a waiting replica that would change nothing.
pub(super) fn forget_executions(world: &mut World) {
    let wanted: Vec<_> = world.replicas.iter().flat_map(Replica::to_begin).collect();
    let object = world.object().clone();
    let truth = std::mem::take(&mut world.truth);
    world.executions.retain(|execution| {
        let done = truth.get(execution.attempt.place);
        let known =
            done.and_then(|done| done.key_done(execution.attempt.direction)) == Some(execution.key);
        let idle = known
            || (execution.attempt.direction == Direction::Action
                && done.is_some_and(|done| done.undone));
        if execution.is_unawaited() {
            return !idle;
        }
        execution.runs()
            || object.is_active(execution.attempt)
            || wanted.contains(&execution.attempt)
    });
    world.truth = truth;
}
