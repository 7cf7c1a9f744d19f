#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod large;

use serde_json::{Value, json};

use super::{StoredSaga, spec::spec_hash};
use crate::api::{DeletionPolicy, RequestAction, SagaStatus};

#[test]
fn a_malformed_status_leaves_the_spec_readable() {
    let saga: StoredSaga = serde_json::from_value(json!({
        "metadata": {"name": "a"},
        "spec": {"steps": [{"name": "b", "pod": {"image": "c"}}]},
        "status": {"phase": "Running", "message": "m", "conditions": [], "steps": 7},
    }))
    .unwrap();
    assert_eq!((saga.spec.unwrap().steps.len(), saga.strangers), (1, None));
    assert!(saga.status.unwrap_err().starts_with("status.steps: invalid type: integer `7`"));
    assert_eq!(saga.salvaged, SagaStatus { message: Some("m".into()), ..SagaStatus::default() });
}

#[test]
fn a_word_of_another_version_is_told_apart_from_nonsense() {
    let status = json!({"phase": "Dreaming", "message": "m"});
    let saga: StoredSaga =
        serde_json::from_value(json!({"metadata": {}, "spec": {"steps": []}, "status": status}))
            .unwrap();
    assert_eq!(
        saga.status.unwrap_err(),
        "status.phase is Dreaming: a word that this version does not know"
    );
    assert_eq!(saga.strangers.unwrap().words, ["status.phase is Dreaming"]);
    assert_eq!(saga.salvaged.message.as_deref(), Some("m"));
}

#[test]
fn fields_of_another_version_go_along_with_a_status_write() {
    let step = json!({"name": "a", "phase": "Running", "colour": "red"});
    let status = json!({"phase": "Running", "note": {"by": 1}, "steps": [step]});
    let mut saga: StoredSaga =
        serde_json::from_value(json!({"metadata": {}, "spec": {"steps": []}, "status": status}))
            .unwrap();
    let bytes = saga.strangers.as_ref().unwrap().bytes;
    assert_eq!(
        bytes,
        json!({"note": {"by": 1}, "steps": [{"name": "a", "colour": "red"}]}).to_string().len()
    );
    saga.status.as_mut().unwrap().steps[0].phase = crate::api::StepPhase::Completed;
    let written = serde_json::to_value(&saga).unwrap();
    let step = json!({"name": "a", "phase": "Completed", "colour": "red"});
    assert_eq!(written["status"], json!({"phase": "Running", "note": {"by": 1}, "steps": [step]}));
}

