//! Every request in every situation, the ways out of each, and several requests at once.

use saga_operator::{
    api::{DeletionPolicy, RequestAction, RequestResult, SagaPhase, StepPhase},
    engine::request::allowed,
};

use crate::{
    saga::{attempts, saga},
    scenes::{
        SCENES, Wanted, compensation_failed, failed, failed_beside, order, undoing, value_for,
    },
    script::{seconds, succeeds},
    world::World,
};

use RequestAction::{Approve, Cancel, Compensate, Pause, Reject, Resume, Retry, Skip};

/// What a status says apart from the answers to requests.
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
            assert!(
                !answer.message.is_empty() && !world.annotations.contains_key(action.annotation()),
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
                let backward =
                    matches!(phase, SagaPhase::Compensating | SagaPhase::CompensationFailed)
                        || world.deleting
                        || before.compensation_requested.is_some();
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
                    && allowed::in_step_phases(action, backward).contains(&step.phase)
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
                    accepted_by.insert((action, step.phase, backward));
                }
            }
        }
    }
    // The scenes hold every case of the table.
    for action in [Reject, Approve, Skip, Retry] {
        for backward in [false, true] {
            for phase in allowed::in_step_phases(action, backward) {
                assert!(
                    accepted_by.contains(&(action, *phase, backward)),
                    "{action} of a step that is {phase:?}, backward: {backward}"
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
                // Only what a person has to look at keeps a saga that is deleted.
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
        let left: Vec<_> = world.other_side.in_effect.iter().filter(left).collect();
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
        for step in world.other_side.in_effect.iter().filter(|_| notice.is_some()) {
            let (_, named) = notice.unwrap().message.split_once("still in effect: ").unwrap();
            assert!(
                named.split(", ").any(|name| name == step),
                "{scene}: {step} is in effect and not in {named}"
            );
        }
    }
}

#[test]
fn two_requests_at_once_are_answered_in_their_order_in_every_situation() {
    for (scene, make) in SCENES {
        for (place, first) in RequestAction::ALL.into_iter().enumerate() {
            for second in RequestAction::ALL.into_iter().skip(place + 1) {
                let mut world = make();
                // Written the other way round: the order is that of the operator.
                let answers =
                    world.ask_together(&[(second, value_for(second)), (first, value_for(first))]);
                let order: Vec<_> = answers.iter().map(|(action, _)| *action).collect();
                assert_eq!(order, [first, second], "{scene}");
                let mut alone = make();
                let accepted = alone.ask(first, value_for(first)).result == RequestResult::Accepted;
                assert_eq!(
                    answers[0].1, accepted,
                    "{scene}: what is asked for later changes nothing of what {first} is answered"
                );
                if !world.gone {
                    world.run_to_rest();
                }
            }
        }
    }
}

/// A scene, what is asked for together, and what is accepted of it in the order of the answers.
type Pair<'a> = (&'a str, fn() -> World, [Wanted<'a>; 2], [bool; 2], fn(&World) -> bool);

fn failed_and_more() -> World {
    let draft = saga().http("a").undo().http("b").undo().http("d").parallel(3);
    let mut world = World::with(draft).fails("b", 2).fails("d", 2);
    world.run_to_rest();
    world
}

fn two_approvals() -> World {
    let mut world = World::with(saga().http("a").undo().approval("b").approval("d").parallel(3));
    world.run_to_rest();
    world
}

fn running() -> World {
    let mut world = World::with(order()).on("b", vec![succeeds().takes(seconds(15))]);
    world.run_until(|world| world.is("b", StepPhase::Running));
    world
}

fn paused() -> World {
    let mut world = running();
    world.demand(Pause, "lunch");
    world.run_to_rest();
    world
}

#[test]
fn pairs_that_meet_come_to_what_the_order_says() {
    let pairs: [Pair<'_>; 16] = [
        ("pause, then resume", running, [(Pause, "no"), (Resume, "no")], [true, true], |world| {
            world.phase() == SagaPhase::Completed
        }),
        (
            "resume a paused one that is paused again",
            paused,
            [(Pause, "no"), (Resume, "no")],
            [true, true],
            |world| world.phase() == SagaPhase::Completed,
        ),
        (
            "cancel beats compensate",
            failed,
            [(Cancel, "no"), (Compensate, "no")],
            [true, false],
            |world| world.phase() == SagaPhase::Cancelled && world.undone().is_empty(),
        ),
        ("cancel beats resume", paused, [(Cancel, "no"), (Resume, "no")], [true, false], |world| {
            world.phase() == SagaPhase::Cancelled
        }),
        ("cancel beats pause", running, [(Cancel, "no"), (Pause, "no")], [true, false], |world| {
            world.phase() == SagaPhase::Cancelled
        }),
        (
            "cancel beats approve",
            two_approvals,
            [(Cancel, "no"), (Approve, "b")],
            [true, false],
            |world| world.phase() == SagaPhase::Cancelled && world.is("b", StepPhase::Pending),
        ),
        ("cancel beats retry", failed, [(Cancel, "no"), (Retry, "b")], [true, false], |world| {
            world.phase() == SagaPhase::Cancelled
        }),
        (
            "compensate, and nothing is undone before it is resumed",
            failed,
            [(Compensate, "no"), (Pause, "no")],
            [true, true],
            |world| {
                world.phase() == SagaPhase::Compensating
                    && world.undone().is_empty()
                    && world.condition("Ready").unwrap() == "False/Paused"
            },
        ),
        (
            "compensate a paused one and resume it",
            paused,
            [(Compensate, "no"), (Resume, "no")],
            [true, true],
            |world| world.phase() == SagaPhase::Compensated && world.undone() == ["b", "a"],
        ),
        (
            "compensate beats approve",
            two_approvals,
            [(Compensate, "no"), (Approve, "b")],
            [true, false],
            |world| world.phase() == SagaPhase::Compensated && world.is("b", StepPhase::Pending),
        ),
        (
            "compensate beats skip",
            failed,
            [(Compensate, "no"), (Skip, "b")],
            [true, false],
            |world| world.is("b", StepPhase::Failed),
        ),
        (
            "reject beats approve",
            two_approvals,
            [(Reject, "b"), (Approve, "b")],
            [true, false],
            |world| world.is("b", StepPhase::Failed),
        ),
        (
            "reject one, approve the other",
            two_approvals,
            [(Reject, "b"), (Approve, "d")],
            [true, true],
            |world| world.is("b", StepPhase::Failed) && world.is("d", StepPhase::Completed),
        ),
        (
            "reject, and have it asked again",
            two_approvals,
            [(Reject, "b"), (Retry, "b")],
            [true, true],
            |world| {
                world.is("b", StepPhase::Waiting) && world.step("b").action.unwrap().attempt == 2
            },
        ),
        ("skip beats retry", failed, [(Skip, "b"), (Retry, "b")], [true, false], |world| {
            world.phase() == SagaPhase::Completed
        }),
        (
            "skip one, retry the other",
            failed_and_more,
            [(Skip, "b"), (Retry, "d")],
            [true, true],
            |world| {
                world.is("b", StepPhase::Skipped)
                    && world.is("d", StepPhase::Failed)
                    && world.step("d").action.unwrap().attempt == 2
            },
        ),
    ];
    for (told, make, wanted, accepted, holds) in pairs {
        let mut world = make();
        let answers: Vec<_> =
            world.ask_together(&wanted).into_iter().map(|(_, accepted)| accepted).collect();
        assert_eq!(answers, accepted, "{told}: {:?}", world.status().requests);
        world.run_to_rest();
        assert!(holds(&world), "{told}: {:?}", world.status());
    }
}

#[test]
fn pausing_and_retrying_at_once_makes_the_attempt_when_the_saga_is_resumed() {
    let mut world = failed();
    assert_eq!(world.ask_together(&[(Pause, "no"), (Retry, "b")]), [(Pause, true), (Retry, true)]);
    world.run_for(seconds(1000));
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Paused, 2));
    let told = world.status().requests.last().unwrap().message.clone();
    assert_eq!(
        told,
        "step b is tried again as soon as the saga is no longer paused, with a fresh budget"
    );
    world.demand(Resume, "back");
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn all_nine_at_once_leave_what_the_first_of_them_did() {
    let mut world = failed_beside("b");
    let wanted = RequestAction::ALL.map(|action| (action, value_for(action)));
    let answers = world.ask_together(&wanted);
    let expected: Vec<_> =
        RequestAction::ALL.into_iter().map(|action| (action, action == Cancel)).collect();
    assert_eq!(answers, expected);
    world.run_to_rest();
    assert_eq!((world.phase(), world.status().requests.len()), (SagaPhase::Cancelled, 9));
}

#[test]
fn a_saga_that_could_not_be_undone_has_four_ways_out() {
    type Act = fn(&mut World);
    let ways: [(&str, Act, SagaPhase, &[&str]); 3] = [
        ("retry", |world| drop(world.demand(Retry, "b")), SagaPhase::Compensated, &[]),
        ("skip", |world| drop(world.demand(Skip, "b")), SagaPhase::Compensated, &["b"]),
        ("cancel", |world| drop(world.demand(Cancel, "enough")), SagaPhase::Cancelled, &["a", "b"]),
    ];
    for (way, act, phase, still) in ways {
        for deleting in [false, true] {
            let mut world = compensation_failed();
            if deleting {
                world.delete();
                world.run_to_rest();
                assert!(
                    !world.gone && world.message().contains("set spec.deletionPolicy to Abandon"),
                    "{}",
                    world.message()
                );
            }
            act(&mut world);
            if !world.gone {
                world.run_to_rest();
            }
            assert_eq!(
                (world.phase(), world.still_in_effect(), world.gone),
                (phase, still.iter().map(ToString::to_string).collect(), deleting),
                "{way}"
            );
            assert!(!world.finalizer, "{way}");
        }
    }
    let mut world = compensation_failed();
    world.delete();
    world.edit(|spec| spec.deletion_policy = Some(DeletionPolicy::Abandon));
    world.run_to_rest();
    assert!(world.gone);
    assert_eq!(
        world.notices.last().unwrap().message,
        "deletionPolicy is Abandon: the saga goes as it is; still in effect: a, b"
    );
}

#[test]
fn a_compensation_that_failed_is_tried_as_often_as_is_asked_for_and_all_or_nothing() {
    let draft = saga()
        .http("a")
        .undo()
        .undo_retry(attempts(1))
        .http("b")
        .undo()
        .undo_retry(attempts(1))
        .http("c")
        .parallel(3)
        .compensating();
    let mut world = World::with(draft).fails("c", 1).undo_fails("a", 2).undo_fails("b", 1);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.still_in_effect()),
        (SagaPhase::CompensationFailed, vec!["a".to_owned(), "b".to_owned()])
    );
    assert!(world.refused(Retry, "a,c").contains("step c is Failed"));
    world.demand(Retry, "*");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.still_in_effect(), world.undone()),
        (SagaPhase::CompensationFailed, vec!["a".to_owned()], vec!["b"])
    );
    world.demand(Retry, "a");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.keys("a", saga_operator::api::Direction::Compensation)),
        (SagaPhase::Compensated, vec!["0", "1", "2"])
    );
}

