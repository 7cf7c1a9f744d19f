//! The timeout of a saga: how long a saga may go forward.

use saga_operator::api::{Outcome, RequestAction, SagaPhase, StepPhase};

use crate::{
    saga::{Draft, Policy, attempts, duration, saga},
    scenes::SCENES,
    script::{Act, never_ends, says_no, seconds, stuck, succeeds, unknown},
    world::World,
};

use RequestAction::Pause;

pub(crate) fn takes(count: u64) -> Act {
    succeeds().takes(seconds(count))
}

/// Returns a saga of three HTTP requests with a timeout of ten seconds.
pub(crate) fn order() -> Draft {
    saga().http("a").undo().then_http("b").undo().then_http("c").within("10s")
}

#[test]
fn a_saga_that_keeps_within_its_time_never_hears_of_it() {
    let mut world = World::with(order()).on("b", vec![takes(7)]);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.elapsed(), world.status().timed_out_at),
        (SagaPhase::Completed, seconds(9), None)
    );
    assert!(world.warnings().is_empty());
}

#[test]
fn a_pod_that_is_active_is_stopped_and_may_have_done_it() {
    let draft = saga().http("a").undo().then_pod("b").undo().then_http("c").within("10s");
    let mut world = World::with(draft).on("b", vec![never_ends()]);
    world.run_until(|world| world.status().timed_out_at.is_some());
    assert_eq!(
        (world.elapsed(), world.is("b", StepPhase::Running)),
        (seconds(10), true),
        "its Pod is still there"
    );
    assert_eq!(world.warnings(), ["TimedOut"]);
    world.run_to_rest();
    let action = world.step("b").action.unwrap();
    assert_eq!(
        (world.phase(), action.attempts[0].outcome, world.elapsed()),
        (SagaPhase::Failed, Outcome::Unknown, seconds(11))
    );
    assert_eq!(world.condition("Ready").as_deref(), Some("False/TimedOut"));
    assert_eq!(world.condition("Stalled").as_deref(), Some("True/TimedOut"));
    assert!(
        world.message().starts_with(
            "the saga's timeout of 10s passed; step b failed: attempt 1 may have happened: "
        ),
        "{}",
        world.message()
    );
    assert!(world.is("c", StepPhase::Pending));
}

#[test]
fn a_request_that_is_active_ends_with_the_sagas_time() {
    let mut world = World::with(order()).on("b", vec![takes(25)]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Failed, seconds(10)));
    assert_eq!(world.step("b").action.unwrap().attempts[0].outcome, Outcome::Unknown);
    assert!(
        world
            .step("b")
            .message
            .unwrap()
            .contains("(the saga's timeout of 10s passed); it may have acted: "),
        "{:?}",
        world.step("b").message
    );
}

#[test]
fn no_attempt_follows_one_that_was_stopped_whatever_its_budget() {
    let draft = saga()
        .http("a")
        .retry(attempts(9).always("1s"))
        .http("b")
        .retry(attempts(9).always("1s"))
        .parallel(2)
        .within("10s");
    let mut world =
        World::with(draft).on("a", vec![takes(25)]).on("b", vec![says_no().takes(seconds(10))]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Failed, 2));
    assert!(world.is("a", StepPhase::Failed) && world.is("b", StepPhase::Failed));
}

#[test]
fn a_step_that_waits_for_its_next_attempt_fails() {
    let draft =
        saga().http("a").undo().then_http("b").undo().retry(attempts(5).always("1h")).within("10s");
    let mut world = World::with(draft.clone()).fails("b", 1);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.elapsed(), world.step("b").phase),
        (SagaPhase::Failed, seconds(10), StepPhase::Failed)
    );
    assert_eq!(
        world.step("b").message.as_deref(),
        Some("the saga's timeout of 10s passed; attempt 1 failed: no")
    );
    // If the attempt may have acted, the step is undone.
    let mut world = World::with(draft.compensating()).on("b", vec![unknown()]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["b", "a"]));
}

