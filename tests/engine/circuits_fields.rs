//! What a step waits for is a field of its status, from which its message is composed. The field
//! counts only while the step has that message: other versions write messages and leave the field
//! as it is.

use std::time::Duration;

use saga_operator::api::{RequestAction, SagaPhase, StepPhase, shape::Shape};
use serde_json::{Value, json};

use crate::{
    circuits::open,
    saga::{Policy, attempts, saga},
    script::{seconds, unknown},
    versions::schema_without,
    world::World,
};

const FIELD: &str = "/properties/steps/items/properties/throttled";

/// Creates a saga whose only step waits for its circuit until second 40, after an attempt of
/// Unknown outcome. Returns the message of the step about that attempt as well.
fn waiting() -> (World, String) {
    let draft = saga().http("a").undo().retry(attempts(3).always("5s"));
    let mut world = World::with(draft).on("a", vec![unknown()]);
    world.run_until(|world| world.is("a", StepPhase::Retrying));
    let failed = world.step_message("a");
    world.opens("a", 40);
    world.run_for(seconds(10));
    assert_eq!(world.step_message("a"), told(40, &failed));
    (world, failed)
}

/// Returns the message of the step `a` whose circuit is open until this second.
fn told(second: u64, before: &str) -> String {
    let until = format!("2026-01-01T00:{:02}:{:02}.000Z", second / 60, second % 60);
    format!("{}. Before: {before}", open("a", &until))
}

/// Makes another version write into the status of the step.
fn other_version_writes(world: &mut World, change: impl FnOnce(&mut Value)) {
    let mut status = world.raw.clone();
    change(&mut status["steps"][0]);
    world.restore(status);
}

#[test]
fn what_a_step_waits_for_is_a_field_for_as_long_as_it_waits() {
    let (mut world, failed) = waiting();
    let field = |world: &World| json!(world.step("a").throttled);
    assert_eq!(
        field(&world),
        json!({
            "reason": "CircuitOpen", "origin": "http://a.shop.svc:80",
            "until": "2026-01-01T00:00:40.000000Z", "previousMessage": failed,
        })
    );
    world.run_until(|world| world.elapsed() >= seconds(40));
    world.half_opens("a", 0);
    world.run_for(Duration::ZERO);
    assert_eq!(
        field(&world),
        json!({
            "reason": "CircuitOpen", "origin": "http://a.shop.svc:80", "previousMessage": failed,
        })
    );
    world.closes("a");
    world.run_until(|world| world.is("a", StepPhase::Running));
    assert_eq!((field(&world), world.step_message("a")), (Value::Null, failed));
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn a_message_of_the_version_before_is_kept_as_one_of_the_step_and_nested_once() {
    let (mut world, failed) = waiting();
    other_version_writes(&mut world, |step| {
        step.as_object_mut().unwrap().remove("throttled");
    });
    let old = told(40, &failed);
    for second in [60, 90, 120] {
        world.opens("a", second);
        world.run_for(Duration::ZERO);
        assert_eq!(world.step_message("a"), told(second, &old));
        world.run_until(|world| world.elapsed() >= seconds(second));
    }
    world.closes("a");
    world.run_until(|world| world.is("a", StepPhase::Running));
    assert_eq!(world.step_message("a"), old);
    world.run_to_rest();
    assert_eq!((world.phase(), world.step("a").message), (SagaPhase::Completed, None));
}

#[test]
fn a_field_that_another_version_left_behind_counts_no_more() {
    let strange: [fn(&mut Value); 3] = [
        |step| step["message"] = json!("settled by request as Failed"),
        |step| step["throttled"]["reason"] = json!("AnotherReason"),
        |step| step["throttled"]["previousMessage"] = json!("what was before"),
    ];
    for change in strange {
        let (mut world, _) = waiting();
        other_version_writes(&mut world, change);
        let written = world.step_message("a");
        // The instant in the field lies in the future, but belongs to another message.
        world.opens("a", 50);
        world.run_for(Duration::ZERO);
        assert_eq!(world.step_message("a"), told(50, &written));
        other_version_writes(&mut world, change);
        let written = world.step_message("a");
        world.closes("a");
        world.run_until(|world| world.is("a", StepPhase::Running));
        let step = world.step("a");
        assert_eq!((step.throttled, step.message), (None, Some(written)));
    }
}

#[test]
fn a_step_that_ends_while_it_waits_gets_its_own_message_back() {
    let (mut world, failed) = waiting();
    world.demand(RequestAction::Compensate, "returned");
    let step = world.step("a");
    assert_eq!(
        (step.phase, step.throttled, step.message.unwrap()),
        (
            StepPhase::Compensating,
            None,
            format!(
                "{failed}; it may have acted: if you know, annotate saga.dev/settle=a=Failed or \
                 saga.dev/settle=a=Succeeded"
            )
        )
    );
    let (mut world, failed) = waiting();
    world.demand(RequestAction::Settle, "a=Failed");
    let settled = format!("settled by request as Failed, after {failed}");
    assert_eq!(world.step_message("a"), told(40, &settled));
}

#[test]
fn what_the_definition_does_not_store_is_not_written_into_the_message_of_the_step() {
    let (mut world, failed) = waiting();
    world.serve(&schema_without(&[FIELD]));
    let mut new = World::with(saga().http("a"));
    new.serve(&schema_without(&[FIELD]));
    new.opens("a", 40);
    for (world, message) in [(&mut world, Some(failed)), (&mut new, None)] {
        world.run_for(seconds(1));
        assert_eq!(world.step("a").message, message);
        assert_eq!(
            world.message(),
            format!("step a waits: {}", open("a", "2026-01-01T00:00:40.000Z"))
        );
        let writes = world.writes;
        world.run_for(seconds(20));
        assert_eq!(world.writes, writes, "waiting writes nothing");
        world.closes("a");
        world.run_to_rest();
        assert_eq!((world.phase(), world.step("a").message), (SagaPhase::Completed, None));
    }
}

#[test]
fn what_the_definition_takes_away_unnoticed_makes_a_message_longer_and_not_without_end() {
    let mut world = World::with(saga().http("a"));
    let schema = schema_without(&[FIELD]);
    world.served = Some((Shape::of("status", &schema), None));
    world.opens("a", 3600);
    for _ in 0..20 {
        world.look().unwrap();
    }
    assert!(world.step_message("a").chars().count() <= 1000, "{}", world.step_message("a"));
    // The answer to a write lacks the field, so the operator reads the definition.
    world.serve(&schema);
    world.run_for(seconds(1));
    let writes = world.writes;
    world.run_for(seconds(1000));
    assert_eq!(world.writes, writes, "waiting writes nothing");
    world.closes("a");
    world.run_to_rest();
    assert_eq!((world.phase(), world.step("a").message), (SagaPhase::Completed, None));
}