#[test]
fn a_compensation_under_way_can_be_neither_retried_nor_skipped() {
    for action in [Retry, Skip] {
        let mut world = undoing();
        let told = world.refused(action, "b");
        assert!(told.contains("step b is Compensating"), "{told}");
        world.run_to_rest();
        assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["b", "a"]));
    }
}

/// A saga whose steps failed one beside the other, so that each can be skipped.
fn many_failed(count: usize) -> World {
    let mut draft = saga();
    for place in 0..count {
        draft = draft.http(&format!("s{place}"));
    }
    let mut world = World::with(draft.parallel(64));
    for place in 0..count {
        world = world.fails(&format!("s{place}"), 1);
    }
    world.run_to_rest();
    world
}

/// One step and outputs of so many bytes.
fn outputs(step: &str, bytes: usize) -> String {
    let text = "x".repeat(bytes - r#"{"a":""}"#.len());
    format!(r#"{step}={{"a":"{text}"}}"#)
}

#[test]
fn the_outputs_of_a_skipped_step_are_kept() {
    let mut world = failed();
    let told = world.demand(Skip, r#"b={"tracking":"T-1","parts":[1,2.5,{"deep":null}]}"#);
    assert_eq!(told, "step b is skipped and counts as done");
    world.run_to_rest();
    let kept = serde_json::to_value(world.step("b").outputs).unwrap();
    assert_eq!(
        (world.phase(), kept),
        (
            SagaPhase::Completed,
            serde_json::json!({"tracking": "T-1", "parts": [1, 2.5, {"deep": null}]})
        )
    );
    // Also of a step that has not begun, and of one that waits; none where none are given.
    let mut world = two_approvals();
    world.demand(Skip, r"b={}@t1");
    world.demand(Skip, "d");
    assert_eq!(
        (world.step("b").outputs, world.step("d").outputs),
        (Some(serde_json::Map::new()), None)
    );
}

#[test]
fn outputs_have_their_bounds_for_one_step_and_for_all() {
    let mut world = many_failed(9);
    assert_eq!(
        world.refused(Skip, &outputs("s0", 4097)),
        "the outputs of a step may have at most 4096 bytes"
    );
    assert!(world.refused(Skip, r#"s0,s1={"a":1}"#).contains("one step at a time"));
    for place in 0..8 {
        world.demand(Skip, &outputs(&format!("s{place}"), 4096));
    }
    let told = world.refused(Skip, r#"s8={"a":1}"#);
    assert_eq!(
        told,
        "the outputs of all steps may have at most 32768 bytes together, and these add 7 to 32768"
    );
    world.demand(Skip, "s8");
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn no_outputs_are_taken_while_the_saga_is_undone() {
    let mut world = compensation_failed();
    let told = world.refused(Skip, r#"b={"a":1}"#);
    assert_eq!(
        told,
        "the saga is being undone, where no step reads outputs any more: write only the step's name"
    );
    world.demand(Skip, "b");
}
