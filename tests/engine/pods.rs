//! What pods alone have: exit codes that are final, and troubles while they wait.

use saga_operator::api::{
    Direction::{Action, Compensation},
    Outcome, SagaPhase, SagaSpec, StepPhase,
};
use serde_json::{Value, json};

use crate::{
    saga::Draft,
    script::{says_no, times},
    world::World,
};

fn world(spec: Value) -> World {
    let spec: SagaSpec = serde_json::from_value(spec).unwrap();
    World::with(Draft(spec))
}

/// One pod, and what undoes it: each is tried three times, but not after the exit codes 3 and 64.
fn picky() -> Value {
    let pod = json!({"image": "ship:1", "finalExitCodes": [3, 64]});
    let retry = json!({"maxAttempts": 3});
    json!({
        "onFailure": "Compensate",
        "steps": [{"name": "ship", "pod": pod, "retry": retry, "compensation": {"pod": pod, "retry": retry}}],
    })
}

#[test]
fn a_final_exit_code_is_not_tried_again_and_another_one_is() {
    let mut world = world(picky()).on("ship", vec![says_no().with_exit_code(1), says_no().with_exit_code(64)]);
    world.run_to_rest();
    let action = world.step("ship").action.unwrap();
    let outcomes: Vec<_> = action.attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!((outcomes, action.failures), (vec![Outcome::Failed, Outcome::Failed], 2));
    assert_eq!(world.phase(), SagaPhase::Compensated, "a failed pod is undone: it may have done half its work");
}

#[test]
fn a_final_exit_code_of_a_compensation_is_not_tried_again() {
    let mut world = world(picky()).on("ship", vec![says_no().with_exit_code(3)]).on_undo("ship", times(3, &says_no().with_exit_code(3)));
    world.run_to_rest();
    assert_eq!((world.sent_at("ship", Action).len(), world.sent_at("ship", Compensation).len()), (1, 1));
    assert!(world.is("ship", StepPhase::CompensationFailed) && world.phase() == SagaPhase::CompensationFailed);
}

#[test]
fn without_an_exit_code_nothing_is_final() {
    let mut world = world(picky()).on("ship", times(3, &says_no()));
    world.run_to_rest();
    assert_eq!(world.sent_at("ship", Action).len(), 3);
}
