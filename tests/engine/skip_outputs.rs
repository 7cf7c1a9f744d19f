//! The outputs that a user gives to a step that is skipped.

use saga_operator::api::{RequestAction, SagaPhase};

use crate::{
    requests_at_once::two_approvals,
    saga::saga,
    scenes::{compensation_failed, failed},
    world::World,
};

use RequestAction::Skip;

/// Creates a saga whose parallel steps all failed, so that each can be skipped.
fn many_failed(count: usize) -> World {
    let mut draft = saga();
    for place in 0..count {
        draft = draft.http(&format!("s{place}"));
    }
    let mut world = World::with(draft.parallel(64));
    for place in 0..count {
        world = world.fails(&format!("s{place}"), 1);
    }
    world.run_to_rest();
    world
}

/// Returns a request value of one step and outputs of this many bytes.
fn outputs(step: &str, bytes: usize) -> String {
    let text = "x".repeat(bytes - r#"{"a":""}"#.len());
    format!(r#"{step}={{"a":"{text}"}}"#)
}

#[test]
fn the_outputs_of_a_skipped_step_are_kept() {
    let mut world = failed();
    let told = world.demand(Skip, r#"b={"tracking":"T-1","parts":[1,2.5,{"deep":null}]}"#);
    assert_eq!(told, "step b is skipped and counts as done");
    world.run_to_rest();
    let kept = serde_json::to_value(world.step("b").outputs).unwrap();
    assert_eq!(
        (world.phase(), kept),
        (
            SagaPhase::Completed,
            serde_json::json!({"tracking": "T-1", "parts": [1, 2.5, {"deep": null}]})
        )
    );
    // The same holds for a step that has not begun, and for a step that waits. A step has no
    // outputs if none are given.
    let mut world = two_approvals();
    world.demand(Skip, r"b={}@t1");
    world.demand(Skip, "d");
    assert_eq!(
        (world.step("b").outputs, world.step("d").outputs),
        (Some(serde_json::Map::new()), None)
    );
}

#[test]
fn outputs_have_their_bounds_for_one_step_and_for_all() {
    let mut world = many_failed(9);
    assert_eq!(
        world.refused(Skip, &outputs("s0", 4097)),
        "the outputs of a step may have at most 4096 bytes"
    );
    assert!(world.refused(Skip, r#"s0,s1={"a":1}"#).contains("one step at a time"));
    for place in 0..8 {
        world.demand(Skip, &outputs(&format!("s{place}"), 4096));
    }
    let told = world.refused(Skip, r#"s8={"a":1}"#);
    assert_eq!(
        told,
        "the outputs of all steps may have at most 32768 bytes together, and these add 7 to 32768"
    );
    world.demand(Skip, "s8");
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn no_outputs_are_taken_while_the_saga_is_undone() {
    let mut world = compensation_failed();
    let told = world.refused(Skip, r#"b={"a":1}"#);
    assert_eq!(
        told,
        "the saga is being undone, and no step reads outputs then: write only the step's name"
    );
    world.demand(Skip, "b");
}
