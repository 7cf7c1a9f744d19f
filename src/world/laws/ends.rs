//! What must hold of every world, of a saga that is released, and of a world at rest.

use std::time::Duration;

use super::must;
use crate::{
    api::{DeletionPolicy, SagaPhase, StepPhase, StepStatus},
    model::saga::{ValidSaga, ValidStep},
    world::{
        Object, gather,
        state::{
            law::{Broken, Law},
            process::Process,
            trial::{Trial, Truth},
            world::{Who, World},
        },
        versions,
    },
};

/// Checks what must hold in every world.
pub(in super::super) fn world(world: &World, broken: &mut Vec<Broken>) {
    deaf(world, broken);
    let (object, status) = (world.object(), world.status());
    let Some(phase) = status.phase else { return };
    let undone = matches!(
        phase,
        SagaPhase::Compensated | SagaPhase::CompensationFailed | SagaPhase::Cancelled
    );
    if !undone && phase != SagaPhase::Completed {
        must(broken, status.still_in_effect.is_none(), Law::TrueEnd, || {
            "stillInEffect speaks although nothing ended".into()
        });
        return;
    }
    let named = status.still_in_effect.as_deref().unwrap_or_default();
    // A step with an unknown outcome is named in `stillInEffect`, and may still begin.
    let is_named = |place: usize| {
        object.saga().steps.get(place).is_some_and(|step| named.contains(&step.name))
    };
    let running = |trial: &Trial| {
        trial.exists()
            && trial.runs()
            && !trial.again
            && !is_named(trial.who.place)
            && !gather::deletes(world, trial.who)
    };
    let over = object.active().next().is_none() && !world.trials.iter().any(running);
    must(broken, over || phase == SagaPhase::CompensationFailed, Law::TrueEnd, || {
        format!("{phase:?} while an attempt is under way")
    });
    let steps = object.saga().steps.iter().zip(&status.steps).zip(world.truth());
    for ((step, status), truth) in steps {
        let is_named = named.contains(&step.name);
        if undone {
            must(broken, is_named || !truth.in_effect, Law::TrueEnd, || {
                format!("step {} is in effect, and not named", step.name)
            });
        } else {
            completed(step, status, truth, is_named, broken);
        }
        let left = matches!(status.phase, StepPhase::Skipped | StepPhase::CompensationSkipped)
            || step.compensation.is_none();
        let complete = phase != SagaPhase::Compensated || !is_named || left;
        must(broken, complete, Law::TrueEnd, || {
            format!("Compensated, and step {} with a compensation is left in effect", step.name)
        });
    }
}

/// Checks that a step of a Completed saga is done, and that a skipped step in effect is named.
/// `is_named`: whether the saga names the step.
fn completed(
    step: &ValidStep,
    status: &StepStatus,
    truth: &Truth,
    is_named: bool,
    broken: &mut Vec<Broken>,
) {
    must(broken, status.phase.is_done(), Law::TrueEnd, || {
        format!("Completed with step {} {:?}", step.name, status.phase)
    });
    let done = status.phase == StepPhase::Skipped
        || step.action.only_waits()
        || truth.done_under.is_some();
    must(broken, done, Law::TrueEnd, || format!("Completed, and step {} was not done", step.name));
    // The user who skipped the step knew the exit code, so nothing remains uncertain.
    let told = truth.crashed || is_named;
    let secret = status.phase == StepPhase::Skipped
        && truth.in_effect
        && truth.done_under.is_some()
        && !told;
    must(broken, !secret, Law::TrueEnd, || {
        format!("step {} was skipped, is in effect, and is not named", step.name)
    });
}

/// Checks that a replica whose watches broke, and which knows the newest version, reconciles
/// automatically when the time limit of an active attempt is over.
fn deaf(world: &World, broken: &mut Vec<Broken>) {
    let object = world.object();
    let sleeps = |process: &Process| {
        process.deaf && process.is_up() && !process.triggered && process.wake.is_none()
    };
    if object.gone
        || !world.processes.iter().any(|process| sleeps(process) && process.floor == object.version)
    {
        return;
    }
    let limited = |who: Who| {
        let operation =
            object.saga().steps.get(who.place).and_then(|step| step.operation(who.direction));
        operation.is_some_and(|operation| operation.timeout < Duration::MAX)
    };
    for who in object.active().map(|(who, _)| who).filter(|who| limited(*who)) {
        broken.push(Broken::new(
            Law::WakeUp,
            format!("nothing but a watch makes an operator look again at {who}"),
        ));
    }
}

/// Checks the saga whose finalizer was just removed.
pub(in super::super) fn release(world: &World, broken: &mut Vec<Broken>) {
    let (object, status) = (world.object(), world.status());
    let ended = status.phase.is_some_and(SagaPhase::is_terminal);
    let untouched = world.truth().iter().all(|truth| truth.begun == 0)
        && status.steps.iter().all(|step| step.action.is_none());
    let abandoned = object.deleting
        && (object.saga().deletion_policy == DeletionPolicy::Abandon || is_past_pivot(object));
    must(broken, ended || untouched || abandoned, Law::Release, || {
        format!("the saga is let go while it is {:?}", status.phase)
    });
}

fn is_past_pivot(object: &Object) -> bool {
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
pub fn wrong_at_rest(world: &World) -> Option<Broken> {
    let (object, status) = (world.object(), world.status());
    // Every replica that knows the word has left the cluster: a user has to bring the later version
    // back.
    let strange = (0..world.processes.len()).all(|number| !versions::can_read(world, number));
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
        return Some(Broken::new(
            Law::WakeUp,
            format!("the saga rests while it is {:?}", status.phase),
        ));
    }
    if status.phase.is_some_and(SagaPhase::is_terminal) && object.finalizer {
        return Some(Broken::new(Law::Release, "an ended saga keeps its finalizer"));
    }
    if status.phase == Some(SagaPhase::Failed)
        && should_be_undone(object.saga())
        && !is_past_pivot(object)
        && !suspended
        && !asked
    {
        return Some(Broken::new(Law::WakeUp, "the saga waits although it is to be undone"));
    }
    let unanswered = object.asked.iter().find(|asked| asked.token().is_none());
    unanswered.map(|asked| {
        Broken::new(
            Law::AnsweredOnce,
            format!("{} stands there for ever", asked.action.annotation()),
        )
    })
}

fn should_be_undone(saga: &ValidSaga) -> bool {
    saga.on_failure == crate::api::OnFailure::Compensate
}
