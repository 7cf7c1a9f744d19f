//! Cancelling. Active work is stopped, nothing is undone, and the steps in effect are named.

use std::time::Duration;

use saga_operator::api::{RequestAction, RequestResult, SagaPhase, StepPhase};

use crate::{
    saga::{attempts, saga},
    scenes::{SCENES, order, undoing, value_for},
    script::{never_ends, seconds, succeeds, unknown, unknown_but_done},
    world::World,
};

use RequestAction::{Cancel, Compensate, Retry};

/// Creates a world in which a Pod runs that never ends on its own, after a step that succeeded.
pub(crate) fn pod_runs() -> World {
    let mut world = World::with(saga().http("a").undo().then_pod("b").undo().then_http("c"))
        .on("b", vec![never_ends()]);
    world.run_until(|world| world.is("b", StepPhase::Running));
    world
}

#[test]
fn every_saga_that_has_not_ended_is_cancelled_and_undoes_nothing() {
    for (scene, make) in SCENES {
        let mut world = make();
        let (before, undone, sent) = (world.status(), world.undone().len(), world.sent().len());
        let answer = world.ask(Cancel, "enough");
        let held = world.condition("Ready").is_some_and(|ready| ready.ends_with("InvalidSpec"));
        if before.cancel_requested.is_some()
            || before.phase.is_some_and(SagaPhase::is_terminal)
            || held
        {
            assert_eq!(answer.result, RequestResult::Refused, "{scene}");
            continue;
        }
        assert_eq!(
            (answer.result, answer.message.as_str()),
            (RequestResult::Accepted, "active attempts are stopped, and nothing is undone")
        );
        if !world.gone {
            world.run_to_rest();
        }
        assert_eq!(world.phase(), SagaPhase::Cancelled, "{scene}: {:?}", world.status());
        // A Pod whose creation was refused is not created after all. A compensation that was under
        // way may have been carried out.
        assert_eq!(
            (world.sent().len(), world.undone().len()),
            (sent, undone),
            "{scene}: nothing more leaves"
        );
        assert!(!world.finalizer && world.gone == world.deleting, "{scene}");
        assert_eq!((world.status().paused, world.status().current_steps), (None, None), "{scene}");
        assert_eq!(world.condition("Ready").as_deref(), Some("False/Cancelled"), "{scene}");
        assert_eq!(world.condition("Stalled").as_deref(), Some("True/Cancelled"), "{scene}");
        // The watcher of every write asserts that the steps in effect are named.
        let named = world.still_in_effect();
        let message = world.message();
        let told = if named.is_empty() {
            "nothing is in effect".into()
        } else {
            format!("still in effect: {}", named.join(","))
        };
        assert_eq!(message, format!("cancelled: enough; {told}"), "{scene}");
        let phases: Vec<_> = world.status().steps.iter().map(|step| step.phase).collect();
        assert!(
            !phases.iter().any(|phase| {
                matches!(
                    phase,
                    StepPhase::Running
                        | StepPhase::Retrying
                        | StepPhase::Waiting
                        | StepPhase::Compensating
                )
            }),
            "{scene}: {phases:?}"
        );
    }
}

#[test]
fn a_saga_that_is_cancelled_before_it_began_did_nothing() {
    let mut world = World::with(order());
    world.demand(Cancel, "enough");
    assert_eq!(
        (world.phase(), world.writes, world.sent().len(), world.finalizer),
        (SagaPhase::Cancelled, 1, 0, false)
    );
    assert_eq!(
        (world.still_in_effect(), world.status().progress.as_deref()),
        (Vec::new(), Some("0/3"))
    );
}

#[test]
fn a_saga_that_was_never_accepted_is_mended_or_deleted_and_not_cancelled() {
    let mut world = World::with(saga().http("a").parallel(0));
    world.run_to_rest();
    assert!(world.refused(Cancel, "enough").contains("the saga is held (InvalidSpec)"));
    world.delete();
    assert!(world.gone);
}

#[test]
fn a_step_that_waited_to_be_tried_again_failed_and_is_named_where_it_may_have_happened() {
    for (act, still) in [
        (unknown(), vec!["a", "b"]),
        (unknown_but_done(), vec!["a", "b"]),
        (crate::script::says_no(), vec!["a"]),
    ] {
        let draft = saga().http("a").undo().then_http("b").undo().retry(attempts(2));
        let mut world = World::with(draft).on("b", vec![act]);
        world.run_until(|world| world.is("b", StepPhase::Retrying));
        world.demand(Cancel, "enough");
        assert_eq!(
            (world.phase(), world.step("b").phase),
            (SagaPhase::Cancelled, StepPhase::Failed)
        );
        assert_eq!(
            (world.still_in_effect(), world.step("b").next_attempt_at),
            (still.into_iter().map(str::to_owned).collect(), None)
        );
    }
}

#[test]
fn a_step_that_only_waits_is_not_reached() {
    for draft in [
        saga().http("a").approval("b").after(&["a"]),
        saga().http("a").wait("b", "1h").after(&["a"]),
    ] {
        let mut world = World::with(draft);
        world.run_until(|world| world.is("b", StepPhase::Waiting));
        world.demand(Cancel, "enough");
        assert_eq!(
            (world.phase(), world.step("b").phase),
            (SagaPhase::Cancelled, StepPhase::Pending)
        );
        assert_eq!(
            (world.step("b").message.as_deref(), world.still_in_effect()),
            (Some("not reached"), vec!["a".to_owned()])
        );
    }
}

