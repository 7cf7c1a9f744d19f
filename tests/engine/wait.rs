//! Steps that wait for a while, and the rules of a spec with such steps.

use std::time::Duration;

use saga_operator::{
    api::{RequestAction, SagaPhase, SagaSpec, StepPhase},
    model::saga::SagaName,
    validate::saga::validate,
};
use serde_json::{Value, json};

use crate::{
    saga::{Draft, saga},
    script::{says_no, seconds, succeeds},
    world::World,
};

use RequestAction::{Approve, Compensate, Pause, Resume, Retry, Skip};

fn nap() -> Draft {
    saga().http("a").undo().wait("nap", "10m").after(&["a"]).then_http("b")
}

/// Creates a world in which a wait began one second after the saga.
fn naps() -> World {
    let mut world = World::with(nap());
    world.run_until(|world| world.is("nap", StepPhase::Waiting));
    assert_eq!(world.elapsed(), seconds(1));
    world
}

#[test]
fn a_wait_is_done_when_its_time_has_passed_and_not_before() {
    let mut world = naps();
    assert_eq!(
        (world.phase(), world.condition("Ready").as_deref()),
        (SagaPhase::Running, Some("Unknown/Running"))
    );
    assert_eq!(world.message(), "step nap waits until 2026-01-01T00:10:01.000Z");
    let writes = world.writes;
    world.run_for(seconds(599));
    assert_eq!((world.writes, world.is("nap", StepPhase::Waiting)), (writes, true));
    world.run_for(seconds(1));
    assert!(world.is("nap", StepPhase::Completed) && world.is("b", StepPhase::Running));
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.still_in_effect().len(), world.elapsed()),
        (SagaPhase::Completed, 0, seconds(602))
    );
}

#[test]
fn its_time_runs_on_while_the_saga_is_paused() {
    let mut world = naps();
    world.demand(Pause, "lunch");
    world.run_to_rest();
    assert_eq!((world.elapsed(), world.phase()), (seconds(601), SagaPhase::Paused));
    assert!(world.is("nap", StepPhase::Completed) && world.is("b", StepPhase::Pending));
    world.demand(Resume, "back");
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn its_time_runs_on_while_the_saga_is_failed() {
    let draft = saga().wait("nap", "10m").http("bad").http("b").after(&["nap"]).parallel(2);
    let mut world = World::with(draft).fails("bad", 1);
    world.run_until(|world| world.phase() == SagaPhase::Failed);
    assert!(
        world.message().ends_with("or saga.dev/compensate=REASON to undo what was done"),
        "{}",
        world.message()
    );
    world.run_to_rest();
    assert_eq!(
        (world.elapsed(), world.phase(), world.step("nap").phase),
        (seconds(600), SagaPhase::Failed, StepPhase::Completed)
    );
    assert!(world.is("b", StepPhase::Pending));
    world.demand(Retry, "bad");
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn its_time_counts_from_the_recorded_instant_whoever_looks() {
    for down in [1, 300, 599] {
        let mut world = naps();
        world.crash(seconds(down));
        world.run_until(|world| world.is("nap", StepPhase::Completed));
        assert_eq!(world.elapsed(), seconds(601));
    }
    let mut world = naps();
    world.crash(seconds(100_000));
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn a_wait_may_last_longer_than_the_built_in_time_limit() {
    let mut world = World::with(saga().wait("nap", "100h"));
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Completed, Duration::from_hours(100)));
}

#[test]
fn a_wait_that_is_as_long_as_its_time_limit_is_done() {
    let mut world = World::with(saga().wait("nap", "10m").timeout("10m"));
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn where_the_saga_turns_back_a_wait_was_not_reached() {
    let draft = saga().http("a").undo().wait("nap", "10m").http("bad").parallel(3).compensating();
    let mut world = World::with(draft).on("bad", vec![says_no().takes(seconds(9))]);
    world.run_to_rest();
    let step = world.step("nap");
    assert_eq!(
        (step.phase, step.message.as_deref(), world.elapsed()),
        (StepPhase::Pending, Some("not reached"), seconds(10))
    );
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["a"]));
    let mut world = naps();
    world.demand(Compensate, "no");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.undone(), world.is("nap", StepPhase::Pending)),
        (SagaPhase::Compensated, vec!["a"], true)
    );
}

#[test]
fn a_wait_that_ends_while_others_settle_is_done() {
    let draft =
        saga().wait("nap", "10s").http("bad").http("slow").undo().parallel(3).compensating();
    let mut world =
        World::with(draft).fails("bad", 1).on("slow", vec![succeeds().takes(seconds(20))]);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.step("nap").phase),
        (SagaPhase::Compensated, StepPhase::Completed)
    );
    assert_eq!((world.still_in_effect().len(), world.undone()), (0, vec!["slow"]));
}

