#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use serde_json::{Value, json};

use super::*;
use crate::{
    api::{
        Direction,
        names::{AttemptId, LABEL_ATTEMPT, LABEL_STEP},
    },
    manifest::resources::is_quantity,
    objects::{
        attempt::{MAX_DEADLINE_SECONDS, attempt_of},
        child::is_ours,
        fixture::{identity, saga},
    },
};

type Change = fn(&mut Pod);

fn action(fields: Value) -> PodAction {
    serde_json::from_value(fields).unwrap()
}

fn built(number: i64) -> Pod {
    pod(&saga(), &identity(number), &action(json!({"image": "ship:1.4"})), Duration::from_mins(1))
        .unwrap()
}

/// An action in which every field stands.
fn whole_action() -> PodAction {
    action(json!({
        "image": "registry.example.com/shop/ship:1.4",
        "command": ["/ship"], "args": ["--order", "1042"],
        "env": [
            {"name": "REGION", "value": "eu"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "ship", "key": "token"}}},
        ],
        "envFrom": [{"configMapRef": {"name": "ship"}}],
        "resources": {
            "requests": {"cpu": 1, "memory": "64Mi"},
            "limits": {"memory": "128Mi", "example.com/printer": "1"},
        },
    }))
}

#[test]
fn the_whole_pod() {
    let action = whole_action();
    let pod = pod(&saga(), &identity(2), &action, Duration::from_millis(90_500)).unwrap();
    assert_eq!(
        serde_json::to_value(pod).unwrap(),
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "order-1042-ship-a2-a92db4bbecba", "namespace": "shop",
                "labels": {
                    "app.kubernetes.io/managed-by": "saga-operator", "saga.dev/saga": "order-1042",
                    "saga.dev/step": "ship", "saga.dev/direction": "action",
                    "saga.dev/attempt": "2",
                },
                "ownerReferences": [
                    {"apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "name": "order-1042",
                     "uid": "0d1c", "controller": true},
                ],
            },
            "spec": {
                "activeDeadlineSeconds": 101, "automountServiceAccountToken": false,
                "enableServiceLinks": false, "restartPolicy": "Never",
                "serviceAccountName": "order-saga",
                "securityContext": {
                    "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{
                    "name": "step", "image": "registry.example.com/shop/ship:1.4",
                    "command": ["/ship"], "args": ["--order", "1042"],
                    "env": [
                        {"name": "REGION", "value": "eu"},
                        {"name": "TOKEN",
                         "valueFrom": {"secretKeyRef": {"name": "ship", "key": "token"}}},
                        {"name": "SAGA_NAME", "value": "order-1042"},
                        {"name": "SAGA_NAMESPACE", "value": "shop"},
                        {"name": "SAGA_UID", "value": "0d1c"},
                        {"name": "SAGA_STEP", "value": "ship"},
                        {"name": "SAGA_DIRECTION", "value": "action"},
                        {"name": "SAGA_ATTEMPT", "value": "2"},
                        {"name": "SAGA_IDEMPOTENCY_KEY", "value": "0d1c/ship/action/1"},
                    ],
                    "envFrom": [{"configMapRef": {"name": "ship"}}],
                    "resources": {
                        "requests": {"cpu": "1", "memory": "64Mi"},
                        "limits": {"memory": "128Mi", "example.com/printer": "1"},
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
                    },
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                }],
            },
        })
    );
}

#[test]
fn a_token_is_mounted_where_the_step_asks_for_it_or_an_earlier_version_accepted_the_saga() {
    let mounts = |unasked, asked| {
        let saga = ValidSaga { tokens_unasked: unasked, ..saga() };
        let mut fields = json!({"image": "ship:1.4"});
        fields["mountToken"] = asked;
        let pod = pod(&saga, &identity(1), &action(fields), Duration::from_mins(1)).unwrap();
        pod.spec.unwrap().automount_service_account_token
    };
    assert_eq!(mounts(false, Value::Null), Some(false));
    assert_eq!(mounts(true, Value::Null), None, "the ServiceAccount decides, as before");
    for unasked in [false, true] {
        assert_eq!(mounts(unasked, json!(true)), Some(true));
        assert_eq!(mounts(unasked, json!(false)), Some(false));
    }
}

#[test]
fn the_deadline_is_one_that_the_api_server_takes() {
    for (timeout, seconds) in [
        (Duration::ZERO, 10),
        (Duration::from_nanos(1), 11),
        (Duration::from_mins(1), 70),
        (Duration::from_secs(u64::from(u32::MAX)), MAX_DEADLINE_SECONDS),
        (Duration::MAX, MAX_DEADLINE_SECONDS),
    ] {
        assert_eq!(deadline_seconds(timeout), seconds, "{timeout:?}");
    }
}

