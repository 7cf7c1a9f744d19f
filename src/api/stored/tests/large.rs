//! Specs that are too large, or nested too deep, to be kept.

use super::*;
use crate::api::{
    WholeSaga,
    limits::{MAX_SPEC, MAX_SPEC_DEPTH},
};

/// Returns a saga with this spec, accepted or not, as the API server sends it.
fn saga(spec: &Value, accepted: bool) -> String {
    let status = if accepted { json!({"specHash": spec_hash(spec)}) } else { json!({}) };
    json!({"metadata": {"name": "a"}, "spec": spec, "status": status}).to_string()
}

/// Returns a spec of this many bytes of JSON.
fn of_size(bytes: usize) -> Value {
    let spec = |filler: usize| {
        json!({
            "deletionPolicy": "Abandon", "params": {"a": "x".repeat(filler)},
            "serviceAccountName": "order", "steps": [{"name": "b", "pod": {"image": "c"}}],
            "suspend": true,
        })
    };
    spec(bytes - spec(0).to_string().len())
}

/// Returns a spec whose objects and lists are nested this deep.
fn of_depth(depth: usize) -> Value {
    let params = (2..depth).fold(json!({}), |inner, _| json!({ "a": inner }));
    json!({"params": params, "steps": []})
}

fn read(text: &str) -> StoredSaga {
    serde_json::from_str(text).unwrap()
}

fn read_whole(text: &str) -> StoredSaga {
    serde_json::from_str::<WholeSaga>(text).unwrap().0
}

#[test]
fn a_spec_up_to_the_bound_is_kept() {
    let saga = read(&saga(&of_size(MAX_SPEC), false));
    assert_eq!((saga.spec.map(|spec| spec.steps.len()), saga.large), (Ok(1), None));
}

#[test]
fn of_a_spec_above_the_bound_nothing_stays_that_grows_with_it() {
    for bytes in [MAX_SPEC + 1, 300 * 1024, 1400 * 1024] {
        let stored = read(&saga(&of_size(bytes), false));
        let said = format!("spec: has {bytes} bytes, and at most 262144 are taken: put large data");
        assert!(stored.spec.as_ref().unwrap_err().starts_with(&said), "{:?}", stored.spec);
        assert_eq!(stored.large.as_ref().unwrap().bytes, bytes);
        assert!(format!("{stored:?}").len() < 8 * 1024, "{bytes}");
        assert_eq!(
            (stored.deletion_policy, stored.account(), stored.is_suspended()),
            (DeletionPolicy::Abandon, Some("order"), true)
        );
        // A saga that was never accepted is not parsed by a read of whole sagas either.
        let whole = read_whole(&saga(&of_size(bytes), false));
        assert!(whole.spec.is_err() && format!("{whole:?}").len() < 8 * 1024, "{bytes}");
        assert!(!stored.is_to_be_read_whole());
    }
}

#[test]
fn the_depth_of_a_spec_is_bounded_and_the_message_says_so() {
    let kept = read(&saga(&of_depth(MAX_SPEC_DEPTH), false));
    assert!(kept.spec.is_ok() && kept.large.is_none());
    let refused = read(&saga(&of_depth(MAX_SPEC_DEPTH + 1), false)).spec.unwrap_err();
    assert!(
        refused.starts_with("spec: has objects and lists that are nested more than 64 deep: make"),
        "{refused}"
    );
}

#[test]
fn an_accepted_spec_above_a_bound_is_read_whole_and_not_kept() {
    for spec in [of_size(300 * 1024), of_depth(100)] {
        let text = saga(&spec, true);
        let kept = read(&text);
        assert!(kept.spec.is_err() && kept.is_to_be_read_whole());
        assert!(format!("{kept:?}").len() < 8 * 1024);
        let whole = read_whole(&text);
        assert!(whole.spec.is_ok(), "{:?}", whole.spec);
        assert_eq!(whole.spec_hash, spec_hash(&spec));
        // Both copies are known to hold the same steps.
        assert!(kept.has_steps_of(&whole) && whole.has_steps_of(&kept));
        let mut changed = spec.clone();
        changed["suspend"] = json!(false);
        assert!(whole.has_steps_of(&read(&saga(&changed, true))), "the field may change");
        changed["params"] = json!({"b": changed["params"]});
        assert!(!whole.has_steps_of(&read(&saga(&changed, true))));
        assert!(!whole.has_steps_of(&read(&saga(&json!({"steps": []}), true))));
    }
}

#[test]
fn metadata_that_is_not_read_is_not_kept() {
    let long = "x".repeat(200 * 1024);
    let many = |count: usize| -> Value {
        (0..count).map(|nth| (format!("label-{nth}"), json!("y"))).collect()
    };
    let mut labels = many(10_000);
    labels["saga.dev/step"] = json!("b");
    let owner = |nth: usize, controller: bool| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "name": format!("o{nth}"), "uid": "u",
            "controller": controller,
        })
    };
    let owners: Vec<_> = (0..1000).map(|nth| owner(nth, nth == 7)).collect();
    let keys: Value =
        (0..1000).map(|nth| (format!("s{nth}"), json!({"action": 1, "compensation": 1}))).collect();
    let annotations = json!({
        "kubectl.kubernetes.io/last-applied-configuration": long, "other": long,
        "saga.dev/keys-from": keys.to_string(),
    });
    let metadata = json!({
        "name": "a", "labels": labels, "ownerReferences": owners, "annotations": annotations,
        "managedFields": [{"fieldsV1": {"f:a": {long.as_str(): {}}}}],
    });
    let stored = read(&json!({"metadata": metadata, "spec": {"steps": []}}).to_string());
    assert!(format!("{stored:?}").len() < 8 * 1024);
    let kept = stored.metadata.owner_references.as_deref().unwrap_or_default();
    assert_eq!(kept.iter().map(|owner| owner.name.as_str()).collect::<Vec<_>>(), ["o7"]);
    let labels = stored.metadata.labels.unwrap();
    assert_eq!(labels, [("saga.dev/step".to_owned(), "b".to_owned())].into());
}
