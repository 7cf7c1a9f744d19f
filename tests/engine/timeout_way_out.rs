//! The ways out of a saga that timed out: continuing with a fresh timeout, and an undo.

use std::time::Duration;

use saga_operator::api::{
    Direction, OnFailure, RequestAction, RequestResult, SagaPhase, StepPhase,
};

use crate::{
    saga::{Policy, attempts, duration, saga},
    scenes::timed_out,
    script::seconds,
    timeout::{order, takes},
    world::World,
};

use RequestAction::{Cancel, Compensate, Pause, Resume, Retry, Skip};

#[test]
fn a_saga_in_which_nothing_was_active_fails_by_itself_and_goes_on_when_retried() {
    let mut world = timed_out();
    assert_eq!(
        (world.condition("Ready").as_deref(), world.elapsed()),
        (Some("False/TimedOut"), seconds(10))
    );
    assert!(world.status().steps.iter().all(|step| step.phase != StepPhase::Failed));
    let message = "the saga's timeout of 10s passed. The saga waits for you. To go on with a \
        fresh timeout: kubectl annotate --overwrite saga/order-1042 saga.dev/retry='*' -n shop";
    assert_eq!(world.message(), message);
    assert!(
        world.refused(Retry, "b").contains("step b is Pending"),
        "no step is to be tried again"
    );
    assert_eq!(world.demand(Retry, "*"), "the saga goes on now, with a fresh timeout");
    assert_eq!((world.status().timed_out_at, world.phase()), (None, SagaPhase::Running));
    world.run_to_rest();
    assert_eq!((world.phase(), world.status().retry_requests), (SagaPhase::Completed, 1));
}

#[test]
fn a_saga_that_timed_out_has_other_ways_out() {
    for (action, value, phase) in
        [(Compensate, "no", SagaPhase::Compensated), (Cancel, "no", SagaPhase::Cancelled)]
    {
        let mut world = timed_out();
        world.demand(action, value);
        world.run_to_rest();
        assert_eq!(world.phase(), phase);
    }
    // A skipped step is settled. The saga stays timed out unless no step is left to be done.
    let mut world = timed_out();
    world.demand(Skip, "b");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.condition("Ready").as_deref()),
        (SagaPhase::Failed, Some("False/TimedOut"))
    );
    world.demand(Skip, "c");
    world.run_to_rest();
    assert_eq!((world.phase(), world.done()), (SagaPhase::Completed, vec!["a"]));
    let mut world = timed_out();
    world.edit(|spec| spec.on_failure = Some(OnFailure::Compensate));
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["a"]));
    let mut world = timed_out();
    world.delete();
    world.run_to_rest();
    assert_eq!((world.gone, world.undone()), (true, vec!["a"]));
}

#[test]
fn a_retry_counts_among_those_that_are_allowed_also_where_no_step_failed() {
    let mut world = timed_out();
    world.edit(|spec| spec.max_retry_requests = Some(0));
    assert!(world.refused(Retry, "*").contains("raise it first"));
}

#[test]
fn where_a_failure_compensates_so_does_the_timeout() {
    let mut world = World::with(order().compensating()).on("b", vec![takes(25)]);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.undone(), world.still_in_effect().len()),
        (SagaPhase::Compensated, vec!["b", "a"], 0)
    );
    assert!(world.message().contains("the saga's timeout of 10s passed"), "{}", world.message());
    // The same holds if no attempt was active.
    let mut world = World::with(order().compensating()).on("a", vec![takes(10)]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["a"]));
    // After a pivot the saga is held instead.
    let draft = saga()
        .http("a")
        .undo()
        .then_http("pay")
        .pivot()
        .then_http("c")
        .compensating()
        .within("10s");
    let mut world = World::with(draft).on("pay", vec![takes(9)]);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.undone().len(), world.condition("Ready").as_deref()),
        (SagaPhase::Failed, 0, Some("False/TimedOut"))
    );
}

#[test]
fn there_is_no_timeout_on_the_way_back() {
    let draft = saga()
        .http("a")
        .undo()
        .undo_retry(attempts(5).always("1h"))
        .then_http("b")
        .compensating()
        .within("10s");
    let mut world = World::with(draft).fails("b", 1).undo_fails("a", 3);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.undone(), world.status().timed_out_at),
        (SagaPhase::Compensated, vec!["a"], None)
    );
    assert!(world.elapsed() > Duration::from_hours(3));
    // The timeout applies neither in CompensationFailed nor to an undo that was requested late.
    let draft =
        saga().http("a").undo().undo_retry(attempts(1)).then_http("b").compensating().within("10s");
    let mut world = World::with(draft).fails("b", 1).undo_fails("a", 1);
    world.run_to_rest();
    world.run_for(seconds(1000));
    world.demand(Retry, "a");
    world.run_to_rest();
    assert_eq!((world.phase(), world.status().timed_out_at), (SagaPhase::Compensated, None));
    let mut world = World::with(order());
    world.run_to_rest();
    world.run_for(seconds(1000));
    world.demand(Compensate, "returned");
    world.run_to_rest();
    assert_eq!((world.phase(), world.status().timed_out_at), (SagaPhase::Compensated, None));
}

#[test]
fn a_retry_gives_a_fresh_one() {
    let mut world = World::with(order()).on("b", vec![takes(25)]).on("c", vec![takes(25)]);
    world.run_to_rest();
    world.run_for(seconds(1000));
    let retried = world.elapsed();
    assert_eq!(world.demand(Retry, "b"), "step b is tried again now, with a fresh budget");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.elapsed().saturating_sub(retried)),
        (SagaPhase::Failed, seconds(10))
    );
    assert!(world.is("b", StepPhase::Completed) && world.is("c", StepPhase::Failed));
    world.demand(Retry, "*");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.keys("c", Direction::Action)),
        (SagaPhase::Completed, vec!["0", "0"])
    );
    // The same holds while the saga runs.
    let draft = saga().http("a").retry(attempts(3).always("8s")).then_http("b").within("10s");
    let mut world = World::with(draft).fails("a", 1).on("b", vec![takes(9)]);
    world.run_for(seconds(5));
    world.demand(Retry, "a");
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Completed, seconds(15)));
}

#[test]
fn a_retry_on_the_way_back_leaves_it_alone() {
    let mut world = crate::scenes::compensation_failed();
    let before = world.status().timeout_started_at;
    world.demand(Retry, "b");
    assert_eq!(world.status().timeout_started_at, before);
}

#[test]
fn a_timeout_that_passed_is_taken_back_by_a_retry_and_by_nothing_else() {
    let mut world = timed_out();
    let at = world.status().timed_out_at;
    world.edit(|spec| spec.timeout = Some(duration("10h")));
    world.run_to_rest();
    world.demand(Pause, "lunch");
    world.demand(Resume, "back");
    world.run_to_rest();
    assert_eq!(
        (world.status().timed_out_at, world.phase(), world.sent().len()),
        (at, SagaPhase::Failed, 1)
    );
    world.demand(Retry, "*");
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn a_retry_of_a_saga_that_timed_out_is_refused_while_it_is_undone() {
    let mut world =
        World::with(order().compensating()).on("a", vec![takes(10)]).on_undo("a", vec![takes(20)]);
    world.run_until(|world| world.is("a", StepPhase::Compensating));
    assert!(world.status().timed_out_at.is_some());
    assert_eq!(world.ask(Retry, "*").result, RequestResult::Refused);
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Compensated);
}
