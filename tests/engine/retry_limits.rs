//! How long attempts continue: the deadline of all attempts, and the time limit of each attempt.

use saga_operator::api::{Direction::Action, SagaPhase, StepPhase};

use crate::{
    saga::{Policy, attempts, saga},
    script::{never_ends, never_starts, seconds, stuck, succeeds, turned_away},
    world::World,
};

#[test]
fn the_deadline_ends_the_budget_before_an_attempt_that_would_begin_after_it() {
    let mut world =
        World::with(saga().http("a").retry(attempts(9).always("4s").deadline("11s"))).fails("a", 9);
    world.run_to_rest();
    // The attempts begin at 0, 5 and 10 seconds. A fourth attempt would begin at 15 seconds.
    assert_eq!(world.sent_at("a", Action), [0, 5000, 10_000]);
    assert_eq!(world.elapsed(), seconds(11));
    assert!(
        world.message().contains("its retry deadline would pass before the next attempt"),
        "{}",
        world.message()
    );
}

#[test]
fn the_deadline_cuts_an_attempt_that_is_running() {
    let request = saga().http("a").timeout("20s").retry(attempts(9).deadline("7s"));
    let mut world = World::with(request).on("a", vec![never_ends()]);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.elapsed(), world.sent().len()),
        (SagaPhase::Failed, seconds(7), 1)
    );
    let pod = saga().pod("a").retry(attempts(9).deadline("7s"));
    let mut world = World::with(pod).on("a", vec![never_ends()]);
    world.run_to_rest();
    // The Pod is stopped at the deadline, and disappears one second later.
    assert_eq!(
        (world.phase(), world.elapsed(), world.sent().len()),
        (SagaPhase::Failed, seconds(8), 1)
    );
}

#[test]
fn the_deadline_ends_a_step_that_found_no_slot_in_time() {
    // A step keeps its slot while it waits. It finds no slot only if maxParallel is lowered
    // meanwhile.
    let draft = saga()
        .http("a")
        .retry(attempts(3).always("2s").deadline("5s"))
        .http("b")
        .timeout("1m")
        .parallel(2);
    let mut world = World::with(draft).fails("a", 1).on("b", vec![succeeds().takes(seconds(30))]);
    world.run_until(|world| world.is("a", StepPhase::Retrying));
    world.edit(|spec| spec.max_parallel = Some(1));
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent_at("a", Action)), (SagaPhase::Failed, vec![0]));
    assert!(
        world.message().contains("its retry deadline passed: attempt 1 failed: no"),
        "{}",
        world.message()
    );
}

#[test]
fn nothing_begins_in_the_look_that_finds_a_passed_deadline() {
    let draft = saga()
        .http("a")
        .retry(attempts(3).always("6s"))
        .http("b")
        .retry(attempts(3).always("3s").deadline("5s"));
    let mut world = World::with(draft.parallel(2)).fails("a", 1).fails("b", 1);
    world.run_until(|world| {
        world.is("a", StepPhase::Retrying) && world.is("b", StepPhase::Retrying)
    });
    // No process reconciles until both steps are due.
    world.crash(seconds(60));
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Failed, 2));
    assert!(world.is("a", StepPhase::Retrying) && world.is("b", StepPhase::Failed));
}

#[test]
fn the_deadline_stands_still_while_the_saga_is_suspended() {
    let draft = saga().http("a").retry(attempts(4).always("4s").deadline("11s"));
    let mut world = World::with(draft).fails("a", 4);
    world.run_until(|world| world.is("a", StepPhase::Retrying));
    world.suspend();
    world.run_for(seconds(1000));
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Paused, 1));
    world.unsuspend();
    world.run_to_rest();
    // One of eleven seconds was used. Attempts follow at once and 5 seconds later, but no fourth
    // attempt.
    assert_eq!(world.sent_at("a", Action), [0, 1_001_000, 1_006_000]);
}

#[test]
fn an_attempt_timeout_runs_on_while_the_saga_is_suspended() {
    let mut world = World::with(saga().http("a").timeout("5s")).on("a", vec![never_ends()]);
    world.run_until(|world| world.writes == 1);
    world.suspend();
    world.run_for(seconds(5));
    assert!(world.is("a", StepPhase::Failed));
}

#[test]
fn what_the_other_side_wants_waited_for_is_not_waited_for_past_the_deadline() {
    let draft = saga().http("a").retry(attempts(2).deadline("1m"));
    let mut world = World::with(draft).on("a", vec![turned_away().and_wants(seconds(300))]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Failed, seconds(1)));
}

#[test]
fn a_request_that_takes_too_long_is_unknown_and_tried_again() {
    let draft = saga().http("a").timeout("5s").retry(attempts(2).always("1s"));
    let mut world = World::with(draft).on("a", vec![succeeds().takes(seconds(6))]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent_at("a", Action)), (SagaPhase::Completed, vec![0, 6000]));
    assert_eq!(world.keys("a", Action), ["0", "0"]);
}

#[test]
fn a_request_that_does_not_end_itself_is_stopped_two_seconds_past_its_limit() {
    let mut world = World::with(saga().http("a").timeout("5s")).on("a", vec![stuck()]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Failed, seconds(7)));
    assert!(world.step("a").action.unwrap().uncertain);
}

#[test]
fn a_pod_that_takes_too_long_is_stopped_and_settles_only_when_it_is_gone() {
    let mut world = World::with(saga().pod("a").timeout("1m")).on("a", vec![never_ends()]);
    world.run_until(|world| world.elapsed() >= seconds(60));
    assert!(world.is("a", StepPhase::Running));
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Failed, seconds(61)));
    assert!(world.step("a").action.unwrap().uncertain);
}

#[test]
fn a_pod_that_no_node_took_within_its_time_never_started() {
    let mut world = World::with(saga().pod("a").undo().timeout("1m").compensating())
        .on("a", vec![never_starts()]);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.elapsed(), world.still_in_effect().len()),
        (SagaPhase::Compensated, seconds(60), 0)
    );
    assert!(world.undone().is_empty() && !world.step("a").action.unwrap().uncertain);
}
