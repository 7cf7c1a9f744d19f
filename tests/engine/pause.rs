//! Pausing and resuming by request, in addition to `spec.suspend`.

use saga_operator::api::{Direction, RequestAction, RequestResult, SagaPhase, StepPhase};

use crate::{
    saga::{Policy, attempts, saga},
    scenes::{SCENES, failed, order},
    script::{seconds, succeeds},
    world::World,
};

use RequestAction::{Approve, Pause, Reject, Resume, Retry, Skip};

/// Creates a world in which the second of three steps is under way for nine seconds.
pub(crate) fn in_the_middle() -> World {
    let mut world = World::with(order()).on("b", vec![succeeds().takes(seconds(9))]);
    world.run_until(|world| world.is("b", StepPhase::Running));
    world
}

#[test]
fn what_is_active_settles_and_nothing_starts_until_the_saga_is_resumed() {
    let mut world = in_the_middle();
    assert_eq!(
        world.demand(Pause, "lunch"),
        "active attempts settle, and nothing starts until the saga is resumed"
    );
    assert_eq!(
        (world.phase(), world.status().paused.unwrap().reason.as_str()),
        (SagaPhase::Paused, "lunch")
    );
    assert_eq!(world.condition("Ready").as_deref(), Some("False/Paused"));
    assert_eq!((world.condition("Reconciling"), world.condition("Stalled")), (None, None));
    assert!(
        world
            .message()
            .starts_with("paused (lunch): nothing new starts until saga.dev/resume is set"),
        "{}",
        world.message()
    );
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.done(), world.sent().len()),
        (SagaPhase::Paused, vec!["a", "b"], 2)
    );
    let writes = world.writes;
    world.run_for(seconds(100_000));
    assert_eq!(world.writes, writes, "a paused saga is left alone");
    assert_eq!(world.demand(Resume, "back"), "the saga goes on");
    world.run_to_rest();
    assert_eq!((world.phase(), world.status().paused), (SagaPhase::Completed, None));
}

#[test]
fn a_pause_outlives_the_process() {
    let mut world = in_the_middle();
    world.demand(Pause, "lunch");
    world.run_to_rest();
    world.crash(seconds(1));
    world.run_for(seconds(1000));
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Paused, 2));
}

/// Returns how many attempts began, whether or not they were sent already.
fn intents(world: &World) -> i64 {
    let steps = world.status().steps;
    steps
        .iter()
        .flat_map(|step| [&step.action, &step.compensation])
        .flatten()
        .map(|record| record.attempt)
        .sum()
}

#[test]
fn a_saga_that_is_paused_before_it_began_begins_when_it_is_resumed() {
    let mut world = World::with(order());
    world.demand(Pause, "not yet");
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent().len(), world.finalizer), (SagaPhase::Paused, 0, false));
    world.demand(Resume, "now");
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn a_pause_that_is_asked_for_again_keeps_its_instant_and_takes_the_new_reason() {
    let mut world = in_the_middle();
    world.demand(Pause, "lunch");
    let at = world.status().paused.unwrap().at;
    world.run_for(seconds(5));
    world.demand(Pause, "a long lunch");
    let paused = world.status().paused.unwrap();
    assert_eq!((paused.at, paused.reason.as_str()), (at, "a long lunch"));
}

#[test]
fn a_reason_is_cut_and_no_reason_is_one_with_a_token() {
    let mut world = in_the_middle();
    world.demand(Pause, &"x".repeat(5000));
    assert!(world.status().paused.unwrap().reason.chars().count() <= 200);
    world.demand(Pause, "@t1");
    assert_eq!(world.status().paused.unwrap().reason, "");
    assert!(
        world.message().starts_with("paused: nothing new starts until saga.dev/resume is set"),
        "{}",
        world.message()
    );
}

#[test]
fn every_phase_that_is_not_an_end_is_paused_and_reads_as_it_should() {
    for (scene, make) in SCENES {
        let mut world = make();
        let (before, deleting) = (world.status(), world.deleting);
        let answer = world.ask(Pause, "lunch");
        let held = world.condition("Ready").is_some_and(|ready| ready.ends_with("InvalidSpec"));
        if deleting
            || before.cancel_requested.is_some()
            || before.phase.is_some_and(SagaPhase::is_terminal)
            || held
        {
            assert_eq!(answer.result, RequestResult::Refused, "{scene}");
            continue;
        }
        let expected = match before.phase {
            None | Some(SagaPhase::Pending | SagaPhase::Running) => SagaPhase::Paused,
            Some(phase) => phase,
        };
        assert_eq!((answer.result, world.phase()), (RequestResult::Accepted, expected), "{scene}");
        assert_eq!(world.condition("Ready").as_deref(), Some("False/Paused"), "{scene}");
        assert_eq!(world.condition("Reconciling"), None, "{scene}");
        let stalled = matches!(expected, SagaPhase::Failed | SagaPhase::CompensationFailed);
        assert_eq!(world.condition("Stalled").is_some(), stalled, "{scene}");
        let begun = intents(&world);
        world.run_to_rest();
        world.run_for(seconds(10_000));
        assert_eq!(intents(&world), begun, "{scene}: nothing new begins");
    }
}

