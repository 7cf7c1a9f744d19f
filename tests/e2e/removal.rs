//! Acts in which namespaces are deleted, and in which the operator is uninstalled and installed
//! again.

use std::process::Command;

use saga_operator::api::{Saga, SagaPhase};
use serde_json::{Value, json};

use crate::{
    shop::Kind,
    stand::{Stand, checkout, scope, setting},
    tools::{NAMESPACE, chart, install, kubectl, repository, run, uninstall, until},
};

fn delete_namespace(stand: &Stand) {
    kubectl(&["delete", "namespace", &stand.namespace, "--wait=false"]);
}

async fn namespace_goes(stand: &Stand) {
    let there = || {
        kubectl(&["get", "namespace", &stand.namespace, "--ignore-not-found", "--output", "name"])
    };
    until("the namespace is gone", || there().is_empty().then_some(())).await;
}

/// Creates a saga that has begun, can be undone, and waits for an approval.
async fn waits_for_a_person(stand: &Stand, name: &str) -> Saga {
    let mut spec = checkout();
    spec["steps"][1] =
        json!({"name": "charge-card", "dependsOn": ["reserve-stock"], "approval": {}});
    stand.apply(name, &spec).await;
    stand
        .until(name, "waiting for a user", |saga| {
            crate::stand::condition(saga, "Ready").ends_with("/AwaitingApproval")
        })
        .await
}

/// Creates sagas that wait for an approval, for a pod, for a Job, and for a node with enough
/// capacity.
async fn unfinished(stand: &Stand) {
    waits_for_a_person(stand, "waits").await;
    let pod = json!({"command": ["sh", "-c", "trap 'exit 1' TERM; sleep 60 & \
        wait"], "image": "saga.dev/examples/busybox:1"});
    let mut container = pod.clone();
    container["name"] = json!("step");
    let mut large = pod.clone();
    large["resources"] = json!({"requests": {"cpu": "1000"}});
    let job = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
    for (name, kind, work) in [("pod", "pod", pod), ("job", "job", job), ("large", "pod", large)] {
        stand.apply(name, &json!({"steps": [{"name": "works", kind: work}]})).await;
    }
    let pods = |phase: &str| {
        let selector = format!("status.phase={phase}");
        stand
            .kubectl(&["get", "pods", "--field-selector", &selector, "--output", "name"])
            .lines()
            .count()
    };
    until("two pods run and one has no room", || {
        ((pods("Running"), pods("Pending")) == (2, 1)).then_some(())
    })
    .await;
}

pub async fn a_namespace_goes_with_its_sagas() {
    let stand = Stand::with_pods("goes").await;
    unfinished(&stand).await;
    delete_namespace(&stand);
    namespace_goes(&stand).await;
}

/// The Roles of a namespace are deleted before its sagas. The operator then uses the rights of
/// `rbac.letNamespacesGo`. A policy forbids writes with these rights in any other namespace.
pub async fn a_namespace_goes_where_the_operator_works_in_named_ones_alone() {
    let [watched, other] = [Stand::with_pods("watched").await, Stand::with_pods("other").await];
    install(&chart(), &[&format!("watchNamespaces={{{}}}", watched.namespace)]);
    other.apply("unseen", &json!({"steps": [{"name": "nap", "wait": {"for": "1s"}}]})).await;
    watched.apply("seen", &json!({"steps": [{"name": "nap", "wait": {"for": "1s"}}]})).await;
    watched.reaches("seen", SagaPhase::Completed).await;
    let unseen = other.sagas().get("unseen").await.unwrap();
    assert!(unseen.status.is_none_or(|status| status.phase.is_none()));
    unfinished(&watched).await;
    delete_namespace(&watched);
    namespace_goes(&watched).await;
}

