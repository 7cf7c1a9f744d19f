//! What must hold of the attempts that a write begins: the order of the undo.

use std::collections::BTreeSet;

use saga_operator::api::{Direction, SagaStatus, Step, StepPhase, status::active_attempts};

use crate::{watch_status::records, world::World};

pub(crate) fn attempts_begun_by_the_write(world: &World, before: &SagaStatus, after: &SagaStatus) {
    let old: BTreeSet<_> = active_attempts(before).map(|(id, _)| id).collect();
    let new: Vec<_> =
        active_attempts(after).map(|(id, _)| id).filter(|id| !old.contains(id)).collect();
    let phase_of =
        |name: &str| after.steps.iter().find(|step| step.name == name).expect("a step").phase;
    for id in &new {
        let step =
            world.spec.steps.iter().find(|step| step.name == id.step).expect("a step of the spec");
        match id.direction {
            // An invariant of the engine itself covers what an action must wait for.
            Direction::Action => {}
            Direction::Compensation => {
                assert!(step.compensation.is_some());
                assert!(
                    records(after).all(|(_, direction, record)| direction != Direction::Action
                        || record.active.is_none())
                );
                for dependant in dependants(&world.spec.steps, &id.step) {
                    let spec = world
                        .spec
                        .steps
                        .iter()
                        .find(|step| step.name == dependant)
                        .expect("a step of the spec");
                    let waits = match phase_of(&dependant) {
                        StepPhase::Completed => spec.compensation.is_some(),
                        StepPhase::Compensating
                        | StepPhase::CompensationFailed
                        | StepPhase::Running
                        | StepPhase::Waiting
                        | StepPhase::Retrying => true,
                        StepPhase::Failed => {
                            spec.compensation.is_some()
                                && world.services.in_effect.contains(&dependant)
                        }
                        StepPhase::Pending
                        | StepPhase::Skipped
                        | StepPhase::Compensated
                        | StepPhase::CompensationSkipped => false,
                    };
                    assert!(
                        !waits,
                        "{id} begins although {dependant} is {:?}",
                        phase_of(&dependant)
                    );
                }
            }
        }
    }
    latest_first(
        world,
        before,
        after,
        &new.iter()
            .filter(|id| id.direction == Direction::Compensation)
            .map(|id| id.step.as_str())
            .collect(),
    );
}

/// Asserts that no step that is free to be undone, and whose undo has not begun, settled later than
/// a step whose undo begins.
fn latest_first(world: &World, before: &SagaStatus, after: &SagaStatus, begun: &BTreeSet<&str>) {
    let sequence =
        |name: &str| after.steps.iter().find(|step| step.name == name)?.action.as_ref()?.sequence;
    let never_tried = |status: &SagaStatus, name: &str| {
        status.steps.iter().any(|step| step.name == name && step.compensation.is_none())
    };
    let Some(earliest) = begun
        .iter()
        .filter(|name| never_tried(before, name))
        .filter_map(|name| sequence(name))
        .min()
    else {
        return;
    };
    for step in &world.spec.steps {
        let done = after
            .steps
            .iter()
            .any(|status| status.name == step.name && status.phase == StepPhase::Completed);
        if !done || step.compensation.is_none() {
            continue;
        }
        let free = dependants(&world.spec.steps, &step.name).iter().all(|dependant| {
            let spec =
                world.spec.steps.iter().find(|spec| spec.name == *dependant).expect("a step");
            let phase =
                after.steps.iter().find(|status| status.name == *dependant).expect("a step").phase;
            match phase {
                StepPhase::Completed => spec.compensation.is_none(),
                StepPhase::Pending
                | StepPhase::Skipped
                | StepPhase::Compensated
                | StepPhase::CompensationSkipped => true,
                StepPhase::Failed => {
                    !world.services.in_effect.contains(dependant) && spec.compensation.is_none()
                }
                StepPhase::Running
                | StepPhase::Waiting
                | StepPhase::Retrying
                | StepPhase::Compensating
                | StepPhase::CompensationFailed => false,
            }
        });
        let later = sequence(&step.name).is_some_and(|own| own > earliest);
        assert!(
            !(free && later),
            "{} settled later than {begun:?} and is not undone first",
            step.name
        );
    }
}

/// Returns the steps that depend on a step, directly or through other steps.
fn dependants(steps: &[Step], name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // A step depends only on earlier steps, so one pass over the list finds all.
    for step in steps {
        if step.depends_on.iter().flatten().any(|needed| needed == name || found.contains(needed)) {
            found.insert(step.name.clone());
        }
    }
    found
}
