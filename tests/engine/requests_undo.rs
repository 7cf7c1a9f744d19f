//! Requests that users make by annotation: to undo a saga.

use saga_operator::api::{OnFailure, RequestResult, SagaPhase, StepPhase};

use crate::{
    requests::{COMPENSATE, ask, held, last, seconds, takes},
    saga::saga,
    world::World,
};

#[test]
fn a_held_saga_is_undone_when_someone_asks() {
    let mut world = held();
    let record = ask(&mut world, COMPENSATE, "the customer called");
    assert_eq!(
        (record.result, world.phase(), world.undone()),
        (RequestResult::Accepted, SagaPhase::Compensated, vec!["a"])
    );
    assert!(
        world.message().contains("the undo was requested: the customer called"),
        "{}",
        world.message()
    );
}

#[test]
fn a_running_saga_lets_what_is_active_settle_before_it_is_undone() {
    let mut world = World::with(saga().http("a").undo().then_http("b").undo().then_http("c"))
        .on("b", vec![takes(20)]);
    world.run_until(|world| world.is("b", StepPhase::Running));
    world.annotate(COMPENSATE, "no");
    world.run_for(seconds(5));
    assert_eq!((world.phase(), world.undone().len()), (SagaPhase::Running, 0));
    assert!(
        world.message().contains("active attempts settle first, then the saga is undone"),
        "{}",
        world.message()
    );
    world.crash(seconds(1));
    world.run_to_rest();
    assert_eq!((world.phase(), world.still_in_effect().len()), (SagaPhase::Compensated, 0));
    assert!(world.is("c", StepPhase::Pending));
}

#[test]
fn a_completed_saga_is_undone_when_someone_asks_and_its_finalizer_comes_back_first() {
    let mut world = World::with(saga().http("a").undo().then_http("b").undo());
    world.run_to_rest();
    assert!(world.phase() == SagaPhase::Completed && !world.finalizer);
    world.annotate(COMPENSATE, "returned");
    world.run_until(|world| world.phase() == SagaPhase::Compensating);
    assert!(
        world.finalizer
            && world.status().completed_at.is_none()
            && world.status().still_in_effect.is_none()
    );
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["b", "a"]));
    let refused = ask(&mut world, COMPENSATE, "again");
    assert_eq!(
        refused.message,
        "the saga is Compensated: compensate is allowed while it is Running, Paused, Failed and \
         Completed"
    );
}

#[test]
fn a_completed_saga_whose_spec_changed_is_not_undone_by_it() {
    let mut world = World::with(saga().http("a").undo());
    world.run_to_rest();
    world.edit(|spec| spec.steps[0].http.as_mut().unwrap().body = None);
    let refused = ask(&mut world, COMPENSATE, "returned");
    assert!(refused.message.contains("restore the spec first"), "{refused:?}");
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn an_undo_that_was_asked_for_before_the_pivot_was_passed_is_not_carried_out_after_it() {
    let mut world = World::with(saga().http("a").undo().then_http("pay").pivot().then_http("c"))
        .on("pay", vec![takes(20)]);
    world.run_until(|world| world.is("pay", StepPhase::Running));
    world.annotate(COMPENSATE, "no");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.done(), last(&world).result),
        (SagaPhase::Completed, vec!["a", "pay", "c"], RequestResult::Accepted)
    );
    assert!(world.warnings().contains(&"PivotPassed"));
}

#[test]
fn a_saga_that_turns_back_by_its_policy_can_be_asked_as_well() {
    let mut world = held();
    world.edit(|spec| spec.on_failure = Some(OnFailure::Compensate));
    world.annotate(COMPENSATE, "");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.status().requests.len()),
        (SagaPhase::Compensated, 0),
        "blanks ask for nothing"
    );
}

#[test]
fn nobody_is_told_to_ask_for_what_is_refused() {
    let mut world = World::with(saga().http("a").undo().then_http("pay").pivot().then_http("ship"))
        .fails("ship", 1);
    world.run_to_rest();
    assert_eq!(ask(&mut world, COMPENSATE, "no").result, RequestResult::Refused);
    assert!(
        world.message().contains("saga.dev/skip=ship to go on without it"),
        "{}",
        world.message()
    );
    assert!(!world.message().contains(COMPENSATE), "{}", world.message());
}

#[test]
fn a_completed_saga_of_which_nothing_can_be_undone_ends_anew_at_once() {
    let mut world = World::with(saga().http("a"));
    world.run_to_rest();
    let first = world.status().completed_at.unwrap();
    world.run_for(seconds(3600));
    ask(&mut world, COMPENSATE, "returned");
    assert_eq!(
        (world.phase(), world.still_in_effect()),
        (SagaPhase::Compensated, vec!["a".to_owned()])
    );
    let second = world.status().completed_at.unwrap();
    assert!(second.0.duration_since(first.0).as_secs() >= 3600, "{first:?} {second:?}");
}
