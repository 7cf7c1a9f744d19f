#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use serde_json::{Map, Value, json};

use super::{
    KNOWN, Shape, put_strangers_back, strangers::MOST_TOLD, strangers_of_spec, take_strangers,
};

fn split(status: &Value) -> (Value, Option<Value>, Vec<String>) {
    let (mut rest, mut words) = (status.clone(), Vec::new());
    let kept = take_strangers(&mut rest, &mut words);
    (rest, kept, words)
}

#[test]
fn every_list_of_objects_in_the_status_has_a_key() {
    fn walk(shape: &Shape, path: &str) {
        match shape {
            Shape::Object(fields, _) => {
                for (name, shape) in fields {
                    walk(shape, &format!("{path}.{name}"));
                }
            }
            Shape::List(of, key) => {
                assert!(
                    key.is_some() || !matches!(**of, Shape::Object(..)),
                    "{path}: name its key in KEYS"
                );
                if let (Shape::Object(fields, _), Some(key)) = (&**of, key) {
                    assert!(fields.contains_key(*key), "{path} has no field {key}");
                }
                walk(of, path);
            }
            Shape::Map(of) => walk(of, path),
            Shape::Free | Shape::Value | Shape::Words(_) | Shape::ChildSpec => {}
        }
    }
    walk(&KNOWN.status, "status");
}

#[test]
fn what_is_known_is_no_stranger() {
    let status = json!({
        "phase": "Running", "outputs": {"any": {"thing": 1}},
        "steps": [{"name": "a", "phase": "Pending"}],
    });
    assert_eq!(split(&status), (status.clone(), None, Vec::new()));
}

#[test]
fn fields_of_another_version_are_taken_out_wherever_they_stand_and_put_back() {
    let attempt = |more: Value| {
        let mut attempt =
            json!({"attempt": 2, "outcome": "Failed", "startedAt": "2026-01-01T00:00:00.000000Z"});
        attempt.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        attempt
    };
    let status = |more: Value| {
        let step = json!({"name": "b", "phase": "Running", "action": {
            "attempt": 3, "budgetUsed": 3, "attempts": [attempt(more.clone())],
            "active": {"startedAt": "2026-01-01T00:00:00.000000Z", "x": more.get("x")},
        }});
        let mut status =
            json!({"phase": "Running", "steps": [{"name": "a", "phase": "Pending"}, step]});
        status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        status
    };
    let (rest, kept, words) = split(&status(json!({"x": {"y": [1]}})));
    assert!(!rest.to_string().contains("\"x\"") && words.is_empty());
    let kept = kept.unwrap();
    // A step more, and another order: each part finds its entry.
    let mut written = rest.clone();
    written["steps"].as_array_mut().unwrap().reverse();
    put_strangers_back(&mut written, &kept);
    written["steps"].as_array_mut().unwrap().reverse();
    assert_eq!(written, status(json!({"x": {"y": [1]}})));
}

#[test]
fn what_stood_in_an_entry_that_is_gone_goes_with_it() {
    let active = |at: &str, more: Value| {
        let mut active = json!({"startedAt": at});
        active.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let action = json!({"attempt": 1, "active": active});
        json!({"steps": [{"name": "a", "phase": "Running", "action": action}]})
    };
    let (_, kept, _) = split(&active("2026-01-01T00:00:00Z", json!({"x": 1})));
    let mut same = active("2026-01-01T00:00:00.000000Z", json!({}));
    put_strangers_back(&mut same, &kept.clone().unwrap());
    assert_eq!(
        same,
        active("2026-01-01T00:00:00.000000Z", json!({"x": 1})),
        "the same instant, printed in another way"
    );
    for other in [active("2026-01-01T00:00:07.000000Z", json!({})), json!({"steps": []}), json!({})]
    {
        let mut written = other.clone();
        put_strangers_back(&mut written, &kept.clone().unwrap());
        assert_eq!(written, other);
    }
}

