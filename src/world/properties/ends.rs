//! What must hold of every world, of a saga that is released, and of a world at rest.

use std::time::Duration;

use super::must::must;
use crate::{
    api::{DeletionPolicy, OnFailure, SagaPhase, StepPhase, StepStatus},
    model::saga::{ValidSaga, ValidStep},
    world::{
        query,
        state::{
            attempt::AttemptRef,
            execution::{Execution, GroundTruth},
            object::SagaObject,
            property::{Property, Violation},
            replica::Replica,
            world::World,
        },
        versions,
    },
};

/// Checks what must hold in every world.
pub(in super::super) fn world(world: &World, violations: &mut Vec<Violation>) {
    watches_broken(world, violations);
    let (object, status) = (world.object(), world.status());
    let Some(phase) = status.phase else { return };
    let undone = matches!(
        phase,
        SagaPhase::Compensated | SagaPhase::CompensationFailed | SagaPhase::Cancelled
    );
    if !undone && phase != SagaPhase::Completed {
        must(violations, status.still_in_effect.is_none(), Property::TrueEnd, || {
            "stillInEffect speaks although nothing ended".into()
        });
        return;
    }
    let named = status.still_in_effect.as_deref().unwrap_or_default();
    // A step with an unknown outcome is named in `stillInEffect`, and may still begin.
    let is_named = |place: usize| {
        object.saga().steps.get(place).is_some_and(|step| named.contains(&step.name))
    };
    let running = |execution: &Execution| {
        execution.exists()
            && execution.runs()
            && !execution.again
            && !is_named(execution.attempt.place)
            && !query::deletes(world, execution.attempt)
    };
    let over = object.active().next().is_none() && !world.executions.iter().any(running);
    must(violations, over || phase == SagaPhase::CompensationFailed, Property::TrueEnd, || {
        format!("{phase:?} while an attempt is under way")
    });
    let steps = object.saga().steps.iter().zip(&status.steps).zip(world.truth());
    for ((step, status), truth) in steps {
        let is_named = named.contains(&step.name);
        if undone {
            must(violations, is_named || !truth.in_effect, Property::TrueEnd, || {
                format!("step {} is in effect, and not named", step.name)
            });
        } else {
            completed(step, status, truth, is_named, violations);
        }
        let left = matches!(status.phase, StepPhase::Skipped | StepPhase::CompensationSkipped)
            || step.compensation.is_none();
        let complete = phase != SagaPhase::Compensated || !is_named || left;
        must(violations, complete, Property::TrueEnd, || {
            format!("Compensated, and step {} with a compensation is left in effect", step.name)
        });
    }
}

/// Checks that a step of a Completed saga is done, and that a skipped step in effect is named.
/// `is_named`: whether the saga names the step.
fn completed(
    step: &ValidStep,
    status: &StepStatus,
    truth: &GroundTruth,
    is_named: bool,
    violations: &mut Vec<Violation>,
) {
    must(violations, status.phase.is_done(), Property::TrueEnd, || {
        format!("Completed with step {} {:?}", step.name, status.phase)
    });
    let done = status.phase == StepPhase::Skipped
        || step.action.only_waits()
        || truth.done_under.is_some();
    must(violations, done, Property::TrueEnd, || {
        format!("Completed, and step {} was not done", step.name)
    });
    // The user who skipped the step knew the exit code, so nothing remains uncertain.
    let told = truth.crashed || is_named;
    let secret = status.phase == StepPhase::Skipped
        && truth.in_effect
        && truth.done_under.is_some()
        && !told;
    must(violations, !secret, Property::TrueEnd, || {
        format!("step {} was skipped, is in effect, and is not named", step.name)
    });
}

