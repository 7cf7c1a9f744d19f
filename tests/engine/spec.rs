//! The values that apply if a spec sets nothing, the size limits of a saga, and the warnings about
//! a spec.

use std::time::Duration;

use saga_operator::{
    api::{BackoffType, DeletionPolicy, OnFailure, SagaSpec},
    model::saga::{Retry, SagaName, ValidSaga, ValidStep, Work},
    validate::{saga::validate, warnings::warnings},
};
use serde_json::{Value, json};

fn who() -> SagaName {
    SagaName { name: "order-1042".into(), namespace: "shop".into(), uid: "0d1c".into() }
}

pub(crate) fn check(spec: &Value) -> Result<ValidSaga, Vec<String>> {
    let spec: SagaSpec = serde_json::from_value(spec.clone()).unwrap();
    validate(&who(), &spec).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

/// Returns a valid spec with one value set.
pub(crate) fn with(pointer: &str, value: Value) -> Value {
    let mut spec = json!({"steps": [
        {
            "name": "a", "http": {"method": "POST", "url": "http://a.shop.svc/x"},
            "compensation": {"pod": {"image": "undo-a:1"}},
        },
        {"name": "b", "dependsOn": ["a"], "pod": {"image": "b:1"}},
    ]});
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let mut at = &mut spec;
    for part in parent.split('/').skip(1) {
        at = match part.parse::<usize>() {
            Ok(place) => &mut at[place],
            Err(_) => &mut at[part],
        };
    }
    match name.parse::<usize>() {
        Ok(place) => at[place] = value,
        Err(_) => at[name] = value,
    }
    spec
}

#[test]
fn a_name_is_at_most_63_characters_and_a_saga_at_most_128_steps() {
    let spec: SagaSpec = serde_json::from_value(with("/maxParallel", json!(1))).unwrap();
    let faults = validate(&SagaName { name: "n".repeat(64), ..who() }, &spec).unwrap_err();
    assert_eq!(faults[0].path, "metadata.name");
    let steps = |count: usize| -> Vec<Value> {
        (0..count)
            .map(|place| json!({"name": format!("s{place}"), "pod": {"image": "x"}}))
            .collect()
    };
    assert_eq!(check(&json!({"steps": steps(128)})).unwrap().steps.len(), 128);
    assert_eq!(
        check(&json!({"steps": steps(129)})).unwrap_err(),
        ["spec.steps: must have 1 to 128 steps"]
    );
}

fn step(saga: &ValidSaga, name: &str) -> ValidStep {
    saga.steps.iter().find(|step| step.name == name).unwrap().clone()
}

#[test]
fn built_in_values_apply_where_nothing_is_set() {
    let saga = check(&with(
        "/steps/1/compensation",
        json!({"http": {"method": "GET", "url": "http://x.svc"}}),
    ))
    .unwrap();
    assert_eq!((saga.max_parallel, saga.on_failure, saga.suspend), (1, OnFailure::Hold, false));
    assert_eq!(
        (saga.deletion_policy, saga.service_account.as_str()),
        (DeletionPolicy::Compensate, "default")
    );
    assert_eq!((saga.key_scope.as_str(), saga.uid.as_str()), ("0d1c", "0d1c"));
    let (a, b) = (step(&saga, "a"), step(&saga, "b"));
    assert_eq!(
        (a.compensate_failed, b.compensate_failed, a.pivot, b.depends_on.clone()),
        (false, true, false, vec![0])
    );
    let (http, pod) = (Duration::from_secs(30), Duration::from_hours(1));
    assert_eq!((a.action.timeout, a.compensation.as_ref().unwrap().timeout), (http, pod));
    assert_eq!((b.action.timeout, b.compensation.as_ref().unwrap().timeout), (pod, http));
    let retry = Retry {
        max_attempts: 1,
        deadline: None,
        backoff: BackoffType::Exponential,
        initial_delay: Duration::from_secs(1),
        max_delay: Duration::from_mins(1),
        jitter: 0.0,
    };
    assert_eq!(a.action.retry, retry);
    assert_eq!(a.compensation.unwrap().retry, Retry { max_attempts: 10, ..retry });
}

#[test]
fn the_own_value_then_the_default_then_the_built_in_one_field_by_field() {
    let saga = check(&json!({
        "defaults": {
            "timeout": "5m",
            "retry": {
                "maxAttempts": 3, "deadline": "1h",
                "backoff": {"type": "Linear", "initialDelay": "7s", "maxDelay": "50s"},
            },
            "compensationRetry": {"backoff": {"jitter": 0.5}},
        },
        "steps": [
            {"name": "all", "pod": {"image": "x"}, "compensation": {"pod": {"image": "x"}}},
            {
                "name": "some", "timeout": "9s", "http": {"method": "GET", "url": "https://x.svc"},
                "retry": {"maxAttempts": 8, "backoff": {"initialDelay": "20s", "jitter": 0.1}},
                "compensation": {
                    "timeout": "8s", "http": {"method": "GET", "url": "https://x.svc"},
                    "retry": {"deadline": "2m"},
                },
            },
        ],
    }))
    .unwrap();
    let (all, some) = (step(&saga, "all"), step(&saga, "some"));
    let seconds = Duration::from_secs;
    assert_eq!(all.action.timeout, seconds(300));
    let linear = Retry {
        max_attempts: 3,
        deadline: Some(seconds(3600)),
        backoff: BackoffType::Linear,
        initial_delay: seconds(7),
        max_delay: seconds(50),
        jitter: 0.0,
    };
    assert_eq!(all.action.retry, linear);
    assert_eq!(
        some.action.retry,
        Retry { max_attempts: 8, initial_delay: seconds(20), jitter: 0.1, ..linear }
    );
    assert_eq!(
        (some.action.timeout, some.compensation.as_ref().unwrap().timeout),
        (seconds(9), seconds(8))
    );
    let undo = all.compensation.unwrap();
    assert_eq!(
        (undo.timeout, undo.retry.max_attempts, undo.retry.backoff),
        (seconds(300), 10, BackoffType::Exponential)
    );
    assert_eq!(
        (undo.retry.jitter, some.compensation.unwrap().retry.deadline),
        (0.5, Some(seconds(120)))
    );
}

#[test]
fn the_cap_follows_an_initial_delay_that_is_longer_than_the_built_in_one() {
    let saga = check(&with("/steps/0/retry/backoff/initialDelay", json!("5m"))).unwrap();
    assert_eq!(step(&saga, "a").action.retry.max_delay, Duration::from_mins(5));
    let mut spec = with("/steps/0/retry/backoff/initialDelay", json!("5m"));
    spec["defaults"] = json!({"retry": {"backoff": {"maxDelay": "1m"}}});
    let expected = "spec.steps[0].retry.backoff.initialDelay: is longer than the maxDelay of \
        spec.defaults: lower it, or set maxDelay here";
    assert_eq!(check(&spec).unwrap_err(), [expected]);
}

#[test]
fn an_escaped_brace_is_a_literal_one() {
    let saga = check(&with("/steps/1/pod/args", json!(["$${HOME}", "$PATH"]))).unwrap();
    let Work::Pod(pod) = step(&saga, "b").action.work else { panic!("a pod") };
    assert_eq!(pod.args, Some(vec!["${HOME}".into(), "$PATH".into()]));
}

/// Returns the warnings about a saga whose first step has this compensation.
fn warned(compensation: Value) -> Vec<String> {
    let mut spec = with("/steps/0/compensation", compensation);
    spec["steps"][0]["outputs"] = json!({"id": "${response.body.id}"});
    warnings(&check(&spec).unwrap()).iter().map(ToString::to_string).collect()
}

#[test]
fn a_compensation_is_warned_of_where_it_may_fail_without_outputs_and_names_the_place() {
    let undo = |http: Value| {
        let mut undo = json!({"http": {"method": "POST", "url": "http://a.shop.svc/undo"}});
        undo["http"].as_object_mut().unwrap().extend(http.as_object().unwrap().clone());
        undo
    };
    let said = "spec.steps[0].compensation.http.body.id: ${outputs.id} reads outputs without \
        has(): if the outcome of the action is unknown there are no outputs, and the undo fails; \
        write has(outputs.id) ? outputs.id : …, or name the request by action.key";
    assert_eq!(
        warned(undo(json!({"body": {"id": "${outputs.id}", "key": "${action.key}"}}))),
        [said]
    );
    for (http, place) in [
        (json!({"url": "http://a.shop.svc/${outputs.id}"}), "spec.steps[0].compensation.http.url"),
        (
            json!({"headers": [{"name": "A", "value": "a ${outputs['id']}"}]}),
            "spec.steps[0].compensation.http.headers[0].value",
        ),
        (
            json!({"expect": "response.body.id == outputs.id"}),
            "spec.steps[0].compensation.http.expect",
        ),
    ] {
        let said = warned(undo(http));
        assert!(
            matches!(said.as_slice(), [one] if one.starts_with(&format!("{place}: "))),
            "{said:?}"
        );
    }
    let args = json!(["${outputs.id}", "${has(outputs.id) ? outputs.id : ''}"]);
    let pod = json!({"pod": {"image": "undo-a:1", "args": args}});
    assert!(matches!(
        warned(pod).as_slice(),
        [one] if one.starts_with("spec.steps[0].compensation.pod.args[0]: ")
    ));
    let guarded = "${has(outputs.id) ? outputs.id : action.key}";
    assert!(warned(undo(json!({"body": {"all": "${outputs}", "key": guarded}}))).is_empty());
}

#[test]
fn what_was_only_waited_for_is_undone_only_where_it_was_done() {
    let wait =
        json!({"until": "true", "object": {"apiVersion": "v1", "kind": "ConfigMap", "name": "a"}});
    let spec = json!({"steps": [{
        "name": "a", "wait": wait, "outputs": {"id": "${object.metadata.uid}"},
        "compensation": {"pod": {"image": "undo-a:1", "args": ["${outputs.id}"]}},
    }]});
    assert_eq!(warnings(&check(&spec).unwrap()), []);
}
