//! Processes that die or are about to end, and clocks that jump.

use saga_operator::{
    api::{
        Direction::{self, Compensation},
        Outcome, SagaPhase, StepPhase,
    },
    model::skew::Skew,
};

use crate::{
    lifecycle::order,
    saga::{Policy, attempts, saga},
    script::{never_ends, seconds, succeeds, times},
    world::World,
};

#[test]
fn a_request_that_was_under_way_when_the_process_died_is_unknown() {
    let mut world = World::with(saga().http("a").retry(attempts(2)))
        .on("a", vec![succeeds().takes(seconds(20))]);
    world.run_until(|world| !world.sent().is_empty());
    world.crash(seconds(1));
    world.run_until(|world| world.is("a", StepPhase::Retrying));
    assert!(world.step("a").action.unwrap().uncertain);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.keys("a", Direction::Action)),
        (SagaPhase::Completed, vec!["0", "0"])
    );
}

#[test]
fn a_pod_outlives_the_process() {
    let mut world = World::with(saga().pod("a")).on("a", vec![succeeds().takes(seconds(100))]);
    world.run_until(|world| !world.sent().is_empty());
    world.crash(seconds(50));
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Completed, 1));
}

#[test]
fn an_intent_whose_age_no_clock_tells_is_unknown_once_it_has_been_known_for_thirty_seconds() {
    for (ahead, settled_after) in [(0, 30), (10, 40), (40, 60)] {
        let mut world = World::with(saga().pod("a").timeout("1h")).crash_at(2, seconds(30));
        world.skew = Skew { ahead: seconds(ahead), ..Skew::default() };
        world.run_to_rest();
        let attempt = world.step("a").action.unwrap().attempts.pop().unwrap();
        let took = attempt.settled_at.0.duration_since(attempt.started_at.0).as_secs();
        assert_eq!(
            (attempt.outcome, took, world.sent().len()),
            (Outcome::Unknown, settled_after, 0),
            "{ahead} s ahead"
        );
    }
}

#[test]
fn an_intent_whose_pod_never_existed_is_begun_again_within_thirty_seconds_and_unknown_after() {
    let draft = saga().pod("a").timeout("1h");
    // The moves are the finalizer and the status. Then the process dies, before the Pod is created.
    let mut world = World::with(draft.clone()).crash_at(2, seconds(29));
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.sent_at("a", Direction::Action)),
        (SagaPhase::Completed, vec![29_000])
    );
    let mut world = World::with(draft.clone()).crash_at(2, seconds(30));
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Failed, 0));
    assert!(world.message().contains("its Pod may have been created"), "{}", world.message());
    // The same holds if the creations are lost one after the other.
    let mut world = World::with(draft.clone()).on("a", vec![succeeds().lost_first(28)]);
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
    let mut world = World::with(draft).on("a", vec![succeeds().lost_first(40)]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Failed, seconds(30)));
}

#[test]
fn a_definite_refusal_of_the_api_server_costs_no_attempt_and_ends_with_the_attempts_time() {
    let mut world =
        World::with(saga().pod("a").timeout("5m")).on("a", vec![succeeds().refused_first(200)]);
    world.run_until(|world| world.elapsed() >= seconds(100));
    assert_eq!((world.step("a").message.as_deref(), world.writes), (Some("exceeded quota"), 2));
    world.run_to_rest();
    assert_eq!((world.phase(), world.step("a").action.unwrap().attempt), (SagaPhase::Completed, 1));
    let mut world = World::with(saga().pod("a").undo().timeout("1m").compensating())
        .on("a", vec![succeeds().refused_first(200)]);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.elapsed(), world.undone().len()),
        (SagaPhase::Compensated, seconds(60), 0)
    );
}

#[test]
fn a_pod_noted_and_gone_is_unknown_after_a_restart() {
    let mut world =
        World::with(saga().pod("a")).on("a", vec![crate::script::vanishes().takes(seconds(10))]);
    world.run_until(|world| world.writes == 2);
    assert_eq!(world.elapsed(), seconds(2));
    world.crash(seconds(10));
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Failed, 1));
    assert!(world.message().contains("its Pod vanished"), "{}", world.message());
}

#[test]
fn a_process_that_dies_all_the_time_gets_there_in_the_end() {
    for every in 2..9 {
        let mut world =
            World::with(order().compensating()).fails("c", 1).on_undo("b", times(2, &never_ends()));
        for moves in (every..200).step_by(every) {
            world = world.crash_at(moves, seconds(1));
        }
        world.run_to_rest();
        assert!(world.crashes > 0);
    }
}

#[test]
fn a_process_that_is_about_to_end_begins_nothing_and_records_what_ends() {
    let mut world = World::with(order().compensating())
        .fails("c", 1)
        .on("a", vec![succeeds().takes(seconds(5))]);
    world.run_until(|world| world.sent().len() == 1);
    world.draining = true;
    world.run_for(seconds(100));
    assert_eq!(
        (world.done(), world.sent().len(), world.phase()),
        (vec!["a"], 1, SagaPhase::Running)
    );
    world.crash(seconds(0));
    world.run_until(|world| world.is("c", StepPhase::Running));
    world.draining = true;
    world.run_for(seconds(100));
    assert_eq!(
        (world.is("c", StepPhase::Failed), world.sent_at("b", Compensation).len()),
        (true, 0)
    );
    world.crash(seconds(0));
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["b", "a"]));
}

#[test]
fn an_intent_that_never_left_is_left_to_the_next_process_while_this_one_ends() {
    let mut world = World::with(saga().pod("a")).on("a", vec![succeeds().lost_first(1)]);
    assert!(world.look().is_ok());
    world.draining = true;
    world.run_for(seconds(5));
    assert!(world.sent().is_empty());
    world.crash(seconds(1));
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Completed, 1));
}

#[test]
fn a_clock_that_is_set_back_delays_and_breaks_nothing() {
    let draft = saga()
        .http("a")
        .undo()
        .retry(attempts(3).always("10s").deadline("10m"))
        .then_pod("b")
        .undo()
        .then_http("c")
        .compensating();
    let mut world =
        World::with(draft).fails("a", 1).fails("c", 1).on("b", vec![succeeds().takes(seconds(40))]);
    let back = |world: &mut World| world.now -= jiff::SignedDuration::from_mins(5);
    world.run_until(|world| world.is("a", StepPhase::Retrying));
    back(&mut world);
    world.run_until(|world| world.is("b", StepPhase::Running));
    back(&mut world);
    world.crash(seconds(0));
    world.run_until(|world| world.is("a", StepPhase::Compensating));
    back(&mut world);
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["b", "a"]));
}

#[test]
fn a_clock_that_jumps_ahead_ends_what_is_overdue_and_nothing_else() {
    let draft =
        saga().http("a").undo().timeout("1m").then_pod("b").undo().timeout("1h").compensating();
    let mut world = World::with(draft).on("b", vec![succeeds().takes(seconds(900))]);
    world.run_until(|world| world.elapsed() >= seconds(10));
    world.now += jiff::SignedDuration::from_mins(5);
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}