#[test]
fn a_paused_saga_says_so_whatever_it_was_doing() {
    for (scene, make) in SCENES {
        let mut world = make();
        if world.ask(Pause, "lunch").result == RequestResult::Accepted {
            let suspended = world.spec.suspend == Some(true);
            let told = if suspended {
                "suspended: nothing"
            } else {
                "paused (lunch): nothing new starts until saga.dev/resume is set"
            };
            assert!(world.message().contains(told), "{scene}: {}", world.message());
        }
    }
}

#[test]
fn a_paused_saga_answers() {
    let mut world = failed();
    world.demand(Pause, "lunch");
    world.demand(Retry, "b");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.sent().len(), world.is("b", StepPhase::Retrying)),
        (SagaPhase::Paused, 2, true)
    );
    world.demand(Skip, "b");
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Paused, 2));
    world.demand(Resume, "back");
    world.run_to_rest();
    assert_eq!((world.phase(), world.done()), (SagaPhase::Completed, vec!["a", "c"]));

    for (answer, phase) in [(Approve, StepPhase::Completed), (Reject, StepPhase::Failed)] {
        let mut world = World::with(saga().approval("ok").http("a").after(&["ok"]));
        world.run_to_rest();
        world.demand(Pause, "lunch");
        world.demand(answer, "ok");
        world.run_to_rest();
        assert!(world.is("ok", phase) && world.sent().is_empty(), "{answer}");
    }
}

#[test]
fn pause_and_suspend_are_two_flags_and_both_have_to_be_off() {
    let mut world = in_the_middle();
    world.demand(Pause, "lunch");
    world.suspend();
    world.run_to_rest();
    assert!(
        world.message().starts_with("suspended: nothing new starts until spec.suspend is false"),
        "{}",
        world.message()
    );
    assert_eq!(
        world.refused(Resume, "back"),
        "spec.suspend is true, which no request overrides: set it to false"
    );
    assert!(world.status().paused.is_some(), "a refusal changes nothing");
    world.unsuspend();
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Paused, 2), "still paused");
    world.demand(Resume, "back");
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
    // The same in the other order.
    let mut world = in_the_middle();
    world.suspend();
    world.demand(Pause, "lunch");
    world.unsuspend();
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Paused);
}

#[test]
fn what_is_not_paused_cannot_be_resumed() {
    let mut world = in_the_middle();
    assert_eq!(world.refused(Resume, "back"), "the saga is not paused");
    world.suspend();
    world.run_to_rest();
    assert!(world.refused(Resume, "back").contains("spec.suspend is true"));
}

#[test]
fn the_time_limit_of_an_attempt_runs_on_and_a_deadline_stands_still() {
    let draft = saga().http("a").timeout("20s").retry(attempts(5).always("4s").deadline("31s"));
    let mut world = World::with(draft).on("a", vec![crate::script::never_ends()]).fails("a", 0);
    world.run_for(seconds(5));
    world.demand(Pause, "lunch");
    world.run_to_rest();
    assert_eq!(
        (world.elapsed(), world.is("a", StepPhase::Retrying)),
        (seconds(20), true),
        "its time limit ended it"
    );
    world.run_for(seconds(1000));
    world.demand(Resume, "back");
    world.run_to_rest();
    // Five seconds of the deadline were used.
    assert_eq!(
        (world.phase(), world.sent_at("a", Direction::Action).len()),
        (SagaPhase::Completed, 2),
        "{}",
        world.message()
    );
}

#[test]
fn a_backoff_that_passed_while_paused_is_not_waited_for_again() {
    let mut world = World::with(saga().http("a").retry(attempts(2).always("10s"))).fails("a", 1);
    world.run_until(|world| world.is("a", StepPhase::Retrying));
    world.demand(Pause, "lunch");
    world.run_for(seconds(1000));
    world.demand(Resume, "back");
    assert!(world.is("a", StepPhase::Running), "{:?}", world.step("a"));
}

#[test]
fn pauses_and_resumes_are_acted_on_once_wherever_the_process_dies() {
    for moves in 1..10 {
        let mut world = in_the_middle().crash_later(moves, seconds(1));
        world.annotate(Pause.annotation(), "lunch");
        world.run_to_rest();
        let mut world = world.crash_later(moves, seconds(1));
        world.annotate(Resume.annotation(), "back");
        world.run_to_rest();
        let told: Vec<_> =
            world.status().requests.iter().map(|record| (record.action, record.result)).collect();
        let accepted = RequestResult::Accepted;
        assert!(
            told == [(Pause, accepted), (Resume, accepted)],
            "dies after {moves} moves: {told:?}"
        );
    }
}