#[test]
fn the_undoing_stops_where_it_is_and_what_it_did_not_come_to_stays_in_effect() {
    let mut world = undoing();
    world.demand(Cancel, "enough");
    world.run_to_rest();
    let step = |name: &str| world.step(name).phase;
    assert_eq!(
        (world.phase(), step("a"), step("b")),
        (SagaPhase::Cancelled, StepPhase::Completed, StepPhase::CompensationFailed)
    );
    assert_eq!(
        (world.still_in_effect(), world.status().progress.as_deref()),
        (vec!["a".to_owned(), "b".to_owned()], Some("0/2"))
    );
    // A step that was undone before the cancel stays undone.
    let mut world = undoing();
    world.run_until(|world| world.is("a", StepPhase::Compensating));
    world.demand(Cancel, "enough");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.still_in_effect()),
        (SagaPhase::Cancelled, vec!["a".to_owned()])
    );
}

#[test]
fn while_it_is_undone_the_saga_stays_compensating_until_all_is_stopped() {
    let draft = saga().http("a").undo_by_pod().then_http("b").compensating();
    let mut world = World::with(draft).fails("b", 1).on_undo("a", vec![never_ends()]);
    world.run_until(|world| world.is("a", StepPhase::Compensating));
    world.demand(Cancel, "enough");
    assert_eq!(world.phase(), SagaPhase::Compensating);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.still_in_effect()),
        (SagaPhase::Cancelled, vec!["a".to_owned()])
    );
}

#[test]
fn everything_else_is_refused_while_the_saga_is_being_cancelled() {
    for make in [pod_runs as fn() -> World, || {
        let draft = saga().http("a").undo_by_pod().then_http("b").compensating();
        let mut world = World::with(draft).fails("b", 1).on_undo("a", vec![never_ends()]);
        world.run_until(|world| world.is("a", StepPhase::Compensating));
        world
    }] {
        for action in RequestAction::ALL {
            let mut world = make();
            world.demand(Cancel, "enough");
            let told = world.refused(action, value_for(action));
            let cancelling = told
                == "the saga is being cancelled: active attempts are stopped, and nothing else is \
                    done";
            assert!(
                cancelling || told.starts_with("the saga is Compensating: "),
                "{action}: {told}"
            );
            world.run_to_rest();
            assert_eq!(
                (world.phase(), world.status().cancel_requested.as_deref()),
                (SagaPhase::Cancelled, Some("enough"))
            );
        }
    }
}

#[test]
fn a_cancelled_saga_stays_as_it_is() {
    let mut world = pod_runs();
    world.demand(Cancel, "enough");
    world.run_to_rest();
    for action in RequestAction::ALL {
        assert!(world.refused(action, value_for(action)).starts_with("the saga is Cancelled: "));
    }
    let writes = world.writes;
    world.run_for(seconds(100_000));
    world.crash(seconds(1));
    world.run_to_rest();
    assert_eq!((world.writes, world.finalizer), (writes, false));
    world.delete();
    assert!(world.gone && world.undone().is_empty());
}

#[test]
fn a_saga_that_is_deleted_is_let_go_by_a_cancel() {
    let mut world = World::with(order()).on("b", vec![succeeds().takes(seconds(9))]);
    world.run_until(|world| world.is("b", StepPhase::Running));
    world.delete();
    world.run_for(Duration::ZERO);
    world.demand(Cancel, "enough");
    world.run_to_rest();
    assert!(world.gone && world.undone().is_empty());
    assert_eq!(world.still_in_effect(), ["a", "b"]);
}

#[test]
fn a_paused_and_a_suspended_saga_are_cancelled_as_well() {
    for suspend in [false, true] {
        let mut world = pod_runs();
        if suspend {
            world.suspend();
        } else {
            world.demand(RequestAction::Pause, "lunch");
        }
        world.demand(Cancel, "enough");
        assert_eq!(world.phase(), SagaPhase::Paused);
        world.run_to_rest();
        assert_eq!((world.phase(), world.status().paused), (SagaPhase::Cancelled, None));
    }
}

#[test]
fn a_cancel_is_acted_on_once_wherever_the_process_dies() {
    for moves in 1..12 {
        let mut world = pod_runs().crash_later(moves, seconds(1));
        world.annotate(Cancel.annotation(), "enough");
        world.run_to_rest();
        assert_eq!(
            (world.phase(), world.status().requests.len()),
            (SagaPhase::Cancelled, 1),
            "dies after {moves} moves"
        );
        assert!(!world.annotations.contains_key(Cancel.annotation()) && world.undone().is_empty());
    }
}

#[test]
fn nothing_that_was_asked_for_before_is_done_after_a_cancel() {
    let mut world = pod_runs();
    world.demand(Compensate, "no");
    world.demand(Cancel, "enough");
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone().len()), (SagaPhase::Cancelled, 0));
    // A retry that was to begin in the same reconcile as the cancel does not begin.
    let mut world = World::with(saga().http("a").retry(attempts(2))).fails("a", 1);
    world.run_until(|world| world.is("a", StepPhase::Retrying));
    world.now += jiff::SignedDuration::from_secs(5);
    world.ask_together(&[(Retry, "a"), (Cancel, "enough")]);
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Cancelled, 1));
}
