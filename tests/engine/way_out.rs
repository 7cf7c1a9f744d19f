//! Every request in every situation, and the ways out of each situation.

use saga_operator::{
    api::{DeletionPolicy, Direction, RequestAction, RequestResult, SagaPhase, StepPhase},
    engine::request::allowed,
};

use crate::{
    scenes::{SCENES, value_for},
    world::World,
};

use RequestAction::{Approve, Reject, Resume, Retry, Skip};

/// Returns the parts of a status other than the answers to requests.
fn told(world: &World) -> impl PartialEq + std::fmt::Debug + use<> {
    let status = world.status();
    let times =
        (status.clock_stopped_at, status.timeout_started_at, status.timed_out_at, status.paused);
    (
        status.phase,
        status.progress,
        status.steps,
        status.message,
        status.still_in_effect,
        status.retry_requests,
        times,
    )
}

#[test]
fn every_phase_of_a_saga_is_among_the_scenes() {
    let phases: Vec<_> = SCENES
        .iter()
        .map(|(_, make)| make().status().phase.unwrap_or(SagaPhase::Pending))
        .collect();
    for phase in SagaPhase::ALL {
        assert!(phases.contains(&phase), "{phase:?}");
    }
}

#[test]
fn in_every_situation_only_the_requests_of_the_table_are_accepted_and_a_refusal_changes_nothing() {
    for (scene, make) in SCENES {
        for action in RequestAction::ALL {
            let mut world = make();
            let (before, phase) = (told(&world), world.status().phase);
            let answer = world.ask(action, value_for(action));
            let in_table =
                allowed::in_saga_phases(action).contains(&phase.unwrap_or(SagaPhase::Pending));
            match answer.result {
                RequestResult::Accepted => assert!(in_table, "{scene}: {answer:?}"),
                RequestResult::Refused if phase.is_some() => {
                    assert_eq!(told(&world), before, "{scene}: {answer:?}");
                }
                RequestResult::Refused => assert!(
                    !in_table || !action.takes_reason() || action == Resume,
                    "{scene}: {answer:?}"
                ),
                RequestResult::Ignored => panic!("{scene}: {answer:?}"),
                #[cfg(feature = "next")]
                RequestResult::Noted => panic!("{scene}: {answer:?}"),
            }
            let is_taken_away = !world.annotations.contains_key(action.annotation());
            assert!(
                !answer.message.is_empty() && (is_taken_away || world.gone),
                "{scene}: {answer:?}"
            );
        }
    }
}

#[test]
fn in_every_situation_each_step_may_be_named_by_what_the_table_says_and_by_nothing_else() {
    let mut accepted_by = std::collections::BTreeSet::new();
    for (scene, make) in SCENES {
        for step in make().status().steps {
            for action in [Reject, Approve, Skip, Retry] {
                let mut world = make();
                let before = world.status();
                let phase = before.phase.unwrap();
                let undoing =
                    matches!(phase, SagaPhase::Compensating | SagaPhase::CompensationFailed)
                        || world.deleting
                        || before.compensation_requested.is_some();
                let way = if undoing { Direction::Compensation } else { Direction::Action };
                let waits = step.phase == StepPhase::Waiting;
                let active = [&step.action, &step.compensation]
                    .into_iter()
                    .flatten()
                    .any(|record| record.active.is_some());
                let approval = world
                    .spec
                    .steps
                    .iter()
                    .any(|spec| spec.name == step.name && spec.approval.is_some());
                let may = allowed::in_saga_phases(action).contains(&phase)
                    && allowed::in_step_phases(action, way).contains(&step.phase)
                    && before.cancel_requested.is_none()
                    && (waits || !active)
                    && (approval || !matches!(action, Reject | Approve));
                let answer = world.ask(action, &step.name);
                assert_eq!(
                    answer.result == RequestResult::Accepted,
                    may,
                    "{scene}, {}: {answer:?}",
                    step.phase.as_str()
                );
                if may {
                    accepted_by.insert((action, step.phase, way));
                }
            }
        }
    }
    // The scenes cover every case of the table.
    for action in [Reject, Approve, Skip, Retry] {
        for way in [Direction::Action, Direction::Compensation] {
            for phase in allowed::in_step_phases(action, way) {
                assert!(
                    accepted_by.contains(&(action, *phase, way)),
                    "{action} of a step that is {phase:?}, in the direction {way}"
                );
            }
        }
    }
}

