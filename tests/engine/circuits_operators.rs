//! Circuits as several replicas report them, and circuits under a clock that was set.

use std::time::Duration;

use saga_operator::api::{SagaPhase, StepPhase};

use crate::{
    circuits::open,
    saga::{Policy, attempts, saga},
    script::{seconds, unknown},
    world::World,
};

#[test]
fn two_operators_whose_circuits_opened_at_different_instants_do_not_contradict_each_other() {
    let mut world = World::with(saga().http("a"));
    world.opens("a", 30);
    world.run_for(seconds(1));
    let writes = world.writes;
    for until in [35, 20, 60] {
        world.opens("a", until);
        world.run_for(Duration::ZERO);
    }
    world.half_opens("a", 0);
    world.run_for(Duration::ZERO);
    assert_eq!(
        (world.step_message("a"), world.writes),
        (open("a", "2026-01-01T00:00:30.000Z"), writes),
        "an instant to come stands"
    );
    // A replica whose circuit is closed, and which has no capacity, writes nothing either.
    world.closes("a");
    world.takes("a.shop.svc", 0);
    world.run_for(Duration::ZERO);
    assert_eq!(world.writes, writes);
    world.host_capacity.clear();
    world.draining = true;
    world.run_for(Duration::ZERO);
    assert_eq!(world.writes, writes, "nor does one that begins nothing take it back");
}

#[test]
fn two_operators_of_which_one_has_no_room_tell_the_same_of_a_step_that_is_tried_again() {
    let mut world =
        World::with(saga().http("a").retry(attempts(3).always("5s"))).on("a", vec![unknown()]);
    world.run_until(|world| world.is("a", StepPhase::Retrying));
    world.half_opens("a", 0);
    world.run_for(seconds(10));
    let (told, writes) = (world.message(), world.writes);
    assert!(told.starts_with("step a waits: CircuitOpen: one call at a time"), "{told}");
    for _ in 0..3 {
        world.closes("a");
        world.takes("a.shop.svc", 0);
        world.run_for(Duration::ZERO);
        world.host_capacity.clear();
        world.half_opens("a", 0);
        world.run_for(Duration::ZERO);
    }
    assert_eq!((world.message(), world.writes), (told, writes));
}

#[test]
fn a_wall_clock_that_was_set_makes_nobody_look_without_end() {
    let mut world = World::with(saga().http("a"));
    world.opens("a", 0);
    world.run_for(seconds(60));
    assert!(world.sent().is_empty());
    world.closes("a");
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}
