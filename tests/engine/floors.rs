//! The floors of delays and time limits, and the most attempts of a budget: numbers beyond them
//! refuse nothing, the bounds apply instead, and warnings name the numbers.

use std::time::Duration;

use saga_operator::{
    api::{Direction::Action, RequestAction::Retry, SagaPhase},
    model::saga::ValidSaga,
    validate::warnings::warnings,
};
use serde_json::{Value, json};

use crate::{
    saga::{Draft, Policy, attempts, saga},
    script::{Act, millis, never_ends, says_no, seconds, times, unknown},
    spec::{check, with},
    world::World,
};

/// A refusal without any delay.
fn at_once() -> Act {
    says_no().takes(Duration::ZERO)
}

/// Returns a saga of one step with this many attempts and the shortest delay that can be written.
fn hasty(most: i32) -> Draft {
    saga().http("a").retry(attempts(most).always("1ns"))
}

#[test]
fn a_delay_of_a_nanosecond_makes_twelve_attempts_in_ten_seconds() {
    let mut world = World::with(hasty(1000)).on("a", times(1000, &at_once()));
    world.run_for(seconds(10));
    let later = (0..=9).map(|second| 200 + second * 1000);
    let expected: Vec<i64> = [0, 100].into_iter().chain(later).collect();
    assert_eq!((world.sent_at("a", Action), expected.len()), (expected, 12));
}

#[test]
fn every_budget_begins_with_the_lower_floor() {
    let mut world = World::with(hasty(4)).on("a", times(8, &at_once()));
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Failed, millis(1200)));
    world.demand(Retry, "a");
    world.run_to_rest();
    assert_eq!(
        world.sent_at("a", Action),
        [0, 100, 200, 1200, 1200, 1300, 1400, 2400],
        "the retry of a user begins at once"
    );
}

#[test]
fn a_short_wait_that_the_service_asks_for_is_raised_as_well() {
    let asks = |wait| unknown().takes(Duration::ZERO).and_wants(wait);
    let acts = vec![asks(millis(1)), asks(millis(150)), asks(millis(150)), asks(seconds(5))];
    let mut world = World::with(hasty(5)).on("a", acts);
    world.run_to_rest();
    assert_eq!(world.sent_at("a", Action), [0, 100, 250, 1250, 6250]);
}

#[test]
fn an_attempt_has_a_tenth_of_a_second_or_a_second_at_least() {
    let mut world = World::with(saga().http("a").timeout("1ns")).on("a", vec![never_ends()]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Failed, millis(100)));
    let mut world = World::with(saga().pod("a").timeout("1ns")).on("a", vec![never_ends()]);
    world.run_to_rest();
    // The Pod is stopped after one second, and disappears one second later.
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Failed, seconds(2)));
    let mut world = World::with(saga().approval("a").timeout("1ns"));
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Failed, seconds(1)));
}

#[test]
fn a_budget_has_at_most_a_thousand_attempts() {
    for (written, effective) in [(1, 1), (1000, 1000), (1001, 1000), (1_000_000, 1000)] {
        let retry = json!({"maxAttempts": written});
        let mut spec = with("/steps/0/retry", retry.clone());
        spec["steps"][0]["compensation"]["retry"] = retry;
        let step = check(&spec).unwrap().steps.remove(0);
        let undo = step.compensation.unwrap();
        assert_eq!(
            [step.action, undo].map(|operation| operation.retry.max_attempts),
            [effective; 2]
        );
    }
}

/// Returns the effective time limit of the first step and of its compensation.
fn limits(saga: &ValidSaga) -> (Duration, Option<Duration>) {
    let step = &saga.steps[0];
    (step.action.timeout, step.compensation.as_ref().map(|undo| undo.timeout))
}

/// Returns a spec of one step with the default time limit of one nanosecond.
fn short(step: &Value) -> Value {
    let mut named = json!({"name": "a"});
    named.as_object_mut().unwrap().extend(step.as_object().unwrap().clone());
    json!({"defaults": {"timeout": "1ns"}, "steps": [named]})
}

#[test]
fn the_floor_of_a_time_limit_depends_on_the_action() {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "a"});
    let manifest =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {}});
    let job = json!({"template": {"spec": {"containers": [{"name": "a", "image": "a:1"}]}}});
    let child = json!({"spec": {"steps": [{"name": "x", "pod": {"image": "x:1"}}]}});
    let (tenth, second) = (millis(100), seconds(1));
    for (step, least) in [
        (json!({"http": {"method": "GET", "url": "http://a.shop.svc"}}), (tenth, None)),
        (json!({"wait": {"until": "true", "object": object}}), (tenth, None)),
        (json!({"pod": {"image": "a:1"}}), (second, None)),
        (json!({"job": {"spec": job}}), (second, None)),
        (json!({"apply": {"manifest": manifest}}), (second, None)),
        (json!({"delete": object}), (second, None)),
        (json!({"approval": {}}), (second, None)),
        // The compensation of a child saga needs no spec.
        (json!({"saga": child}), (second, Some(second))),
    ] {
        let saga = check(&short(&step)).unwrap();
        assert_eq!(limits(&saga), least, "{step}");
        assert_eq!(
            warned(&short(&step)),
            [format!("spec.defaults.timeout: 1ns {SHORT_LIMIT}")],
            "{step}"
        );
    }
    // A default does not apply to a wait for a duration.
    let wait = short(&json!({"wait": {"for": "1ns"}}));
    assert_eq!(limits(&check(&wait).unwrap()), (Duration::from_hours(1), None));
    assert_eq!(warned(&wait), [""; 0]);
    // A wait within the floor of its time limit is done in time.
    let wait = json!({"steps": [{"name": "a", "timeout": "1ns", "wait": {"for": "50ms"}}]});
    assert_eq!(limits(&check(&wait).unwrap()), (tenth, None));
    assert_eq!(warned(&wait), [format!("spec.steps[0].timeout: 1ns {SHORT_LIMIT}")]);
}