#[test]
fn whatever_was_asked_for_the_saga_comes_to_rest_and_can_be_let_go() {
    for (scene, make) in SCENES {
        for action in RequestAction::ALL {
            let mut world = make();
            world.ask(action, value_for(action));
            if !world.gone {
                world.run_to_rest();
            }
            world.delete();
            world.run_to_rest();
            if !world.gone {
                // Only a saga that needs a user stays after its deletion was requested.
                let stuck = world.phase() == SagaPhase::CompensationFailed;
                assert!(stuck, "{scene}, {action}: {:?}", world.status());
                world.edit(|spec| spec.deletion_policy = Some(DeletionPolicy::Abandon));
                world.run_to_rest();
            }
            assert!(world.gone, "{scene}, {action}: {:?}", world.status());
        }
    }
}

#[test]
fn a_deletion_undoes_what_can_be_undone_in_every_phase() {
    for (scene, make) in SCENES {
        let mut world = make();
        let ended = world.status().phase.is_some_and(SagaPhase::is_terminal);
        let cancelling = world.status().cancel_requested.is_some();
        let pivot = world.spec.steps.iter().any(|step| step.pivot == Some(true));
        let done = world.undone().len();
        world.delete();
        world.run_to_rest();
        let stuck = world.status().phase == Some(SagaPhase::CompensationFailed);
        assert_eq!(world.gone, !stuck, "{scene}: {:?}", world.status());
        if ended || cancelling || pivot {
            assert_eq!(world.undone().len(), done, "{scene}: nothing more is undone");
            continue;
        }
        let left = |name: &&String| {
            world.spec.steps.iter().any(|step| step.name == **name && step.compensation.is_some())
        };
        let left: Vec<_> = world.services.in_effect.iter().filter(left).collect();
        assert!(stuck || left.is_empty(), "{scene}: {left:?} is left in effect");
    }
}

#[test]
fn no_saga_holds_up_the_deletion_of_its_namespace() {
    for (scene, make) in SCENES {
        let mut world = make();
        world.terminating = true;
        world.delete();
        world.run_to_rest();
        assert!(world.gone, "{scene}: {:?}", world.status());
        let abandoned = world.warnings().contains(&"Abandoned");
        let told = world
            .notices
            .iter()
            .any(|notice| notice.message.contains("its namespace is being deleted"));
        assert!(!told || abandoned, "{scene}");
        assert_eq!(
            told,
            scene.contains("compensation failed"),
            "{scene}: {:?}",
            world.notices.last()
        );
    }
}

#[test]
fn abandoned_sagas_go_at_once_in_every_phase_and_name_what_is_in_effect() {
    for (scene, make) in SCENES {
        let mut world = make();
        let (sent, began, ended) = (
            world.sent().len(),
            !world.sent().is_empty(),
            world.status().phase.is_some_and(SagaPhase::is_terminal),
        );
        world.edit(|spec| spec.deletion_policy = Some(DeletionPolicy::Abandon));
        if world.finalizer {
            world.deleting = true;
            world.run_to_rest();
        } else {
            world.delete();
        }
        assert!(world.gone && world.sent().len() == sent, "{scene}: {:?}", world.status());
        let notice = world.notices.iter().find(|notice| notice.reason == "Abandoned");
        assert_eq!(notice.is_some(), began && !ended, "{scene}");
        for step in world.services.in_effect.iter().filter(|_| notice.is_some()) {
            let (_, named) = notice.unwrap().message.split_once("still in effect: ").unwrap();
            assert!(
                named.split(", ").any(|name| name == step),
                "{scene}: {step} is in effect and not in {named}"
            );
        }
    }
}