/// Without an operator, sagas remain. The commands in the README of the chart release them.
pub async fn what_is_uninstalled_leaves_sagas_that_can_be_let_go() {
    install(&chart(), &[]);
    let stand = Stand::with_pods("left").await;
    waits_for_a_person(&stand, "waits").await;
    let said = uninstall().await;
    assert!(said.contains("kept due to the resource policy"), "{said}");
    let phase = [
        "get",
        "saga",
        "waits",
        "--namespace",
        &stand.namespace,
        "--output",
        "jsonpath={.status.phase}",
    ];
    assert_eq!(kubectl(&phase), "Running");
    let left = kubectl(&[
        "get",
        "clusterroles,clusterrolebindings,validatingadmissionpolicies,mutatingadmissionpolicies",
        "--output",
        "name",
    ]);
    let left: Vec<_> = left
        .lines()
        .filter(|name| name.contains("saga-operator") || name.contains("sagas.saga.dev"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    delete_namespace(&stand);
    let holds = || {
        kubectl(&[
            "get",
            "namespace",
            &stand.namespace,
            "--output",
            "jsonpath={.status.conditions[?(@.type=='NamespaceFinalizersRemaining')].status}",
        ])
    };
    until("the saga holds its namespace up", || (holds() == "True").then_some(())).await;
    let readme = std::fs::read_to_string(repository("charts/saga-operator/README.md")).unwrap();
    let documented = readme
        .lines()
        .find(|line| line.starts_with("    kubectl get sagas -n NAMESPACE"))
        .expect("the README says how");
    let documented = documented.replace("NAMESPACE", &stand.namespace);
    run(Command::new("bash")
        .args(["-c", &documented])
        .env("KUBECONFIG", setting("SAGA_TEST_KUBECONFIG")));
    namespace_goes(&stand).await;
}

/// Sagas do not continue without an operator. They continue when an operator is installed again.
pub async fn one_that_is_installed_again_goes_on() {
    let stand = Stand::with_pods("again").await;
    let mut spec = checkout();
    spec["steps"][1]["http"] = crate::stand::post_by_gate("/payments/charges");
    install(&chart(), &[]);
    let saga = stand.apply("order", &spec).await;
    stand.shop_has_done(&saga, "charge-card").await;
    // The answer comes too late for the operator that sent the HTTP request.
    uninstall().await;
    stand.gate.open();
    install(&chart(), &[]);
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    crate::crash::judge(&stand, &saga, false);
    let repeats = stand
        .shop
        .entries(Some(&scope(&saga)))
        .iter()
        .filter(|entry| entry.kind == Kind::Repeat)
        .count();
    assert!(repeats <= 1, "it was asked for again {repeats} times");
}

/// With `crds.keep: false`, the definition and every saga are removed. So the finalizers of all
/// sagas are removed first.
pub async fn the_definition_goes_only_where_that_is_asked_for() {
    let sagas = kubectl(&[
        "get",
        "sagas",
        "--all-namespaces",
        "--output",
        "jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name} {end}",
    ]);
    for saga in sagas.split_whitespace() {
        let (namespace, name) = saga.split_once('/').unwrap();
        let abandon: Value = json!({"spec": {"deletionPolicy": "Abandon"}});
        kubectl(&[
            "patch",
            "saga",
            name,
            "--namespace",
            namespace,
            "--type",
            "merge",
            "--patch",
            &abandon.to_string(),
        ]);
    }
    kubectl(&["delete", "sagas", "--all", "--all-namespaces", "--timeout", "2m"]);
    install(&chart(), &["crds.keep=false"]);
    let there =
        || kubectl(&["get", "crd", "sagas.saga.dev", "--ignore-not-found", "--output", "name"]);
    assert!(!there().is_empty());
    uninstall().await;
    until("the definition is gone", || there().is_empty().then_some(())).await;
    assert_eq!(
        kubectl(&["get", "namespace", NAMESPACE, "--output", "name"]).trim(),
        format!("namespace/{NAMESPACE}")
    );
}
