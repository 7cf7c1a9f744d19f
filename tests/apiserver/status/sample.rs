//! A status with every field of the schema, and a check that no field is missing.

use serde_json::{Value, json};

/// Returns the paths of the fields of a schema that no value has.
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

/// Returns a status with every field of the schema. Texts have their greatest length if that length
/// is small.
pub(super) fn full() -> Value {
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
        "doubted": {"by": "0.2.0", "acceptedMessage": "the spec is valid"},
        "stillInEffect": ["charge", "ship"],
        "settled": 7,
        "outputs": {"tracking": "T-1"},
        "conditions": [
            condition("Accepted", "True"),
            condition("Ready", "False"),
            condition("Stalled", "True"),
            condition("Reconciling", "Unknown"),
        ],
        "steps": steps(instant),
    });
    for more in [requests(instant), clocks(instant)] {
        full.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    }
    full
}

/// Returns a step whose compensation failed, with every field of the schema, and a skipped step
/// with outputs.
fn steps(instant: &str) -> Value {
    let direction = attempts(instant);
    json!([
        {
            "name": "charge",
            "phase": "CompensationFailed",
            "startedAt": instant,
            "completedAt": instant,
            "message": "HTTP 402",
            "nextAttemptAt": instant,
            "throttled": {
                "reason": "CircuitOpen", "origin": "http://bank.shop.svc:80", "until": instant,
                "previousMessage": "HTTP 402",
            },
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
    ])
}

/// Returns the attempts of one direction, with every field of the schema.
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

/// Returns the clocks of a saga that is paused after its timeout.
fn clocks(instant: &str) -> Value {
    let paused = json!({"at": instant, "reason": "r".repeat(256)});
    json!({
        "clockStoppedAt": instant, "timeoutStartedAt": instant, "timedOutAt": instant,
        "paused": paused,
    })
}

/// Returns the records of requests.
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
