//! What a Job may not say.

use super::*;

/// Each of these values at its path is refused with a sentence that begins like this.
fn are_refused(cases: &[(&str, Value, &str)]) {
    for (pointer, value, begins) in cases {
        let error = built(with(pointer, value.clone())).unwrap_err();
        assert!(error.starts_with(*begins), "{pointer} {value}: {error}");
    }
}

#[test]
fn what_the_operator_sets_in_a_job_cannot_be_set_otherwise() {
    are_refused(&[
        (
            "/activeDeadlineSeconds",
            json!(5),
            "spec.activeDeadlineSeconds: is set by the operator: leave it out, and set the step's \
             timeout",
        ),
        ("/selector", json!({}), "spec.selector: is set by Kubernetes"),
        ("/manualSelector", json!(true), "spec.manualSelector: is set by Kubernetes"),
        (
            "/ttlSecondsAfterFinished",
            json!(599),
            "spec.ttlSecondsAfterFinished: must be at least 600",
        ),
        ("/paralelism", json!(3), "spec.paralelism: is no field that a Job has here"),
        ("/parallelism", json!("3"), "spec.parallelism: invalid type: string"),
    ]);
}

#[test]
fn what_the_operator_sets_in_a_template_cannot_be_set_otherwise() {
    are_refused(&[
        (
            "/template/metadata/name",
            json!("a"),
            "spec.template.metadata.name: is set by the operator",
        ),
        (
            "/template/metadata/labels",
            json!({"saga.dev/step": "a"}),
            "spec.template.metadata.labels.saga.dev/step: is set by the operator",
        ),
        (
            "/template/spec/restartPolicy",
            json!("Always"),
            "spec.template.spec.restartPolicy: must be Never or OnFailure",
        ),
        (
            "/template/spec/activeDeadlineSeconds",
            json!(5),
            "spec.template.spec.activeDeadlineSeconds: is set by the operator",
        ),
        (
            "/template/spec/containers/0/env",
            json!([{"name": "SAGA_UID"}]),
            "spec.template.spec.containers[0].env[0].name: names that begin with SAGA_",
        ),
        (
            "/template/spec/containers",
            json!([]),
            "spec.template.spec.containers: must have at least one container",
        ),
        (
            "/template/spec/serviceAccountName",
            json!("admin"),
            "spec.template.spec.serviceAccountName: is admin, and the steps act as",
        ),
        (
            "/template/spec/containers/0/imag",
            json!("a"),
            "spec.template.spec.containers[0].imag: is no field that a Job has here",
        ),
    ]);
}

#[test]
fn what_has_to_stand_in_a_job_and_its_metadata_is_checked() {
    assert!(built(with("/ttlSecondsAfterFinished", json!(600))).is_ok());
    assert!(built(json!("text")).unwrap_err().starts_with("spec: must be an object"));
    assert!(
        built(json!({}))
            .unwrap_err()
            .starts_with("spec.template.spec.containers: must have at least one container")
    );
    let metadata = |metadata: Value| {
        built_of(JobAction {
            metadata: Some(metadata),
            spec: with("/suspend", json!(true)),
            final_exit_codes: None,
            finishes_on_sigterm: None,
        })
    };
    assert!(
        metadata(json!({"name": "a"}))
            .unwrap_err()
            .starts_with("metadata.name: is set by the operator")
    );
    let label = metadata(json!({"labels": {"app.kubernetes.io/managed-by": "a"}})).unwrap_err();
    assert!(
        label.starts_with("metadata.labels.app.kubernetes.io/managed-by: is set by the operator"),
        "{label}"
    );
    assert!(
        metadata(json!({"label": {}}))
            .unwrap_err()
            .starts_with("metadata.label: is no field that a Job has here")
    );
}
