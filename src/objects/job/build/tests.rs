#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]
#![allow(clippy::needless_pass_by_value, reason = "fixtures are put together from values")]

mod refused;

use serde_json::{Value, json};

use super::*;
use crate::{
    api::{Direction, names::AttemptId},
    model::saga::SagaName,
    objects::attempt::saga_of,
    objects::job::fields::made_by,
    objects::job::fields::{is_single, job_of},
    validate::saga::validate,
};

fn saga() -> ValidSaga {
    let who = SagaName { name: "order-1042".into(), namespace: "shop".into(), uid: "0d1c".into() };
    let spec =
        json!({"serviceAccountName": "order-saga", "steps": [{"name": "ship", "approval": {}}]});
    validate(&who, &serde_json::from_value(spec).unwrap()).unwrap()
}

fn built_of(action: JobAction) -> Result<Value, String> {
    let attempt = AttemptId { step: "ship".into(), direction: Direction::Action, number: 2 };
    let key = "0d1c/ship/action/1".into();
    let identity = Identity {
        saga: "order-1042".into(),
        namespace: "shop".into(),
        uid: "0d1c".into(),
        attempt,
        key,
    };
    job(&saga(), &identity, &action, Duration::from_mins(1))
        .map(|job| serde_json::to_value(job).unwrap())
}

fn built(spec: Value) -> Result<Value, String> {
    built_of(JobAction { spec, ..JobAction::default() })
}

/// A spec with one more value at a path.
fn with(pointer: &str, value: Value) -> Value {
    let mut spec = json!({"template": {
        "metadata": {}, "spec": {"containers": [{"name": "step", "image": "ship:1"}]},
    }});
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    spec.pointer_mut(parent).unwrap()[name] = value;
    spec
}

/// A Job of which something stands in each part, as it is made.
fn whole_job() -> Value {
    let spec = json!({
        "completions": 3, "parallelism": 2, "completionMode": "Indexed", "suspend": true,
        "template": {
            "metadata": {"labels": {"app": "ship"}},
            "spec": {"containers": [{"name": "ship", "image": "ship:1"}]},
        },
    });
    let metadata = json!({
        "labels": {"kueue.x-k8s.io/queue-name": "night"},
        "annotations": {"example.com/owner": "logistics"},
    });
    built_of(JobAction {
        metadata: Some(metadata),
        spec,
        final_exit_codes: None,
        finishes_on_sigterm: None,
    })
    .unwrap()
}

/// The operator's labels, and one more.
fn labels_and(name: &str, value: &str) -> Value {
    let mut labels = json!({
        "app.kubernetes.io/managed-by": "saga-operator", "saga.dev/saga": "order-1042",
        "saga.dev/step": "ship", "saga.dev/direction": "action", "saga.dev/attempt": "2",
    });
    labels[name] = value.into();
    labels
}

#[test]
fn the_whole_job() {
    let job = whole_job();
    assert_eq!(
        job["metadata"],
        json!({
            "name": "order-1042-ship-a2-a92db4bbecba", "namespace": "shop",
            "labels": labels_and("kueue.x-k8s.io/queue-name", "night"),
            "annotations": {"example.com/owner": "logistics"},
            "ownerReferences": [
                {"apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "name": "order-1042",
                 "uid": "0d1c", "controller": true},
            ],
        })
    );
    let mut rest = job["spec"].clone();
    rest["template"].take();
    assert_eq!(
        rest,
        json!({
            "completions": 3, "parallelism": 2, "completionMode": "Indexed", "suspend": true,
            "backoffLimit": 0, "activeDeadlineSeconds": 70, "template": null,
        })
    );
}

#[test]
fn the_template_of_the_whole_job() {
    let template = &whole_job()["spec"]["template"];
    assert_eq!(
        template["metadata"],
        json!({
            "labels": labels_and("app", "ship"), "annotations": {"saga.dev/container": "ship"},
        })
    );
    let pod = &template["spec"];
    assert_eq!(
        (
            &pod["restartPolicy"],
            &pod["serviceAccountName"],
            &pod["enableServiceLinks"],
            &pod["activeDeadlineSeconds"]
        ),
        (&json!("Never"), &json!("order-saga"), &json!(false), &Value::Null)
    );
    assert_eq!(
        pod["securityContext"],
        json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}})
    );
    let container = &pod["containers"][0];
    assert_eq!(
        container["securityContext"],
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}})
    );
    assert_eq!(container["env"].as_array().unwrap().len(), 7);
    assert_eq!(
        container["env"][6],
        json!({"name": "SAGA_IDEMPOTENCY_KEY", "value": "0d1c/ship/action/1"})
    );
}

