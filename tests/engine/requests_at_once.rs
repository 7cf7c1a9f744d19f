//! Two or more requests at once. In every situation, the order of the requests determines the
//! result.

use saga_operator::api::{RequestAction, RequestResult, SagaPhase, StepPhase};

use crate::{
    saga::saga,
    scenes::{SCENES, Wanted, failed, failed_beside, order, value_for},
    script::{seconds, succeeds},
    world::World,
};

use RequestAction::{Approve, Cancel, Compensate, Pause, Reject, Resume, Retry, Skip};

#[test]
fn two_requests_at_once_are_answered_in_their_order_in_every_situation() {
    for (scene, make) in SCENES {
        for (place, first) in RequestAction::ALL.into_iter().enumerate() {
            for second in RequestAction::ALL.into_iter().skip(place + 1) {
                let mut world = make();
                // The annotations are written in the opposite order. The order of the answers is
                // that of the operator.
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

/// A scene: its name, its world, the two requests, which of them are accepted in the order of the
/// answers, and a check of the world.
type Pair<'a> = (&'a str, fn() -> World, [Wanted<'a>; 2], [bool; 2], fn(&World) -> bool);

fn failed_and_more() -> World {
    let draft = saga().http("a").undo().http("b").undo().http("d").parallel(3);
    let mut world = World::with(draft).fails("b", 2).fails("d", 2);
    world.run_to_rest();
    world
}

pub(crate) fn two_approvals() -> World {
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
