//! The events that end the wait for a circuit before the circuit closes: a deadline, a timeout, or
//! a request.

use saga_operator::api::{Direction, SagaPhase, StepPhase};

use crate::{
    saga::{Policy, attempts, saga},
    script::{seconds, unknown},
    world::World,
};

#[test]
fn a_retry_deadline_ends_a_step_that_waits_for_its_circuit_when_it_passes() {
    let draft = saga().http("a").retry(attempts(5).always("5s").deadline("20s"));
    let mut world = World::with(draft).on("a", vec![unknown()]);
    world.run_until(|world| world.is("a", StepPhase::Retrying));
    world.opens("a", 3600);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.elapsed(), world.sent().len()),
        (SagaPhase::Failed, seconds(20), 1)
    );
    let message = world.step_message("a");
    assert!(
        message.starts_with(
            "its retry deadline passed: CircuitOpen: too many calls to http://a.shop.svc:80"
        ),
        "{message}"
    );
    assert!(message.contains(". Before: attempt 1 may have happened: "), "{message}");
}

#[test]
fn the_deadline_of_a_compensation_passes_as_well() {
    let draft = saga()
        .http("a")
        .undo()
        .undo_retry(attempts(5).always("5s").deadline("20s"))
        .then_http("b")
        .compensating();
    let mut world = World::with(draft).fails("b", 1).on_undo("a", vec![unknown()]);
    world.run_until(|world| world.is("a", StepPhase::Compensating));
    world.run_until(|world| world.step("a").next_attempt_at.is_some());
    world.opens("undo-a", 3600);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.sent_at("a", Direction::Compensation).len()),
        (SagaPhase::CompensationFailed, 1)
    );
    assert_eq!(world.elapsed(), seconds(22), "20 s after its budget began");
}

#[test]
fn the_timeout_of_the_saga_ends_the_waiting() {
    let mut world = World::with(saga().http("a").then_http("b").within("10s"));
    world.opens("b", 3600);
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Failed, seconds(10)));
    assert_eq!(
        (world.is("b", StepPhase::Pending), world.step("b").message),
        (true, None),
        "it waits for its circuit no more"
    );
}

#[test]
fn who_pauses_or_skips_or_cancels_waits_for_no_circuit() {
    use saga_operator::api::RequestAction::{Cancel, Pause, Resume, Skip};
    let waiting = || {
        let mut world = World::with(saga().http("a").then_http("b"));
        world.opens("a", 3600);
        world.run_for(seconds(1));
        assert!(world.step_message("a").starts_with("CircuitOpen"));
        world
    };
    let mut world = waiting();
    world.demand(Pause, "lunch");
    assert_eq!(world.step("a").message, None);
    world.demand(Resume, "back");
    assert!(world.step_message("a").starts_with("CircuitOpen"));
    world.demand(Skip, "a");
    world.run_to_rest();
    assert_eq!((world.phase(), world.done()), (SagaPhase::Completed, vec!["b"]));
    let mut world = waiting();
    world.demand(Cancel, "no");
    world.run_to_rest();
    assert_eq!((world.phase(), world.step("a").message), (SagaPhase::Cancelled, None));
}