#[test]
fn what_a_job_tries_again_by_itself_is_for_its_spec_to_say() {
    let limit = |spec: Value| built(spec).unwrap()["spec"]["backoffLimit"].clone();
    assert_eq!(limit(with("/suspend", json!(false))), 0);
    assert_eq!(limit(with("/backoffLimit", json!(4))), 4);
    assert_eq!(
        limit(with("/backoffLimitPerIndex", json!(1))),
        Value::Null,
        "none for all of them together"
    );
    let again = built(with("/template/spec/restartPolicy", json!("OnFailure"))).unwrap();
    assert_eq!(again["spec"]["template"]["spec"]["restartPolicy"], "OnFailure");
}

#[test]
fn the_pod_that_is_tried_is_the_one_that_the_job_would_make() {
    let job: Job = serde_json::from_value(built(with("/suspend", json!(true))).unwrap()).unwrap();
    let pod = trial_pod(&job).unwrap();
    assert_eq!(pod.metadata.namespace.as_deref(), Some("shop"));
    // The policies take a Pod only with a saga as its controller and with the operator's label.
    assert_eq!(pod.metadata.owner_references, job.metadata.owner_references);
    assert_eq!(saga_of(&pod).map(|saga| saga.uid.as_str()), Some("0d1c"));
    assert_eq!(pod.metadata.labels.unwrap()["app.kubernetes.io/managed-by"], "saga-operator");
    assert_eq!(pod.spec, job.spec.unwrap().template.spec);
}

#[test]
fn only_a_plain_job_of_one_pod_ends_with_it() {
    let single = |pointer: &str, value: Value| {
        is_single(&serde_json::from_value(built(with(pointer, value)).unwrap()).unwrap())
    };
    assert!(
        single("/suspend", json!(false))
            && single("/completions", json!(1))
            && single("/parallelism", json!(1))
    );
    let rule = json!({
        "action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
    });
    for (pointer, value) in [
        ("/completions", json!(2)),
        ("/parallelism", json!(2)),
        ("/parallelism", json!(0)),
        ("/backoffLimit", json!(1)),
        ("/backoffLimitPerIndex", json!(0)),
        ("/podFailurePolicy", json!({"rules": [rule]})),
        ("/template/spec/restartPolicy", json!("OnFailure")),
    ] {
        assert!(!single(pointer, value.clone()), "{pointer} {value}");
    }
}

#[test]
fn a_pod_is_of_a_job_where_a_job_controls_it_and_the_label_says_that_it_is_an_attempts() {
    let pod = |owner: Value, labels: Value| {
        serde_json::from_value::<Pod>(
            json!({"metadata": {"ownerReferences": [owner], "labels": labels}}),
        )
    };
    let owner = |kind: &str, version: &str, controller: bool| {
        json!({
            "apiVersion": version, "kind": kind, "name": "a", "uid": "u1",
            "controller": controller,
        })
    };
    let ours = json!({"app.kubernetes.io/managed-by": "saga-operator"});
    assert_eq!(job_of(&pod(owner("Job", "batch/v1", true), ours.clone()).unwrap()), Some("u1"));
    for (owner, labels) in [
        (owner("Job", "batch/v1", false), ours.clone()),
        (owner("Job", "other/v1", true), ours.clone()),
        (owner("Saga", "saga.dev/v1alpha1", true), ours),
        (owner("Job", "batch/v1", true), json!({})),
    ] {
        assert_eq!(job_of(&pod(owner.clone(), labels).unwrap()), None, "{owner}");
    }
    // A Job that lets go of its pods leaves its UID in their labels; where another controls them,
    // those say nothing.
    let orphan = json!({
        "app.kubernetes.io/managed-by": "saga-operator",
        "batch.kubernetes.io/controller-uid": "u1",
    });
    let alone: Pod = serde_json::from_value(json!({"metadata": {"labels": orphan}})).unwrap();
    assert_eq!(job_of(&alone), Some("u1"));
    assert_eq!(job_of(&pod(owner("ReplicaSet", "apps/v1", true), orphan).unwrap()), None);
    let nobodys: Pod = serde_json::from_value(
        json!({"metadata": {"labels": {"batch.kubernetes.io/controller-uid": "u1"}}}),
    )
    .unwrap();
    assert_eq!((job_of(&nobodys), made_by(&nobodys)), (None, Some("u1")));
}
