#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use serde_json::{Value, json};

use super::*;

/// A Pod as a server returns it, with one of everything that can grow.
fn large() -> Pod {
    let filler = || "x".repeat(10_000);
    let container = |name: &str| {
        json!({
            "name": name, "image": filler(), "imageID": filler(), "ready": true, "restartCount": 0,
            "containerID": "containerd://1", "resources": {"limits": {"cpu": "1"}},
            "state": {"running": {"startedAt": "2026-03-01T09:00:00Z"}},
        })
    };
    let condition = |type_: &str| {
        json!({
            "type": type_, "status": "True", "message": filler(),
            "lastTransitionTime": "2026-03-01T09:00:00Z",
        })
    };
    let many = |one: &dyn Fn(&str) -> Value, first: &str| {
        (0..100)
            .map(|n| one(&if n == 0 { first.to_owned() } else { format!("{first}-{n}") }))
            .collect::<Vec<_>>()
    };
    serde_json::from_value(json!({
        "metadata": {
            "name": "order-ship-a1", "namespace": "shop", "uid": "u1", "resourceVersion": "7",
            "labels": {
                "saga.dev/saga": "order", "saga.dev/step": "ship", "saga.dev/direction": "action",
                "saga.dev/attempt": "1", "injected": filler(),
            },
            "annotations": {"injected": filler()},
            "finalizers": ["example.com/keep"],
            "managedFields": [{"manager": "a", "operation": "Update"}],
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "c1"},
                {"apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "name": "order", "uid": "s1",
                 "controller": true},
            ],
        },
        "spec": {
            "nodeName": "n1",
            "containers": [
                {"name": "step", "image": "a", "env": [{"name": "A", "value": filler()}]},
            ],
            "volumes": [{"name": "v"}],
        },
        "status": {
            "phase": "Running", "message": filler(), "podIP": "10.0.0.1",
            "conditions": many(&condition, "PodScheduled"),
            "containerStatuses": many(&container, "step"),
            "initContainerStatuses": many(&container, "init"),
        },
    }))
    .unwrap()
}

#[test]
fn what_nobody_reads_is_taken_away() {
    let mut pod = large();
    strip(&mut pod);
    let kept = serde_json::to_value(&pod).unwrap();
    assert_eq!(
        kept["metadata"],
        json!({
            "name": "order-ship-a1", "namespace": "shop", "uid": "u1", "resourceVersion": "7",
            "labels": {
                "saga.dev/saga": "order", "saga.dev/step": "ship", "saga.dev/direction": "action",
                "saga.dev/attempt": "1",
            },
            "ownerReferences": [
                {"apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "name": "order", "uid": "s1",
                 "controller": true},
            ],
        })
    );
    assert_eq!(kept["spec"], json!({"nodeName": "n1", "containers": []}));
    assert!(kept.to_string().len() < 2_000, "{}", kept.to_string().len());
}

#[test]
fn of_a_template_is_kept_which_container_decides_and_three_of_those_before_it() {
    let mut pod = large();
    pod.metadata.annotations = Some(
        [
            ("saga.dev/container".to_owned(), "step-7".to_owned()),
            ("injected".to_owned(), "x".repeat(10_000)),
        ]
        .into(),
    );
    strip(&mut pod);
    let kept = serde_json::to_value(&pod).unwrap();
    assert_eq!(kept["metadata"]["annotations"], json!({"saga.dev/container": "step-7"}));
    assert_eq!(kept["status"]["containerStatuses"][0]["name"], "step-7");
    assert!(
        kept["status"]["initContainerStatuses"].as_array().unwrap().len() <= 3
            && kept.to_string().len() < 3_000,
        "{kept}"
    );
}

#[test]
fn a_stripped_pod_is_still_known_by_its_attempt() {
    let mut pod = large();
    let before = crate::objects::attempt::attempt_of(&pod);
    strip(&mut pod);
    assert_eq!(crate::objects::attempt::attempt_of(&pod), before);
    assert!(before.is_some());
}