const SHORT_LIMIT: &str = "is below the floor; the time limit of an attempt is at least 100ms for \
    http and wait, and 1s for every other action";
const SHORT_DELAY: &str =
    "is below the floor; the delay is at least 100ms, and 1s from the third attempt on";

/// Returns the warnings about a spec.
fn warned(spec: &Value) -> Vec<String> {
    warnings(&check(spec).unwrap()).iter().map(ToString::to_string).collect()
}

/// Returns the warnings about a saga whose first step has this retry policy, without the path of
/// the policy.
fn warned_of(retry: Value) -> Vec<String> {
    let said = warned(&with("/steps/0/retry", retry));
    said.iter().map(|said| said.strip_prefix("spec.steps[0].retry.").unwrap().into()).collect()
}

#[test]
fn a_delay_that_is_raised_is_named_and_no_other() {
    let policy = |most: i32, backoff: Value| json!({"maxAttempts": most, "backoff": backoff});
    let none = |delay: &str| json!({"type": "None", "initialDelay": delay});
    let linear = |delay: &str| json!({"type": "Linear", "initialDelay": delay});
    let doubled = |delay: &str, most: &str| json!({"initialDelay": delay, "maxDelay": most});
    for (retry, expected) in [
        (policy(2, none("1ns")), Some(("initialDelay", "1ns"))),
        (policy(2, none("99ms")), Some(("initialDelay", "99ms"))),
        (policy(1, none("1ns")), None),
        (policy(2, none("100ms")), None),
        // The third delay follows only the third attempt.
        (policy(3, none("999ms")), None),
        (policy(4, none("999ms")), Some(("initialDelay", "999ms"))),
        (policy(4, none("1s")), None),
        (policy(4, linear("333ms")), Some(("initialDelay", "333ms"))),
        (policy(4, linear("334ms")), None),
        (policy(4, doubled("249ms", "1m")), Some(("initialDelay", "249ms"))),
        (policy(4, doubled("250ms", "1m")), None),
        (policy(4, doubled("250ms", "999ms")), Some(("maxDelay", "999ms"))),
        (policy(3, doubled("250ms", "999ms")), None),
        (policy(9, doubled("1ns", "2ns")), Some(("initialDelay", "1ns"))),
    ] {
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(field, given)| format!("backoff.{field}: {given} {SHORT_DELAY}"))
            .collect();
        assert_eq!(warned_of(retry.clone()), expected, "{retry}");
    }
}

#[test]
fn more_attempts_than_a_budget_may_have_are_named() {
    assert_eq!(
        warned_of(json!({"maxAttempts": 1001})),
        ["maxAttempts: 1001 is above the limit; a budget has at most 1000 attempts"]
    );
    assert_eq!(warned_of(json!({"maxAttempts": 1000})), [""; 0]);
}

#[test]
fn each_number_is_named_once_where_it_is_written() {
    let retry = json!({"maxAttempts": 5, "backoff": {"type": "None", "initialDelay": "1ms"}});
    let defaults = json!({"timeout": "500ms", "retry": retry, "compensationRetry": retry});
    let mut spec = with("/defaults", defaults);
    let expected = [
        format!("spec.defaults.retry.backoff.initialDelay: 1ms {SHORT_DELAY}"),
        format!("spec.defaults.timeout: 500ms {SHORT_LIMIT}"),
        format!("spec.defaults.compensationRetry.backoff.initialDelay: 1ms {SHORT_DELAY}"),
    ];
    assert_eq!(warned(&spec), expected);
    // What every operation sets itself is not raised.
    let own = json!({"maxAttempts": 5, "backoff": {"type": "None", "initialDelay": "1s"}});
    for step in [0, 1] {
        spec["steps"][step]["timeout"] = json!("1s");
        spec["steps"][step]["retry"] = own.clone();
    }
    spec["steps"][0]["compensation"]["timeout"] = json!("2ns");
    spec["steps"][0]["compensation"]["retry"] = own;
    assert_eq!(warned(&spec), [format!("spec.steps[0].compensation.timeout: 2ns {SHORT_LIMIT}")]);
    // No default for retries applies to an approval.
    let waits = json!({"defaults": {"retry": retry}, "steps": [{"name": "a", "approval": {}}]});
    assert_eq!(warned(&waits), [""; 0]);
}

#[test]
fn the_condition_of_acceptance_names_what_was_raised() {
    let mut world = World::with(hasty(2));
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
    let conditions = world.status().conditions;
    let accepted = conditions.iter().find(|condition| condition.type_ == "Accepted").unwrap();
    assert_eq!(
        accepted.message,
        format!(
            "the spec is valid; warning: spec.steps[0].retry.backoff.initialDelay: 1ns \
             {SHORT_DELAY}"
        )
    );
}