#[test]
fn conditions_of_another_version_stay() {
    let other = json!({"type": "Budgeted", "status": "Perhaps", "reason": "R", "message": "m"});
    let status = json!({"conditions": [{"type": "Ready", "status": "True", "more": 1}, other]});
    let (rest, kept, words) = split(&status);
    assert_eq!(
        (&rest, words.len()),
        (&json!({"conditions": [{"type": "Ready", "status": "True"}]}), 0)
    );
    let mut written = rest;
    put_strangers_back(&mut written, &kept.unwrap());
    assert_eq!(written, status);
}

#[test]
fn words_of_another_version_are_told_with_their_paths() {
    let record = json!({"number": 1, "action": "teleport", "result": "Accepted"});
    let status = json!({
        "phase": "Dreaming", "requests": [record], "steps": [{"name": "a", "phase": "Pending"}],
    });
    assert_eq!(
        split(&status).2,
        ["status.phase is Dreaming", "status.requests[0].action is teleport"]
    );
}

#[test]
fn strangers_of_a_spec_are_found_in_children_as_well_and_nowhere_that_is_free() {
    let pod = json!({"image": "x", "fast": true, "resources": {"any": 1}});
    let child = json!({
        "onFailure": "Explode", "params": {"any": 1},
        "steps": [{"name": "c", "pod": pod, "waitFor": null}],
    });
    let http = json!({
        "method": "BREW", "url": "http://a", "body": {"any": 1},
        "headers": [{"name": "A", "valueFrom": {"file": "b"}}],
    });
    let spec = json!({"color": "red", "params": {"any": {"thing": 1}}, "steps": [
        {"name": "a", "http": http, "compensation": {"saga": {"spec": child}}},
        {"name": "b", "apply": {"manifest": {"any": 1}},
         "job": {"spec": {"any": 1}, "metadata": {"any": 1}}, "pod": {"template": {"any": 1}}},
    ]});
    assert_eq!(
        strangers_of_spec(&spec),
        [
            "spec.color is a field that this version does not know",
            "spec.steps[0].compensation.saga.spec.onFailure is Explode, a word that this version \
             does not know",
            "spec.steps[0].compensation.saga.spec.steps[0].pod.fast is a field that this version \
             does not know",
            "spec.steps[0].http.headers[0].valueFrom.file is a field that this version does not \
             know",
            "spec.steps[0].http.method is BREW, a word that this version does not know",
        ]
    );
    let many: Map<_, _> = (0..100).map(|nth| (format!("x{nth}"), json!(1))).collect();
    assert_eq!(strangers_of_spec(&Value::Object(many)).len(), MOST_TOLD);
}

#[test]
fn a_definition_that_is_older_lacks_fields_and_words_and_takes_the_fields_away() {
    let served = json!({"properties": {
        "phase": {"type": "string", "enum": ["Pending", "Running"]},
        "steps": {"type": "array", "items": {"properties": {
            "name": {"type": "string"}, "phase": {"type": "string"},
        }}},
        "outputs": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }});
    let served = Shape::of("status", &served);
    let lacks = served.lacks(&KNOWN.status);
    for lack in ["status.clockStoppedAt", "status.phase: Failed", "status.steps[].action"] {
        assert!(lacks.iter().any(|one| one == lack), "{lack} is not in {lacks:?}");
    }
    assert!(
        !lacks
            .iter()
            .any(|lack| lack.starts_with("status.outputs")
                || lack.starts_with("status.steps[].phase")),
        "{lacks:?}"
    );
    let mut written = json!({
        "phase": "Failed", "clockStoppedAt": "x", "outputs": {"a": 1},
        "steps": [{"name": "a", "action": {}}],
    });
    served.prune(&mut written);
    assert_eq!(written, json!({"phase": "Failed", "outputs": {"a": 1}, "steps": [{"name": "a"}]}));
    assert!(KNOWN.status.lacks(&KNOWN.status).is_empty());
}