#[test]
fn a_wait_can_be_skipped_and_neither_approved_nor_retried() {
    let mut world = naps();
    assert!(world.refused(Approve, "nap").contains(
        "step nap is Waiting; approve is allowed for steps that are Waiting for an approval"
    ));
    assert!(
        world.refused(Retry, "nap").contains(
            "step nap is Waiting; retry is allowed for steps that are Retrying and Failed"
        )
    );
    world.demand(Skip, "nap");
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Completed, seconds(2)));
}

#[test]
fn a_saga_that_is_deleted_while_it_waits_is_undone_at_once() {
    let mut world = naps();
    world.delete();
    world.run_to_rest();
    assert_eq!((world.gone, world.undone(), world.elapsed()), (true, vec!["a"], seconds(2)));
}

#[test]
fn two_waits_end_each_in_its_time() {
    let mut world = World::with(saga().wait("long", "20m").wait("short", "10m").parallel(2));
    world.run_until(|world| world.is("short", StepPhase::Completed));
    assert_eq!((world.elapsed(), world.is("long", StepPhase::Waiting)), (seconds(600), true));
    world.run_to_rest();
    assert_eq!(world.elapsed(), seconds(1200));
}

fn faults(step: &Value, defaults: &Value) -> Vec<String> {
    let mut step = step.clone();
    step["name"] = json!("one");
    let spec: SagaSpec =
        serde_json::from_value(json!({"steps": [step], "defaults": defaults})).unwrap();
    let who = SagaName { name: "order-1042".into(), namespace: "shop".into(), uid: "0d1c".into() };
    validate(&who, &spec)
        .map_or_else(|faults| faults.iter().map(ToString::to_string).collect(), |_| Vec::new())
}

#[test]
fn a_spec_that_could_not_come_to_a_good_end_is_refused() {
    let none = json!({});
    let too_long = "spec.steps[0].wait.for: is longer than the step's timeout, so that the step \
        would always fail: raise timeout, or wait less";
    let never = "spec.steps[0]: an approval or a wait is never retried automatically, and leaves \
        no work half done: leave retry and compensateFailed out";
    let one = "spec.steps[0]: has exactly one action: set one of pod, job, http, apply, delete, \
        approval, wait and saga";
    let wait = |duration: &str| json!({"for": duration});
    for (step, defaults, expected) in [
        (json!({"wait": wait("10m"), "timeout": "9m"}), &none, vec![too_long]),
        // A default time limit applies only to work that can fail to end, so not to a wait.
        (json!({"wait": wait("10m")}), &json!({"timeout": "9m59s"}), vec![]),
        (json!({"wait": wait("10m"), "timeout": "10m"}), &json!({"timeout": "1m"}), vec![]),
        (json!({"wait": wait("1000h")}), &none, vec![]),
        (
            json!({"wait": wait("0s")}),
            &none,
            vec![
                "spec.steps[0].wait.for: is 0ns: must be a positive duration such as 90s or 1m30s",
            ],
        ),
        (
            json!({"wait": wait("-1s")}),
            &none,
            vec![
                "spec.steps[0].wait.for: is -1s: must be a positive duration such as 90s or 1m30s",
            ],
        ),
        (json!({"wait": wait("1s"), "retry": {"maxAttempts": 1}}), &none, vec![never]),
        (json!({"wait": wait("1s"), "compensateFailed": false}), &none, vec![never]),
        (json!({"approval": {}, "retry": {}}), &none, vec![never]),
        (json!({"approval": {}, "compensateFailed": true}), &none, vec![never]),
        (json!({"approval": {}}), &json!({"retry": {"maxAttempts": 3}}), vec![]),
        (json!({"approval": {}, "wait": wait("1s")}), &none, vec![one]),
        (
            json!({"approval": {"message": "x".repeat(1025)}}),
            &none,
            vec!["spec.steps[0].approval.message: has 1025 characters: at most 1024 are taken"],
        ),
        (json!({"approval": {"message": "$${HOME}"}}), &none, vec![]),
    ] {
        assert_eq!(faults(&step, defaults), expected, "{step}");
    }
    let found = faults(&json!({"approval": {"message": "${params.order}"}}), &none);
    assert!(
        found.len() == 1
            && found[0]
                == "spec.steps[0].approval.message: ${params.order}: there is no field order",
        "{found:?}"
    );
}
