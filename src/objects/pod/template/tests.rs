#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

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

/// Each of these values at its path is refused with a sentence that begins like this.
fn are_refused(cases: &[(&str, Value, &str)]) {
    for (pointer, value, begins) in cases {
        let error = built(with(pointer, value.clone())).unwrap_err();
        assert!(error.starts_with(*begins), "{pointer} {value}: {error}");
    }
}

#[test]
fn what_the_operator_sets_in_metadata_cannot_be_set_otherwise() {
    are_refused(&[
        (
            "/metadata/name",
            json!("a"),
            "template.metadata.name: is set by the operator: leave it out",
        ),
        (
            "/metadata/namespace",
            json!("other"),
            "template.metadata.namespace: is set by the operator",
        ),
        (
            "/metadata/finalizers",
            json!(["a/b"]),
            "template.metadata.finalizers: is set by the operator",
        ),
        (
            "/metadata/ownerReferences",
            json!([]),
            "template.metadata.ownerReferences: is set by the operator",
        ),
        (
            "/metadata/labels",
            json!({"saga.dev/step": "a"}),
            "template.metadata.labels.saga.dev/step: is set by the operator",
        ),
        (
            "/metadata/labels",
            json!({"app.kubernetes.io/managed-by": "a"}),
            "template.metadata.labels.app.kubernetes.io/managed-by: is set",
        ),
        (
            "/metadata/annotations",
            json!({"saga.dev/container": "a"}),
            "template.metadata.annotations.saga.dev/container: is set",
        ),
    ]);
}

#[test]
fn what_the_operator_sets_in_a_spec_cannot_be_set_otherwise() {
    are_refused(&[
        ("/spec/restartPolicy", json!("OnFailure"), "template.spec.restartPolicy: must be Never"),
        (
            "/spec/activeDeadlineSeconds",
            json!(5),
            "template.spec.activeDeadlineSeconds: is set by the operator: leave it out, and set",
        ),
        (
            "/spec/containers/0/env",
            json!([{"name": "SAGA_UID"}]),
            "template.spec.containers[0].env[0].name: names that begin with SAGA_",
        ),
        (
            "/spec/initContainers",
            json!([{"name": "a", "env": [{"name": "SAGA_X"}]}]),
            "template.spec.initContainers[0].env[0].name: names that begin with SAGA_",
        ),
        (
            "/spec/containers",
            json!([]),
            "template.spec.containers: must have at least one container",
        ),
        (
            "/spec/serviceAccountName",
            json!("admin"),
            "template.spec.serviceAccountName: is admin, and the steps act as the saga's \
             ServiceAccount order-saga: leave it out",
        ),
        ("/spec/serviceAccount", json!("admin"), "template.spec.serviceAccount: is admin"),
    ]);
    assert!(built(json!("text")).unwrap_err().starts_with("template: must be an object"));
    assert!(
        built(json!({}))
            .unwrap_err()
            .starts_with("template.spec.containers: must have at least one container")
    );
}

#[test]
fn a_field_that_there_is_not_is_named_with_its_path() {
    let cases = [
        ("/spec/container", json!([]), "template.spec.container: is no field that a Pod has here"),
        ("/spec/containers/0/imag", json!("a"), "template.spec.containers[0].imag: is no field"),
        (
            "/spec/containers/0/env",
            json!([{"name": "A", "valeu": "b"}]),
            "template.spec.containers[0].env[0].valeu: is no field",
        ),
        (
            "/spec/containers/0/env",
            json!([{"name": "A", "value": 1}]),
            "template.spec.containers[0].env[0].value: invalid type: integer `1`",
        ),
        (
            "/spec/containers/0/args",
            json!(["a", true]),
            "template.spec.containers[0].args[1]: invalid type: boolean `true`",
        ),
        (
            "/spec/containers/0/resources",
            json!({"limit": {"cpu": 1}}),
            "template.spec.containers[0].resources.limit: is no field",
        ),
        (
            "/spec/affinity",
            json!({"nodeAffinty": {}}),
            "template.spec.affinity.nodeAffinty: is no field",
        ),
        (
            "/spec/volumes",
            json!([{"name": "a", "emptyDirs": {}}]),
            "template.spec.volumes[0].emptyDirs: is no field",
        ),
        ("/metadata/label", json!({}), "template.metadata.label: is "),
    ];
    for (pointer, value, begins) in cases {
        let error = built(with(pointer, value.clone())).unwrap_err();
        assert!(error.starts_with(begins), "{pointer} {value}: {error}");
    }
    let many: serde_json::Map<_, _> = (0..1000).map(|n| (format!("{n:0>300}"), json!(1))).collect();
    let faults = check_template(&with("/spec/affinity", many.into())).unwrap_err();
    assert!(faults.len() <= 9 && faults.iter().all(|(path, _)| path.len() < 200), "{faults:?}");
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