/// Checks that a replica whose watches broke, and which knows the newest version, reconciles
/// automatically when the time limit of an active attempt is over.
fn watches_broken(world: &World, violations: &mut Vec<Violation>) {
    let object = world.object();
    let sleeps = |replica: &Replica| {
        replica.watches_broken && replica.is_up() && !replica.triggered && replica.wake.is_none()
    };
    if object.gone
        || !world.replicas.iter().any(|replica| sleeps(replica) && replica.floor == object.version)
    {
        return;
    }
    let limited = |attempt: AttemptRef| {
        let operation = object
            .saga()
            .steps
            .get(attempt.place)
            .and_then(|step| step.operation(attempt.direction));
        operation.is_some_and(|operation| operation.timeout < Duration::MAX)
    };
    for attempt in object.active().map(|(attempt, _)| attempt).filter(|attempt| limited(*attempt)) {
        violations.push(Violation::new(
            Property::WakeUp,
            format!("only a watch makes a replica reconcile {attempt}"),
        ));
    }
}

/// Checks the saga whose finalizer was just removed.
pub(in super::super) fn release(world: &World, violations: &mut Vec<Violation>) {
    let (object, status) = (world.object(), world.status());
    let ended = status.phase.is_some_and(SagaPhase::is_terminal);
    let untouched = world.truth().iter().all(|truth| truth.begun == 0)
        && status.steps.iter().all(|step| step.action.is_none());
    let abandoned = object.deleting
        && (object.saga().deletion_policy == DeletionPolicy::Abandon || is_past_pivot(object));
    must(violations, ended || untouched || abandoned, Property::Release, || {
        format!("the finalizer is removed while the saga is {:?}", status.phase)
    });
}

fn is_past_pivot(object: &SagaObject) -> bool {
    object
        .saga()
        .steps
        .iter()
        .zip(&object.status().steps)
        .any(|(step, status)| past_pivot(step, status))
}

/// Returns whether the step is a pivot and is done or may be done.
pub(super) fn past_pivot(step: &ValidStep, status: &StepStatus) -> bool {
    step.pivot
        && (status.phase.is_done() || status.action.as_ref().is_some_and(|action| action.uncertain))
}

/// Returns what is wrong with a world in which nothing more happens automatically; `None` if the
/// world may rest.
#[must_use]
pub fn wrong_at_rest(world: &World) -> Option<Violation> {
    let (object, status) = (world.object(), world.status());
    // Every replica that knows the word has left the cluster: a user has to bring the later version
    // back.
    let strange = (0..world.replicas.len()).all(|number| !versions::can_read(world, number));
    if object.gone || strange {
        return None;
    }
    let active = object.active().next().is_some();
    let suspended =
        (object.saga().suspend || status.paused.is_some()) && !object.deleting && !active;
    let waits = match status.phase {
        Some(SagaPhase::CompensationFailed) => true,
        Some(
            SagaPhase::Completed
            | SagaPhase::Compensated
            | SagaPhase::Cancelled
            | SagaPhase::Failed,
        ) => !object.deleting,
        Some(
            SagaPhase::Pending | SagaPhase::Running | SagaPhase::Paused | SagaPhase::Compensating,
        )
        | None => false,
    };
    let goes_on = !object.deleting
        && status.compensation_requested.is_none()
        && status.cancel_requested.is_none();
    let asked = goes_on && status.steps.iter().any(|step| step.phase == StepPhase::Waiting);
    if (active && !asked) || !(suspended || waits || asked) {
        return Some(Violation::new(
            Property::WakeUp,
            format!("the saga rests while it is {:?}", status.phase),
        ));
    }
    if status.phase.is_some_and(SagaPhase::is_terminal) && object.finalizer {
        return Some(Violation::new(Property::Release, "an ended saga keeps its finalizer"));
    }
    if status.phase == Some(SagaPhase::Failed)
        && should_be_undone(object.saga())
        && !is_past_pivot(object)
        && !suspended
        && !asked
    {
        return Some(Violation::new(
            Property::WakeUp,
            "the saga waits although it is to be undone",
        ));
    }
    let unanswered = object.asked.iter().find(|asked| asked.token().is_none());
    unanswered.map(|asked| {
        Violation::new(
            Property::AnsweredOnce,
            format!("{} stands there for ever", asked.action.annotation()),
        )
    })
}

fn should_be_undone(saga: &ValidSaga) -> bool {
    saga.on_failure == OnFailure::Compensate
}
