#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod refused;

use serde_json::json;

use super::{super::build::pod as pod_of, *};
use crate::{
    api::PodAction,
    manifest::pod_template::deciding_image,
    objects::fixture::{identity as attempt, saga},
};

fn built(template: Value) -> Result<Value, String> {
    let action = PodAction { template: Some(template), ..PodAction::default() };
    pod_of(&saga(), &attempt(2), &action, Duration::from_mins(1))
        .map(|pod| serde_json::to_value(pod).unwrap())
}

/// A template of one container with one more value at a path.
fn with(pointer: &str, value: Value) -> Value {
    let mut template =
        json!({"metadata": {}, "spec": {"containers": [{"name": "step", "image": "ship:1"}]}});
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    template.pointer_mut(parent).unwrap()[name] = value;
    template
}

fn identity() -> Vec<Value> {
    let values = [
        ("SAGA_NAME", "order-1042"),
        ("SAGA_NAMESPACE", "shop"),
        ("SAGA_UID", "0d1c"),
        ("SAGA_STEP", "ship"),
        ("SAGA_DIRECTION", "action"),
        ("SAGA_ATTEMPT", "2"),
        ("SAGA_IDEMPOTENCY_KEY", "0d1c/ship/action/1"),
    ];
    values.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

/// A template of which something stands in each part.
fn whole_template() -> Value {
    json!({
        "metadata": {"labels": {"app": "ship"}, "annotations": {"example.com/owner": "logistics"}},
        "spec": {
            "serviceAccountName": "order-saga", "restartPolicy": "Never",
            "priorityClassName": "low", "terminationGracePeriodSeconds": 5,
            "tolerations": [{"key": "spot", "operator": "Exists"}],
            "volumes": [{"name": "work", "emptyDir": {"sizeLimit": 1_000_000}}],
            "initContainers": [
                {"name": "fetch", "image": "fetch:1",
                 "securityContext": {"readOnlyRootFilesystem": true}},
            ],
            "containers": [
                {"name": "ship", "image": "ship:1", "env": [{"name": "REGION", "value": "eu"}],
                 "resources": {"requests": {"cpu": 1}},
                 "volumeMounts": [{"name": "work", "mountPath": "/work"}]},
                {"name": "proxy", "image": "proxy:1", "terminationMessagePolicy": "File",
                 "securityContext": {"runAsUser": 1000}},
            ],
        },
    })
}

#[test]
fn the_whole_pod_of_a_template() {
    let pod = built(whole_template());
    let mut region = vec![json!({"name": "REGION", "value": "eu"})];
    region.extend(identity());
    let restricted = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    let also = |name: &str, value: Value| {
        let mut context = restricted.clone();
        context[name] = value;
        context
    };
    let pod = pod.unwrap();
    assert_eq!(
        pod["metadata"],
        json!({
            "name": "order-1042-ship-a2-a92db4bbecba",
            "namespace": "shop",
            "labels": {
                "app": "ship", "app.kubernetes.io/managed-by": "saga-operator",
                "saga.dev/saga": "order-1042", "saga.dev/step": "ship",
                "saga.dev/direction": "action", "saga.dev/attempt": "2",
            },
            "annotations": {"example.com/owner": "logistics", "saga.dev/container": "ship"},
            "ownerReferences": [
                {"apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "name": "order-1042",
                 "uid": "0d1c", "controller": true},
            ],
        })
    );
    assert_eq!(
        pod["spec"],
        json!({
            "activeDeadlineSeconds": 70, "enableServiceLinks": false, "restartPolicy": "Never",
            "serviceAccountName": "order-saga", "priorityClassName": "low",
            "terminationGracePeriodSeconds": 5,
            "tolerations": [{"key": "spot", "operator": "Exists"}],
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [{"name": "work", "emptyDir": {"sizeLimit": "1000000"}}],
            "initContainers": [{
                "name": "fetch", "image": "fetch:1", "env": identity(),
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "securityContext": also("readOnlyRootFilesystem", json!(true)),
            }],
            "containers": [
                {"name": "ship", "image": "ship:1", "env": region,
                 "resources": {"requests": {"cpu": "1"}},
                 "volumeMounts": [{"name": "work", "mountPath": "/work"}],
                 "securityContext": restricted,
                 "terminationMessagePolicy": "FallbackToLogsOnError"},
                {"name": "proxy", "image": "proxy:1", "env": identity(),
                 "terminationMessagePolicy": "File",
                 "securityContext": also("runAsUser", json!(1000))},
            ],
        })
    );
}

#[test]
fn the_container_named_step_decides_and_else_the_first() {
    let decides = |containers: Value| {
        let template = json!({"spec": {"containers": containers}});
        let image = deciding_image(&template).map(str::to_owned);
        (
            built(template).unwrap()["metadata"]["annotations"][DECIDES]
                .as_str()
                .unwrap()
                .to_owned(),
            image,
        )
    };
    let (a, step) = (json!({"name": "a", "image": "a:1"}), json!({"name": "step", "image": "s:1"}));
    assert_eq!(decides(json!([a, step])), ("step".into(), Some("s:1".into())));
    assert_eq!(decides(json!([a])), ("a".into(), Some("a:1".into())));
    assert_eq!(decides(json!([step])), ("step".into(), Some("s:1".into())));
}

#[test]
fn what_is_said_is_kept_for_pod_security_to_judge() {
    let said = json!({"privileged": true, "capabilities": {"add": ["NET_ADMIN"], "drop": []}});
    let pod = built(with("/spec/containers/0/securityContext", said.clone())).unwrap();
    assert_eq!(
        pod["spec"]["containers"][0]["securityContext"], said,
        "the API server takes no false beside privileged"
    );
    let said =
        json!({"runAsNonRoot": false, "runAsUser": 0, "seccompProfile": {"type": "Unconfined"}});
    assert_eq!(
        built(with("/spec/securityContext", said.clone())).unwrap()["spec"]["securityContext"],
        said
    );
    for (pointer, value) in [
        ("/spec/hostNetwork", json!(true)),
        ("/spec/nodeName", json!("n1")),
        ("/spec/automountServiceAccountToken", json!(false)),
    ] {
        assert_eq!(built(with(pointer, value.clone())).unwrap().pointer(pointer), Some(&value));
    }
    let windows = built(with("/spec/os", json!({"name": "windows"}))).unwrap();
    assert_eq!(
        (&windows["spec"]["securityContext"], &windows["spec"]["containers"][0]["securityContext"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn a_field_that_is_null_is_a_field_that_is_not_set_and_numbers_are_quantities() {
    let template = with("/spec/hostNetwork", Value::Null);
    assert_eq!(built(template).unwrap()["spec"].get("hostNetwork"), None);
    let limits = json!({"limits": {"cpu": 1.5, "memory": 1024}});
    let pod = built(with("/spec/containers/0/resources", limits)).unwrap();
    assert_eq!(
        pod["spec"]["containers"][0]["resources"],
        json!({"limits": {"cpu": "1.5", "memory": "1024"}})
    );
}