#[test]
fn resources_that_the_api_server_would_ignore_or_refuse_are_refused_by_name() {
    let cases = [
        (json!("2 cpus"), "resources: must be an object"),
        (json!({"limit": {"cpu": "1"}}), "resources.limit: is not supported"),
        (json!({"claims": [{"name": "gpu"}]}), "resources.claims: is not supported"),
        (json!({"limits": ["cpu"]}), "resources.limits: must be an object"),
        (json!({"limits": {"memroy": "1Gi"}}), "resources.limits.memroy: is no resource"),
        (json!({"requests": {"cpu": "one"}}), "resources.requests.cpu: must be a number"),
        (json!({"requests": {"memory": "128MB"}}), "resources.requests.memory: must be a number"),
        (json!({"requests": {"cpu": "-1"}}), "resources.requests.cpu: must be a number"),
        (json!({"requests": {"cpu": -1}}), "resources.requests.cpu: must be a number"),
        (json!({"requests": {"cpu": ""}}), "resources.requests.cpu: must be a number"),
        (json!({"requests": {"cpu": "."}}), "resources.requests.cpu: must be a number"),
        (json!({"requests": {"cpu": null}}), "resources.requests.cpu: must be a number"),
        (json!({"requests": {"cpu": {"a": 1}}}), "resources.requests.cpu: must be a number"),
    ];
    for (value, begins) in cases {
        let message = check_resources(&value).unwrap_err();
        assert!(message.starts_with(begins), "{value}: {message}");
        let pod = pod(
            &saga(),
            &identity(1),
            &action(json!({"image": "a", "resources": value})),
            Duration::from_secs(1),
        );
        assert_eq!(pod.unwrap_err(), message);
    }
    let long = check_resources(&json!({"x".repeat(100_000): 1})).unwrap_err();
    assert!(long.len() < 200, "{}", long.len());
}

#[test]
fn quantities_are_taken_as_kubernetes_takes_them() {
    for quantity in [
        "0", "1", "+1", "0.5", ".5", "5.", "100m", "1k", "1E", "1e3", "1E-3", "1.5e+3", "128Mi",
        "2Ei", "10n",
    ] {
        assert!(is_quantity(quantity), "{quantity}");
    }
    for other in ["", "+", "-1", "1.2.3", "1 Mi", "1mi", "1e", "1e+", "Mi", "1Kib", "0x1"] {
        assert!(!is_quantity(other), "{other}");
    }
    let read =
        check_resources(&json!({"limits": {"cpu": 1.5, "hugepages-2Mi": "4Mi"}, "requests": null}))
            .unwrap();
    assert_eq!(
        serde_json::to_value(read).unwrap(),
        json!({"limits": {"cpu": "1.5", "hugepages-2Mi": "4Mi"}})
    );
}

#[test]
fn a_pod_tells_its_attempt() {
    let AttemptId { step, direction, number } = identity(2).attempt;
    assert_eq!(attempt_of(&built(2)), Some(("0d1c".into(), AttemptId { step, direction, number })));
}

#[test]
fn a_pod_of_the_same_name_is_adopted_only_by_its_own_attempt() {
    let mine = |pod: &Pod| is_ours(pod, "0d1c", &identity(2).attempt);
    assert!(mine(&built(2)));
    assert!(!mine(&built(1)), "another attempt");
    assert!(
        !is_ours(&built(2), "77aa", &identity(2).attempt),
        "a saga created again under the same name"
    );
    let compensation = AttemptId { direction: Direction::Compensation, ..identity(2).attempt };
    assert!(!is_ours(&built(2), "0d1c", &compensation), "the other direction");
    assert!(!mine(&Pod::default()));

    let foreign: [(&str, Change); 7] = [
        ("no controller", |pod| {
            pod.metadata
                .owner_references
                .iter_mut()
                .flatten()
                .for_each(|owner| owner.controller = None);
        }),
        ("no owner", |pod| pod.metadata.owner_references = None),
        ("another kind", |pod| {
            pod.metadata
                .owner_references
                .iter_mut()
                .flatten()
                .for_each(|owner| owner.kind = "Job".into());
        }),
        ("another group", |pod| {
            pod.metadata
                .owner_references
                .iter_mut()
                .flatten()
                .for_each(|owner| owner.api_version = "v1".into());
        }),
        ("no labels", |pod| pod.metadata.labels = None),
        ("another number", |pod| {
            _ = pod.metadata.labels.as_mut().unwrap().insert(LABEL_ATTEMPT.into(), "02".into());
        }),
        ("no step", |pod| _ = pod.metadata.labels.as_mut().unwrap().remove(LABEL_STEP)),
    ];
    for (what, change) in foreign {
        let mut pod = built(2);
        change(&mut pod);
        assert!(!mine(&pod), "{what}");
    }
}
