//! Tests of Pods with a full template: init containers, containers beside the step, and what a
//! namespace does not allow.

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use saga_operator::api::{Direction, Outcome, SagaPhase};
use serde_json::{Value, json};

use crate::{
    pods::{IMAGE, one_step, pod_of, tells},
    stand::{Stand, condition, message, outcomes, step},
};

/// Enforces a Pod Security Standard in the stand's namespace.
async fn enforce(stand: &Stand, standard: &str) {
    let label = Patch::Merge(
        json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": standard}}}),
    );
    Api::<Namespace>::all(stand.client.clone())
        .patch(&stand.namespace, &PatchParams::default(), &label)
        .await
        .unwrap();
}

/// Returns a container of a template.
fn container(name: &str, command: &str) -> Value {
    json!({
        "name": name, "image": IMAGE, "command": ["/bin/sh", "-c", command],
        "volumeMounts": [{"name": "work", "mountPath": "/handed"}],
    })
}

/// Returns a template with an init container and the containers that run after it.
fn template(init: &Value, containers: &Value) -> Value {
    json!({"template": {
        "metadata": {"labels": {"app": "ship"}, "annotations": {"example.com/owner": "logistics"}},
        "spec": {
            "volumes": [{"name": "work", "emptyDir": {}}], "initContainers": [init],
            "containers": containers,
        },
    }})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_container_named_step_decides_about_a_template_and_the_others_help_it() {
    let mut stand = Stand::with_pods("template").await;
    enforce(&stand, "restricted").await;
    stand.start();
    let fetch = container("fetch", "echo T-${params.order} > /handed/tracking");
    let beside =
        container("beside", "echo '{\"from\": \"beside\"}' > /dev/termination-log; exit 1");
    let tell = concat!(
        r#"printf '{"tracking": "%s", "by": "%s"}' "$(cat /handed/tracking)" "#,
        r#""$SAGA_STEP/$SAGA_ATTEMPT" > /dev/termination-log"#
    );
    let work = template(&fetch, &json!([beside, container("step", tell)]));
    let saga = json!({"params": {"order": 1042}, "steps": [{"name": "ship", "pod": work}]});
    let saga = stand.apply("order", &saga).await;
    let after = stand.reaches("order", SagaPhase::Completed).await;
    let expected = json!({"tracking": "T-1042", "by": "ship/1"});
    assert_eq!(step(&after, "ship").outputs, expected.as_object().cloned());
    let pod = stand.pods().get(&pod_of(&saga, "ship", Direction::Action, 1)).await.unwrap();
    assert_eq!(
        (pod.labels()["app"].as_str(), pod.annotations()["example.com/owner"].as_str()),
        ("ship", "logistics")
    );
    assert_eq!(pod.owner_references()[0].uid, saga.uid().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_template_runs_first_may_fail_in_its_stead_and_is_undone_since_it_may_have_acted() {
    let mut stand = Stand::with_pods("init").await;
    stand.start();
    let work = template(
        &container("fetch", "echo there is no such parcel; exit 7"),
        &json!([container("step", "true")]),
    );
    stand.apply("order", &one_step(&work, &json!({}))).await;
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    assert_eq!(outcomes(&saga, "ship"), [Outcome::Failed]);
    assert!(
        message(&saga)
            .contains("init container fetch: exit code 7 (Error): there is no such parcel"),
        "{}",
        message(&saga)
    );
    assert!(step(&saga, "ship").compensation.is_some(), "{:?}", step(&saga, "ship"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_killed_by_a_signal_beside_what_never_ends_is_not_waited_for_to_its_time_limit() {
    let mut stand = Stand::with_pods("signal").await;
    stand.start();
    // The grace period is one second: an end from outside would show soon.
    let with_proxy = |command: &str| {
        let proxy =
            json!({"name": "proxy", "image": IMAGE, "command": ["/bin/sh", "-c", "sleep 3000"]});
        let step = json!({"name": "step", "image": IMAGE, "command": ["/bin/sh", "-c", command]});
        json!({
            "template": {"spec": {"terminationGracePeriodSeconds": 1, "containers": [step, proxy]}},
        })
    };
    for (name, command, words) in [
        ("killed", "exit 137", "exit code 137 (Error)"),
        ("failed", "exit 3", "exit code 3 (Error)"),
    ] {
        stand.apply(name, &one_step(&with_proxy(command), &json!({}))).await;
        let saga = stand.reaches(name, SagaPhase::Compensated).await;
        assert_eq!(outcomes(&saga, "ship"), [Outcome::Failed], "{name}");
        assert!(message(&saga).contains(words), "{}", message(&saga));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_asks_for_more_than_the_namespace_allows_is_refused_by_its_pod_security() {
    let mut stand = Stand::new("security").await;
    enforce(&stand, "baseline").await;
    stand.start();
    let mut work = template(&container("fetch", "true"), &json!([container("step", "true")]));
    work["template"]["spec"]["hostNetwork"] = json!(true);
    stand.apply("order", &one_step(&work, &json!({"retry": {"maxAttempts": 3}}))).await;
    let saga = stand
        .until("order", "refused", |saga| condition(saga, "Accepted") == "False/Refused")
        .await;
    assert!(
        tells(&saga, &["spec.steps[0].pod", "violates PodSecurity", "host namespaces"]),
        "{}",
        message(&saga)
    );
    assert!(stand.pods_of("order").await.is_empty());
}