#[test]
fn what_is_asked_for_on_deletion_is_read_out_of_any_spec() {
    let policy = |spec: &str| {
        let saga: StoredSaga =
            serde_json::from_str(&format!(r#"{{"metadata": {{}}, "spec": {spec}}}"#)).unwrap();
        (saga.deletion_policy, saga.spec.is_ok())
    };
    let deep =
        format!(r#"{{"params": {}, "deletionPolicy": "Abandon", "steps": []}}"#, nested(1000));
    for broken in [
        &deep,
        r#"{"steps": 7, "deletionPolicy": "Abandon"}"#,
        r#"{"onFailure": "Explode", "deletionPolicy": "Abandon"}"#,
    ] {
        assert_eq!(policy(broken), (DeletionPolicy::Abandon, false), "{broken}");
    }
    assert_eq!(
        policy(r#"{"steps": [], "deletionPolicy": "Abandon"}"#),
        (DeletionPolicy::Abandon, true)
    );
    for other in [r#"{"steps": []}"#, r#"{"steps": [], "deletionPolicy": "Keep"}"#, "7"] {
        assert_eq!(policy(other).0, DeletionPolicy::Compensate, "{other}");
    }
}

/// `depth` objects, each within the one before.
fn nested(depth: usize) -> String {
    format!("{}1{}", r#"{"f:a":"#.repeat(depth), "}".repeat(depth))
}

#[test]
fn a_saga_nested_too_deep_to_be_read_harms_no_other_one() {
    let deep = nested(1000);
    let saga = |spec: &str| {
        let managed = format!(r#"[{{"manager": "kubectl", "fieldsV1": {deep}}}]"#);
        let meta = format!(
            r#"{{"name": "a", "uid": "u", "finalizers": ["x/y"], "managedFields": {managed}}}"#
        );
        let status = r#"{"message": "m"}"#;
        format!(r#"{{"kind": "Saga", "metadata": {meta}, "spec": {spec}, "status": {status}}}"#)
    };
    let (deep, plain) = (saga(&deep), saga(r#"{"steps": []}"#));
    let what = r#""kind": "SagaList", "apiVersion": "saga.dev/v1alpha1""#;
    let list = format!(r#"{{{what}, "metadata": {{}}, "items": [{deep}, {plain}]}}"#);
    let list: kube::core::ObjectList<StoredSaga> = serde_json::from_str(&list).unwrap();
    let [deep, plain] = list.items.as_slice() else { panic!("{list:?}") };
    assert!(
        deep.spec.as_ref().unwrap_err().starts_with("spec: has objects and lists that are nested"),
        "{:?}",
        deep.spec
    );
    assert_eq!(deep.metadata.finalizers, Some(vec!["x/y".into()]));
    assert_eq!(deep.status.as_ref().unwrap().message.as_deref(), Some("m"));
    assert_eq!(plain.spec.as_ref().unwrap().steps.len(), 0);
}

#[test]
fn a_watch_goes_on_past_a_saga_nested_too_deep() {
    let event = format!(
        r#"{{"type": "ADDED", "object": {{"metadata": {{"name": "a"}}, "spec": {}}}}}"#,
        nested(1000)
    );
    let event: kube::core::WatchEvent<StoredSaga> = serde_json::from_str(&event).unwrap();
    assert!(matches!(event, kube::core::WatchEvent::Added(saga) if saga.spec.is_err()));
}

/// What a saga with these annotations and managed fields asks for: action, value, whether it is
/// held in Git.
fn asked(annotations: &Value, managed: &Value) -> Vec<(RequestAction, String, bool)> {
    let saga = json!({"metadata": {
        "name": "a", "annotations": annotations, "managedFields": managed,
    }});
    let saga: StoredSaga = serde_json::from_value(saga).unwrap();
    saga.asked.into_iter().map(|asked| (asked.action, asked.value, asked.reapplied)).collect()
}

#[test]
fn requests_are_read_in_the_order_in_which_they_are_handled() {
    let annotations = json!({
        "saga.dev/retry": "b", "saga.dev/compensate": "no", "other": "x",
        "saga.dev/handled": "7",
    });
    let expected = [
        (RequestAction::Compensate, "no".to_owned(), false),
        (RequestAction::Retry, "b".to_owned(), false),
    ];
    assert_eq!(asked(&annotations, &json!([])), expected);
}

#[test]
fn a_number_that_no_request_has_counts_as_none() {
    for (text, handled) in [("7", 7), ("-1", 0), ("many", 0), ("9223372036854775808", 0), ("", 0)] {
        let saga: StoredSaga = serde_json::from_value(
            json!({"metadata": {"annotations": {"saga.dev/handled": text}}}),
        )
        .unwrap();
        assert_eq!(saga.handled, handled, "{text}");
    }
}

#[test]
fn what_would_be_applied_again_is_reapplied() {
    let applied = |value: &str| {
        json!({"metadata": {"annotations": {"saga.dev/retry": value}}, "spec": {}}).to_string()
    };
    let plain = |applied: String| {
        json!({
            "saga.dev/retry": "b",
            "kubectl.kubernetes.io/last-applied-configuration": applied,
        })
    };
    let held = |annotations: Value, managed: Value| asked(&annotations, &managed)[0].2;
    assert!(held(plain(applied("b")), json!([])));
    assert!(
        !held(plain(applied("c")), json!([])),
        "another value was applied: this one was asked for since"
    );
    assert!(!held(plain("no JSON".into()), json!([])));
    let owner = |operation: &str| {
        let fields = json!({"f:metadata": {"f:annotations": {"f:saga.dev/retry": {}}}});
        json!([{"operation": operation, "fieldsV1": fields}])
    };
    let bare = || json!({"saga.dev/retry": "b"});
    assert!(held(bare(), owner("Apply")));
    assert!(!held(bare(), owner("Update")));
    assert!(!held(bare(), json!([{"operation": "Apply", "fieldsV1": {"f:spec": {}}}, 7])));
}

#[test]
fn the_hash_ignores_the_order_of_keys_and_sees_the_order_of_steps() {
    let hash = |text: &str| spec_hash(&serde_json::from_str(text).unwrap());
    assert_eq!(hash(r#"{"params":{"a":1,"b":2}}"#), hash(r#"{"params":{"b":2,"a":1}}"#));
    assert_ne!(
        hash(r#"{"steps":[{"name":"a"},{"name":"b"}]}"#),
        hash(r#"{"steps":[{"name":"b"},{"name":"a"}]}"#)
    );
    assert_eq!(hash(r#"{"maxParallel":1}"#), hash(r#"{"maxParallel":2}"#));
}
