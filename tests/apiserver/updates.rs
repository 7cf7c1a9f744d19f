//! Tests of what may change in an existing saga, and of what may not. A policy refuses the changes
//! that the rules of the definition do not detect.

use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::support::{Effect, FreshNamespace, fresh_namespace};

const STEPS: &str = "steps cannot be changed: create a new Saga";
const PARAMS: &str = "params cannot be changed: create a new Saga";
const OUTPUTS: &str = "outputs cannot be changed: create a new Saga";
const PREFIX: &str = "idempotencyPrefix cannot be changed: create a new Saga";

/// A change as a JSON Patch, with a name that a failing test prints.
type Change = (&'static str, Value);

#[tokio::test(flavor = "multi_thread")]
async fn steps_never_change() {
    let namespace = with_saga("steps").await;
    let steps = order()["spec"]["steps"].clone();
    refuses(
        &namespace,
        STEPS,
        vec![
            ("an argument", replace("/spec/steps/1/pod/args/0", "--all")),
            ("one argument more", add("/spec/steps/1/pod/args/-", "--all")),
            ("the image", replace("/spec/steps/1/pod/image", "busybox:2")),
            ("a limit", replace("/spec/steps/1/pod/resources/limits/cpu", "2")),
            (
                "resources that were not there",
                add("/spec/steps/1/pod/resources/requests", json!({"cpu": 1})),
            ),
            ("the URL", replace("/spec/steps/0/http/url", "https://stock.shop.svc/reservations")),
            ("the body's type", replace("/spec/steps/0/http/body", "order=1042")),
            ("a value in the body", replace("/spec/steps/0/http/body/order", "1043")),
            (
                "a key in the body",
                rename("/spec/steps/0/http/body/order", "/spec/steps/0/http/body/orders"),
            ),
            (
                "a key deep in the body",
                rename(
                    "/spec/steps/0/http/body/card/number",
                    "/spec/steps/0/http/body/card/numbers",
                ),
            ),
            ("no body", remove("/spec/steps/0/http/body")),
            ("null in the body", replace("/spec/steps/0/http/body/note", "now set")),
            (
                "the order of dependencies",
                replace("/spec/steps/2/dependsOn", json!(["ship", "charge"])),
            ),
            ("no dependencies", remove("/spec/steps/2/dependsOn")),
            ("a retry policy", add("/spec/steps/0/retry", json!({"maxAttempts": 3}))),
            ("no compensation", remove("/spec/steps/0/compensation")),
            ("the order of steps", replace("/spec/steps", json!([steps[1], steps[0], steps[2]]))),
            ("a name", replace("/spec/steps/2/name", "thanks")),
            (
                "one step more",
                add("/spec/steps/-", json!({"name": "more", "pod": {"image": "busybox"}})),
            ),
            ("one step less", remove("/spec/steps/2")),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn params_never_change() {
    let namespace = with_saga("params").await;
    refuses(
        &namespace,
        PARAMS,
        vec![
            ("a value", replace("/spec/params/order", "1043")),
            ("a value's type", replace("/spec/params/order", 1042)),
            ("null", replace("/spec/params/note", "now set")),
            ("to null", replace("/spec/params/order", json!(null))),
            ("a value below", replace("/spec/params/card/number", 2)),
            ("a key below", rename("/spec/params/card/number", "/spec/params/card/numbers")),
            (
                "the order of a list",
                replace("/spec/params/items", json!([{"sku": "b"}, {"sku": "a"}])),
            ),
            ("a key in a list", rename("/spec/params/items/0/sku", "/spec/params/items/0/sku2")),
            ("one more", add("/spec/params/more", 1)),
            ("one less", remove("/spec/params/order")),
            ("all new", replace("/spec/params", json!({"order": "1043"}))),
            ("empty", replace("/spec/params", json!({}))),
            ("none", remove("/spec/params")),
        ],
    )
    .await;
    refuses(
        &namespace,
        OUTPUTS,
        vec![
            ("a value", replace("/spec/outputs/order", "1043")),
            ("one more", add("/spec/outputs/more", 1)),
            ("one less", remove("/spec/outputs/order")),
            ("none", remove("/spec/outputs")),
        ],
    )
    .await;
    refuses(
        &namespace,
        PREFIX,
        vec![
            ("another", replace("/spec/idempotencyPrefix", "o2")),
            ("none", remove("/spec/idempotencyPrefix")),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_set_cannot_be_set_later() {
    let namespace = fresh_namespace("unset").await;
    let bare = json!({"steps": [{"name": "one", "pod": {"image": "busybox"}}]});
    namespace.create(&saga(&bare), Effect::Real).await.unwrap();
    refuses(
        &namespace,
        PARAMS,
        vec![
            ("set", add("/spec/params", json!({"a": 1}))),
            ("set, but empty", add("/spec/params", json!({}))),
        ],
    )
    .await;
    refuses(&namespace, OUTPUTS, vec![("set", add("/spec/outputs", json!({"order": "1042"})))])
        .await;
    refuses(&namespace, PREFIX, vec![("set", add("/spec/idempotencyPrefix", "order-1042"))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_saga_is_run_may_change_at_any_time() {
    let namespace = with_saga("run").await;
    let before = namespace.get("order").await.unwrap();
    for (field, values) in [
        ("maxParallel", json!([4, 1])),
        ("maxRetryRequests", json!([0, 20])),
        ("onFailure", json!(["Compensate", "Hold"])),
        ("suspend", json!([true, false])),
        ("deletionPolicy", json!(["Abandon", "Compensate"])),
        (
            "defaults",
            json!([
                {"timeout": "5m"},
                {"retry": {"maxAttempts": 3}, "compensationRetry": {"backoff": {"type": "None"}}},
                {},
            ]),
        ),
        ("serviceAccountName", json!(["order-saga", "default"])),
    ] {
        let path = format!("/spec/{field}");
        for value in values.as_array().unwrap() {
            let after = namespace.patch("order", &add(&path, value.clone()), Effect::Real).await;
            let after = after.unwrap_or_else(|refusal| panic!("{field}: {refusal}"));
            assert_eq!(after["spec"][field], *value);
            assert_eq!(
                spec_hash(&before),
                spec_hash(&after),
                "{field} is no part of what is pinned"
            );
        }
        namespace
            .patch("order", &remove(&path), Effect::Real)
            .await
            .unwrap_or_else(|refusal| panic!("{field} taken out: {refusal}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_checked_as_a_creation_is() {
    let namespace = with_saga("change").await;
    for (change, words) in [
        (
            add("/spec/maxParallel", 0),
            "spec.maxParallel in body should be greater than or equal to 1",
        ),
        (add("/spec/onFailure", "Retry"), "supported values: \"Hold\", \"Compensate\""),
        (add("/spec/defaults", json!({"timeout": "0s"})), "must be a positive duration"),
        (add("/spec/maxParalel", 2), "unknown field \"spec.maxParalel\""),
    ] {
        let refusal = namespace.patch("order", &change, Effect::DryRun).await.unwrap_err();
        assert!(refusal.message.contains(words), "{refusal}");
    }
}

/// Asserts that each change alone is refused with exactly this message.
async fn refuses(namespace: &FreshNamespace, words: &str, changes: Vec<Change>) {
    let mut passed = Vec::new();
    for (what, change) in changes {
        match namespace.patch("order", &change, Effect::DryRun).await {
            Err(refusal) if refusal.causes.len() == 1 && refusal.causes[0].contains(words) => {}
            Err(refusal) => passed.push(format!("{what}: {refusal}")),
            Ok(_) => passed.push(format!("{what}: is accepted")),
        }
    }
    assert!(passed.is_empty(), "not refused with {words:?}:\n{}", passed.join("\n"));
}

async fn with_saga(prefix: &str) -> FreshNamespace {
    let namespace = fresh_namespace(prefix).await;
    namespace.create(&order(), Effect::Real).await.unwrap();
    namespace
}

fn order() -> Value {
    saga(&json!({
        "params": {
            "order": "1042", "note": null, "card": {"number": 1},
            "items": [{"sku": "a"}, {"sku": "b"}],
        },
        "idempotencyPrefix": "order-1042",
        "outputs": {"order": "1042"},
        "steps": [
            {
                "name": "charge",
                "http": {
                    "method": "POST",
                    "url": "http://payments.shop.svc/charges",
                    "body": {"order": "1042", "note": null, "card": {"number": 1}},
                },
                "compensation": {
                    "http": {"method": "POST", "url": "http://payments.shop.svc/refunds"},
                },
            },
            {
                "name": "ship",
                "pod": {
                    "image": "busybox", "args": ["--order", "1042"],
                    "resources": {"limits": {"cpu": "1"}},
                },
            },
            {"name": "thank", "dependsOn": ["charge", "ship"], "pod": {"image": "busybox"}},
        ],
    }))
}

fn saga(spec: &Value) -> Value {
    json!({
        "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "metadata": {"name": "order"},
        "spec": spec,
    })
}

fn spec_hash(saga: &Value) -> String {
    saga_operator::api::StoredSaga::deserialize(saga).unwrap().spec_hash
}

fn replace(path: &str, value: impl Into<Value>) -> Value {
    json!([{"op": "replace", "path": path, "value": value.into()}])
}

fn add(path: &str, value: impl Into<Value>) -> Value {
    json!([{"op": "add", "path": path, "value": value.into()}])
}

fn remove(path: &str) -> Value {
    json!([{"op": "remove", "path": path}])
}

fn rename(from: &str, to: &str) -> Value {
    json!([{"op": "move", "from": from, "path": to}])
}