#[test]
fn what_only_waits_fails_as_well() {
    for draft in [saga().approval("w").then_http("b"), saga().wait("w", "1h").then_http("b")] {
        let mut world = World::with(draft.within("10s"));
        world.run_to_rest();
        assert_eq!(
            (world.phase(), world.elapsed(), world.step("w").phase),
            (SagaPhase::Failed, seconds(10), StepPhase::Failed)
        );
        assert_eq!(
            world.step("w").message.as_deref(),
            Some("attempt 1 failed: the saga's timeout of 10s passed")
        );
        assert_eq!(world.step("w").action.unwrap().attempts[0].outcome, Outcome::Failed);
    }
}

#[test]
fn the_end_comes_before_the_time_that_passes_with_it() {
    let mut world = World::with(saga().http("a").within("10s")).on("a", vec![takes(10)]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Completed, seconds(10)));
}

#[test]
fn it_counts_from_the_recorded_instant_whoever_looks() {
    let draft = saga().pod("a").within("1h");
    let mut world = World::with(draft).on("a", vec![never_ends()]);
    world.run_for(seconds(60));
    world.crash(seconds(3000));
    world.run_until(|world| world.status().timed_out_at.is_some());
    assert_eq!(world.elapsed(), seconds(3600));
}

#[test]
fn it_may_be_changed_while_the_saga_runs() {
    let mut world = World::with(order()).on("b", vec![takes(25)]);
    world.run_until(|world| world.is("b", StepPhase::Running));
    world.edit(|spec| spec.timeout = Some(duration("5s")));
    world.run_to_rest();
    // The HTTP request was sent with its own time limit, and is aborted at the new end.
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Failed, seconds(5)));
    let mut world = World::with(saga().pod("b").within("10s")).on("b", vec![takes(25)]);
    world.run_for(seconds(5));
    world.edit(|spec| spec.timeout = None);
    world.run_to_rest();
    assert_eq!((world.phase(), world.status().timed_out_at), (SagaPhase::Completed, None));
}

#[test]
fn the_time_limit_of_an_attempt_that_is_shorter_comes_first() {
    let mut world =
        World::with(saga().pod("a").timeout("5s").within("1h")).on("a", vec![never_ends()]);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.condition("Ready").as_deref()),
        (SagaPhase::Failed, Some("False/StepFailed"))
    );
    assert_eq!(world.elapsed(), seconds(6));
}

#[test]
fn in_every_situation_the_timeout_only_touches_what_goes_forward() {
    for (scene, make) in SCENES {
        let mut world = make();
        let before = world.status();
        let back =
            matches!(before.phase, Some(SagaPhase::Compensating | SagaPhase::CompensationFailed));
        let still = world.spec.suspend == Some(true)
            || before.paused.is_some()
            || before.phase == Some(SagaPhase::Failed);
        let ends =
            before.phase.is_some_and(SagaPhase::is_terminal) || before.cancel_requested.is_some();
        if ends || world.saga.is_err() || before.timed_out_at.is_some() {
            continue;
        }
        let one_more_second = format!("{}ms", world.elapsed().as_millis() + 1000);
        world.edit(|spec| spec.timeout = Some(duration(&one_more_second)));
        world.run_for(seconds(10_000));
        assert_eq!(
            world.status().timed_out_at.is_some(),
            !(back || still),
            "{scene}: {:?}",
            world.status()
        );
    }
}

#[test]
fn a_request_that_does_not_end_itself_is_aborted_at_the_sagas_time() {
    let mut world =
        World::with(saga().http("a").timeout("10m").within("10s")).on("a", vec![stuck()]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Failed, seconds(10)));
    // The same holds for the retry deadline.
    let draft = saga().http("a").timeout("10m").retry(attempts(2).deadline("10s"));
    let mut world = World::with(draft).on("a", vec![stuck()]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Failed, seconds(10)));
}

#[test]
fn a_timeout_that_is_lowered_below_what_was_used_has_passed() {
    let mut world = World::with(order()).on("a", vec![takes(5)]);
    world.run_for(seconds(5));
    world.demand(Pause, "lunch");
    world.run_to_rest();
    world.edit(|spec| spec.timeout = Some(duration("2s")));
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.condition("Ready").as_deref()),
        (SagaPhase::Failed, Some("False/Paused"))
    );
    assert!(world.status().timed_out_at.is_some());
}
