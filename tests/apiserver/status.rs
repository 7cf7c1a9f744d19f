//! The status: what a saga that nobody has seen yet reads as, what the operator may write, and what
//! nobody may.

use saga_operator::api::{SagaStatus, json::as_stored};
use serde_json::{Value, json};

use crate::support::{Effect, FreshNamespace, fresh_namespace, same};

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_that_no_operator_has_seen_reads_as_in_progress() {
    let namespace = with_saga("unseen", &json!({})).await;
    assert_eq!(namespace.get("order").await.unwrap()["status"], json!({"observedGeneration": -1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_saga_begins_without_the_status_it_is_applied_with() {
    let namespace =
        with_saga("restored", &json!({"phase": "Completed", "observedGeneration": 1})).await;
    assert_eq!(namespace.get("order").await.unwrap()["status"], json!({"observedGeneration": -1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_the_operator_writes_is_stored_as_written() {
    let namespace = with_saga("written", &json!({})).await;
    let status = full();
    let typed: SagaStatus = serde_json::from_value(status.clone()).unwrap();
    assert!(
        same(&serde_json::to_value(&typed).unwrap(), &status),
        "the sample has fields that the operator does not know"
    );
    namespace.patch_status("order", &replace("", &status), Effect::Real).await.unwrap();
    let read = namespace.get("order").await.unwrap();
    assert!(same(&read["status"], &status), "{:#}", read["status"]);
    assert_eq!(read["metadata"]["generation"], 1, "a status is no change of what is wanted");
}

/// Outputs are anybody's JSON. What the operator decided on must be what it reads again.
#[tokio::test(flavor = "multi_thread")]
async fn outputs_of_any_shape_are_read_as_they_were_written() {
    let namespace = with_saga("outputs", &json!({})).await;
    // The depth that a request may have: 32, the innermost value included, and the object itself.
    let deep =
        (0..30).fold(
            json!(null),
            |inside, nth| if nth % 2 == 0 { json!({"": inside}) } else { json!([inside]) },
        );
    let wide: serde_json::Map<_, _> = (0..680).map(|nth| (format!("{nth}"), json!(null))).collect();
    for outputs in [
        json!({}),
        json!({"null": null, "list": [null, {"null": null}], "empty": {}, "none": []}),
        json!({
            "one": 1.0, "huge": 1e300, "tiny": -1e-300, "zero": -0.0, "third": 0.1, "twenty": 1e20,
            "most": i64::MAX, "least": i64::MIN,
        }),
        json!({
            "true": true, "text": "\u{0} \u{1f980} \"", "": "", "a.b/c~d[0]": "${x}", "f:name": 1,
            ".": 2,
        }),
        json!({"deep": deep}),
        Value::Object(wide),
    ] {
        let steps = json!([
            {"name": "charge", "phase": "Skipped", "outputs": outputs},
            {"name": "ship", "phase": "Pending"},
        ]);
        // As the operator takes them, whoever hands them on: not one of them is another one
        // afterwards.
        let steps = as_stored(steps);
        namespace.write_status("order", &json!({"steps": steps})).await.unwrap();
        let read = namespace.get("order").await.unwrap();
        assert_eq!(read["status"]["steps"], steps, "{:#}", read["status"]["steps"]);
        // By the operator's own types, there and back.
        let typed: SagaStatus = serde_json::from_value(read["status"].clone()).unwrap();
        namespace.write_status("order", &serde_json::to_value(&typed).unwrap()).await.unwrap();
        assert_eq!(namespace.get("order").await.unwrap()["status"], read["status"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_in_the_status_is_refused() {
    let namespace = with_saga("nonsense", &json!({})).await;
    namespace.patch_status("order", &replace("", &full()), Effect::Real).await.unwrap();
    for (path, value, words) in [
        ("/phase", json!("x".repeat(64)), "status.phase: Too long: may not be more than 63 bytes"),
        ("/observedGeneration", json!(-2), "status.observedGeneration: Invalid value: -2"),
        ("/retries", json!(-1), "retries in body should be greater than or equal to 0"),
        (
            "/progress",
            json!("1/2".repeat(20)),
            "status.progress: Too long: may not be more than 32 bytes",
        ),
        ("/startedAt", json!("yesterday"), "startedAt in body must be of type date-time"),
        (
            "/conditions/0/status",
            json!("x".repeat(64)),
            "status.conditions[0].status: Too long: may not be more than 63 bytes",
        ),
        (
            "/conditions/0/reason",
            json!("not one word"),
            "conditions[0].reason in body should match",
        ),
        (
            "/stillInEffect",
            json!(["a".repeat(64)]),
            "status.stillInEffect[0]: Too long: may not be more than 63 bytes",
        ),
        (
            "/steps/0/phase",
            json!("x".repeat(64)),
            "status.steps[0].phase: Too long: may not be more than 63 bytes",
        ),
        ("/steps/0/name", json!("ship"), "status.steps[1]: Duplicate value: {\"name\":\"ship\"}"),
        (
            "/steps/0/action/attempt",
            json!(-1),
            "steps[0].action.attempt in body should be greater than or equal to 0",
        ),
        (
            "/steps/0/action/budgetUsed",
            json!(-1),
            "steps[0].action.budgetUsed in body should be greater than or equal to 0",
        ),
        (
            "/steps/0/action/lastOutcome",
            json!("x".repeat(64)),
            "action.lastOutcome: Too long: may not be more than 63 bytes",
        ),
        (
            "/steps/0/action/attempts/0/attempt",
            json!(0),
            "attempts[0].attempt in body should be greater than or equal to 1",
        ),
        (
            "/steps/0/action/attempt",
            json!("one"),
            "steps[0].action.attempt in body must be of type integer",
        ),
        ("/requests/0/number", json!(0), "status.requests[0].number: Invalid value: 0"),
        (
            "/requests/0/action",
            json!("x".repeat(64)),
            "status.requests[0].action: Too long: may not be more than 63 bytes",
        ),
        (
            "/requests/0/value",
            json!("v".repeat(129)),
            "status.requests[0].value: Too long: may not be more than 128 bytes",
        ),
        (
            "/handledTokens/0",
            json!("t".repeat(65)),
            "status.handledTokens[0]: Too long: may not be more than 64 bytes",
        ),
        ("/paused/at", json!("now"), "paused.at in body must be of type date-time"),
        (
            "/paused/reason",
            json!("r".repeat(257)),
            "status.paused.reason: Too long: may not be more than 256 bytes",
        ),
        (
            "/cancelRequested",
            json!("r".repeat(257)),
            "status.cancelRequested: Too long: may not be more than 256 bytes",
        ),
        ("/steps/1/outputs", json!([1]), "steps[1].outputs in body must be of type object"),
        ("/retryRequests", json!(-1), "retryRequests in body should be greater than or equal to 0"),
        ("/mood", json!("good"), "unknown field \"status.mood\""),
    ] {
        let change = json!([{"op": "add", "path": format!("/status{path}"), "value": value}]);
        let refusal = namespace.patch_status("order", &change, Effect::DryRun).await.err();
        let refusal = refusal.unwrap_or_else(|| panic!("{path}: {value} is accepted"));
        assert!(
            (400..500).contains(&refusal.code) && refusal.message.contains(words),
            "{path}: {refusal}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_version_may_write_a_word_more() {
    let namespace = with_saga("words", &json!({})).await;
    namespace.patch_status("order", &replace("", &full()), Effect::Real).await.unwrap();
    for path in [
        "/phase",
        "/steps/0/phase",
        "/steps/0/action/lastOutcome",
        "/requests/0/action",
        "/requests/0/result",
    ] {
        let change = json!([{"op": "add", "path": format!("/status{path}"), "value": "Dreaming"}]);
        namespace.patch_status("order", &change, Effect::DryRun).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spec_and_status_are_written_apart() {
    let namespace = with_saga("apart", &json!({})).await;
    let both = json!([
        {"op": "add", "path": "/status/phase", "value": "Running"},
        {"op": "add", "path": "/spec/maxParallel", "value": 2},
    ]);
    namespace.patch_status("order", &both, Effect::Real).await.unwrap();
    let read = namespace.get("order").await.unwrap();
    assert_eq!(
        (&read["status"]["phase"], &read["spec"]["maxParallel"]),
        (&json!("Running"), &Value::Null)
    );
    namespace
        .patch(
            "order",
            &json!([{"op": "add", "path": "/status/phase", "value": "Failed"}, both[1]]),
            Effect::Real,
        )
        .await
        .unwrap();
    let read = namespace.get("order").await.unwrap();
    assert_eq!(
        (&read["status"]["phase"], &read["spec"]["maxParallel"]),
        (&json!("Running"), &json!(2))
    );
}

/// Who may write the status alone asks for nothing by it: the policies that guard requests need not
/// look there.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_for_through_the_status() {
    let namespace = with_saga("asks", &json!({})).await;
    let asks = json!([
        {"op": "add", "path": "/metadata/annotations", "value": {"saga.dev/retry": "*"}},
        {"op": "add", "path": "/metadata/labels", "value": {"a": "b"}},
        {"op": "add", "path": "/status/phase", "value": "Failed"},
    ]);
    let written = namespace.patch_status("order", &asks, Effect::Real).await.unwrap();
    assert_eq!(
        (&written["status"]["phase"], &written["metadata"]["labels"]),
        (&json!("Failed"), &Value::Null)
    );
    assert_eq!(
        namespace.get("order").await.unwrap()["metadata"]["annotations"]["saga.dev/retry"],
        Value::Null
    );
}

async fn with_saga(prefix: &str, status: &Value) -> FreshNamespace {
    let namespace = fresh_namespace(prefix).await;
    let steps: Vec<_> =
        ["charge", "ship"].map(|name| json!({"name": name, "pod": {"image": "busybox"}})).into();
    let mut saga = json!({
        "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "metadata": {"name": "order"},
        "spec": {"steps": steps},
    });
    if *status != json!({}) {
        saga["status"] = status.clone();
    }
    namespace.create(&saga, Effect::Real).await.unwrap();
    namespace
}

fn replace(path: &str, value: &Value) -> Value {
    json!([{"op": "replace", "path": format!("/status{path}"), "value": value}])
}

/// The fields of a schema that no value has, by their paths.
fn without(schema: &Value, values: &[&Value], path: &str) -> Vec<String> {
    let items = values.iter().filter_map(|value| value.as_array()).flatten().collect::<Vec<_>>();
    let mut missing = schema
        .get("items")
        .map(|items_schema| without(items_schema, &items, &format!("{path}[]")))
        .unwrap_or_default();
    for (field, below) in schema["properties"].as_object().into_iter().flatten() {
        let found: Vec<_> = values.iter().filter_map(|value| value.get(field)).collect();
        let path = format!("{path}.{field}");
        missing.extend(if found.is_empty() { vec![path] } else { without(below, &found, &path) });
    }
    missing
}

#[test]
fn the_full_status_has_every_field_of_the_definition() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/crds/sagas.yaml")).unwrap();
    let definition: Value = serde_saphyr::from_str(&text).unwrap();
    let schema =
        definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/status").unwrap();
    assert_eq!(without(schema, &[&full()], "status"), Vec::<String>::new());
}

/// A status with every field that there is, and with texts as long as they can be where that is not
/// long.
fn full() -> Value {
    let instant = "2026-03-01T10:00:00.000123Z";
    let condition = |kind: &str, status: &str| {
        let said = json!({
            "type": kind, "status": status, "reason": "StepFailed",
            "message": "charge failed: HTTP 402",
        });
        let mut condition = said;
        condition["observedGeneration"] = json!(1);
        condition["lastTransitionTime"] = json!("2026-03-01T10:00:00Z");
        condition
    };
    let direction = attempts(instant);
    let mut full = json!({
        "observedGeneration": 1,
        "phase": "Compensating",
        "message": "charge failed for good: undoing",
        "progress": "128/128",
        "currentSteps": vec!["s".repeat(63); 128].join(", "),
        "retries": 4,
        "startedAt": instant,
        "completedAt": instant,
        "specHash": format!("v1:{}", "0".repeat(64)),
        "acceptedBy": "0.1.0",
        "stillInEffect": ["charge", "ship"],
        "settled": 7,
        "outputs": {"tracking": "T-1"},
        "conditions": [
            condition("Accepted", "True"),
            condition("Ready", "False"),
            condition("Stalled", "True"),
            condition("Reconciling", "Unknown"),
        ],
        "steps": [
            {
                "name": "charge",
                "phase": "CompensationFailed",
                "startedAt": instant,
                "completedAt": instant,
                "message": "HTTP 402",
                "nextAttemptAt": instant,
                "retryRequested": true,
                "unwanted": true,
                "child": {
                    "name": "order-charge-a6-0a1b2c3d4e5f",
                    "uid": "0d1c2b3a-0000-4000-8000-000000000000", "phase": "Running",
                },
                "keysFrom": {
                    "action": 2, "compensation": 1, "mayHaveActed": true,
                    "child": "order-charge-a5-0a1b2c3d4e5f",
                },
                "action": direction,
                "compensation": direction,
            },
            {
                "name": "ship", "phase": "Skipped", "compensation": {"attempt": 0, "budgetUsed": 0},
                "outputs": {"tracking": "T-1", "of": [{"weight": 1.5}, null]},
            },
        ],
    });
    for more in [requests(instant), clocks(instant)] {
        full.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    }
    full
}

/// The attempts of one direction, with every field that there is.
fn attempts(instant: &str) -> Value {
    let record = |number: i64, outcome: &str| {
        json!({
            "attempt": number, "outcome": outcome, "startedAt": instant, "settledAt": instant,
            "message": "HTTP 503",
        })
    };
    json!({
        "attempt": 6,
        "budgetUsed": 5,
        "budgetStartedAt": instant,
        "failures": 2,
        "disruptions": 1,
        "calledOff": 1,
        "begun": true,
        "uncertain": true,
        "answered": true,
        "sequence": 7,
        "lastOutcome": "Unknown",
        "requestHash": "0".repeat(64),
        "active": {
            "startedAt": instant,
            "executor": "saga-operator-6d4cf56db6-x2l9k-0a1b2c3d",
            "endsBy": instant,
            "clockAheadSeconds": 2,
            "clockBehindSeconds": 3,
            "childUid": "0d1c2b3a-0000-4000-8000-000000000000",
            "trouble": "Image",
        },
        "attempts": [
            record(2, "Failed"),
            record(3, "Unknown"),
            record(4, "Failed"),
            record(5, "Unknown"),
            record(6, "Succeeded"),
        ],
    })
}

/// The clocks of a saga that is paused after its time has passed.
fn clocks(instant: &str) -> Value {
    let paused = json!({"at": instant, "reason": "r".repeat(256)});
    json!({
        "clockStoppedAt": instant, "timeoutStartedAt": instant, "timedOutAt": instant,
        "paused": paused,
    })
}

/// What people asked for, as the status tells it.
fn requests(instant: &str) -> Value {
    let request = |number: i64, more: Value| {
        let mut request = json!({
            "number": number, "value": "v".repeat(128), "valueHash": "0".repeat(16), "at": instant,
        });
        request["message"] = json!("m".repeat(512));
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    json!({
        "compensationRequested": "r".repeat(256),
        "cancelRequested": "r".repeat(256),
        "retryRequests": 2,
        "requests": [
            request(1, json!({"action": "skip", "result": "Refused"})),
            request(
                2,
                json!({"action": "compensate", "result": "Ignored", "token": "t".repeat(63)}),
            ),
            request(3, json!({"action": "retry", "result": "Accepted"})),
            request(4, json!({"action": "cancel", "result": "Refused"})),
            request(5, json!({"action": "pause", "result": "Accepted"})),
            request(6, json!({"action": "resume", "result": "Accepted"})),
            request(7, json!({"action": "approve", "result": "Accepted"})),
            request(8, json!({"action": "reject", "result": "Refused"})),
        ],
        "handledTokens": [format!("{}-{}", "0".repeat(16), "1".repeat(16)), "2".repeat(16)],
    })
}
