#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use kube::core::ObjectList;
use serde_json::{Value, json};

use super::*;
use crate::{
    model::observation::{ChildState, End},
    objects::{
        job::{self, known_pods::KnownPods},
        pod,
        unreadable::why_unreadable,
    },
};

/// An instant that the API server takes and that the parser does not know.
const TOO_LATE: &str = "9999-12-31T23:59:59Z";

/// Managed fields that are nested so deeply.
fn managed_fields(levels: usize) -> Value {
    let fields = (0..levels).fold(json!({}), |inner, _| json!({"f:a": inner}));
    json!([{"manager": "x", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields}])
}

/// An object without a node, with this status, and with more in its metadata.
fn object(more: &Value, status: &Value) -> Value {
    let mut metadata = json!({
        "name": "a", "namespace": "shop", "uid": "u", "resourceVersion": "7",
        "labels": {"saga.dev/saga": "order"}, "annotations": {"saga.dev/unreadable": "forged"},
        "ownerReferences": [{
            "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "name": "order", "uid": "s",
            "controller": true,
        }],
    });
    metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({
        "metadata": metadata, "status": status,
        "spec": {"containers": [], "template": {"spec": {"containers": []}}},
    })
}

fn read<K: InParts>(object: &Value) -> K {
    serde_json::from_str::<StoredObject<K>>(&object.to_string()).unwrap().0
}

#[test]
fn managed_fields_are_not_read_however_deep_they_are() {
    let deep = object(&json!({"managedFields": managed_fields(130)}), &json!({"phase": "Running"}));
    serde_json::from_str::<Pod>(&deep.to_string()).unwrap_err();
    let pod: Pod = read(&deep);
    assert_eq!(why_unreadable(&pod), None, "also because somebody else wrote that it is not");
    assert_eq!(pod.status.unwrap().phase.as_deref(), Some("Running"));
    assert!(pod.metadata.managed_fields.is_none());
    assert_eq!(pod.metadata.resource_version.as_deref(), Some("7"));
    let namespace: Namespace = read(&deep);
    assert_eq!(namespace.metadata.name.as_deref(), Some("a"));
}

#[test]
fn one_object_that_cannot_be_read_takes_no_other_object_with_it() {
    let fine = object(&json!({"name": "b"}), &json!({"phase": "Running"}));
    let list = json!({
        "kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "9"},
        "items": [object(&json!({}), &json!({"startTime": TOO_LATE})), fine],
    });
    let list: ObjectList<StoredObject<Pod>> = serde_json::from_str(&list.to_string()).unwrap();
    let found = list.items.iter().map(|stored| {
        let why = why_unreadable(stored).map(|why| why.split(':').next().unwrap_or_default());
        (stored.meta().name.as_deref().unwrap_or_default(), why)
    });
    assert_eq!(found.collect::<Vec<_>>(), [("a", Some("status")), ("b", None)]);
}

#[test]
fn of_an_object_that_cannot_be_read_the_metadata_is_known_and_nothing_is_concluded() {
    for deleted in [json!({}), json!({"deletionTimestamp": "2026-03-01T10:00:00Z"})] {
        let unread = object(&deleted, &json!({"startTime": TOO_LATE}));
        let (mut pod, mut job): (Pod, Job) = (read(&unread), read(&unread));
        // The mark outlives the reduction to what is kept.
        pod::strip::strip(&mut pod);
        job::strip::strip(&mut job);
        for metadata in [&pod.metadata, &job.metadata] {
            assert_eq!(metadata.uid.as_deref(), Some("u"));
            assert!(metadata.labels.is_some() && metadata.owner_references.is_some());
        }
        assert!(!pod::state::never_bound(&pod), "its node is not known");
        let pods = KnownPods { whole: true, ..KnownPods::default() };
        let told = [
            pod::state::state(&pod, Duration::ZERO),
            job::state::state(&job, &pods, Duration::ZERO),
        ];
        for state in told {
            let ChildState::Active { uid, detail, .. } = state else { unreachable!("{state:?}") };
            assert_eq!(uid.as_deref(), Some("u"));
            let words = if deleted == json!({}) { "cannot be read: status: " } else { "is being" };
            assert!(detail.starts_with(words), "{detail}");
        }
        let ends = [Some(pod::state::gone(&pod)), job::state::gone(&job, &pods)];
        assert!(ends.iter().all(|end| matches!(end, Some(End::Unknown { .. }))), "{ends:?}");
    }
}

#[test]
fn what_was_seen_to_end_has_ended_although_a_later_version_cannot_be_read() {
    let unread = object(&json!({}), &json!({"startTime": TOO_LATE}));
    let (mut pod, mut job): (Pod, Job) = (read(&unread), read(&unread));
    let succeeded: Pod = read(&object(&json!({}), &json!({"phase": "Succeeded"})));
    pod::strip::keep_success(&mut pod, Some(&succeeded));
    let complete = json!({"conditions": [{"type": "Complete", "status": "True"}]});
    let complete: Job = read(&object(&json!({}), &complete));
    job::strip::keep_end(&mut job, Some(&complete));
    assert_eq!(job.spec, complete.spec, "its outputs are found by its spec");
    let pods = KnownPods::default();
    for state in
        [pod::state::state(&pod, Duration::ZERO), job::state::state(&job, &pods, Duration::ZERO)]
    {
        assert!(matches!(state, ChildState::Ended(End::Succeeded(_))), "{state:?}");
    }
    assert!(matches!(job::state::gone(&job, &pods), Some(End::Succeeded(_))));
}

#[test]
fn metadata_that_cannot_be_read_leaves_the_rest_of_it_readable() {
    let unread = object(&json!({"deletionTimestamp": TOO_LATE}), &json!({"phase": "Running"}));
    let pod: Pod = read(&unread);
    assert!(why_unreadable(&pod).unwrap().starts_with("metadata.deletionTimestamp: "));
    assert_eq!((pod.metadata.uid.as_deref(), pod.status), (Some("u"), None));
}
