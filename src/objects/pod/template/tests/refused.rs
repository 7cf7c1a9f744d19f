//! What a template may not say.

use super::*;

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
