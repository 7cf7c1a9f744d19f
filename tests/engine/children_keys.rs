//! Child sagas that follow an earlier child of the same step, and continue with its keys.

use saga_operator::api::{Direction, SagaPhase, StepPhase, names::ANNOTATION_KEYS};
use serde_json::json;

use crate::{saga::saga, script::not_reached, world::World};

/// Creates a child saga that follows an earlier child. The earlier child was refused twice under
/// its first keys, and then did the step.
fn follower() -> World {
    let mut world = World::with(saga().http("a").undo().then_http("b").compensating());
    let keys =
        json!({"a": {"action": 2, "compensation": 1, "mayHaveActed": true}, "b": {"action": 1}});
    world.annotate(ANNOTATION_KEYS, &keys.to_string());
    world
}

#[test]
fn a_child_that_follows_an_earlier_one_goes_on_with_its_keys() {
    let mut world = follower();
    world.run_until(|world| world.is("a", StepPhase::Running));
    // The annotation was already read. Removing or replacing it no longer changes anything.
    world.strip(ANNOTATION_KEYS);
    let mut world = world.fails("b", 1);
    world.run_to_rest();
    assert_eq!(
        (world.keys("a", Direction::Action), world.keys("b", Direction::Action)),
        (vec!["2"], vec!["1"])
    );
    assert_eq!(world.keys("a", Direction::Compensation), ["1"]);
    assert_eq!(world.phase(), SagaPhase::Compensated);
}

#[test]
fn what_the_earlier_child_may_have_done_is_undone_where_the_later_one_does_not_get_as_far() {
    let mut world = follower().on("a", vec![not_reached()]);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.undone()),
        (SagaPhase::Compensated, vec!["a"]),
        "nothing was sent now, and something may have been before"
    );
    // Without an earlier child, nothing was ever done.
    let mut world = World::with(saga().http("a").undo().then_http("b").compensating())
        .on("a", vec![not_reached()]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec![]));
}

#[test]
fn an_annotation_that_says_nothing_sensible_moves_no_keys() {
    for text in [
        "",
        "[]",
        "{\"a\": {\"action\": -1}}",
        "{\"a\": {\"action\": 9007199254740993}}",
        "{\"a\": 1}",
    ] {
        let mut world = World::with(saga().http("a"));
        world.annotate(ANNOTATION_KEYS, text);
        world.run_to_rest();
        assert_eq!(
            (world.phase(), world.keys("a", Direction::Action)),
            (SagaPhase::Completed, vec!["0"]),
            "{text}"
        );
    }
}
