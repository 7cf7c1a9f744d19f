//! Acts with the operator installed as pods: its message without the policies, the Pod Security
//! standard, `helm test`, and the examples.

use std::process::Command;

use saga_operator::api::{Saga, SagaPhase};
use serde_json::{Value, json};

use crate::{
    audit,
    stand::{Stand, setting},
    tools::{
        NAMESPACE, apply, chart, helm, install, kubectl, kubectl_json, logs, pods, repository, run,
        uninstall, until,
    },
};

/// The message of the operator if no policy guards requests.
const PATCH_ALONE: &str = "requests are guarded by the verb patch alone";

/// Returns the message of the condition Accepted.
fn accepted(saga: &Saga) -> String {
    let conditions = saga.status.iter().flat_map(|status| &status.conditions);
    conditions
        .filter(|condition| condition.type_ == "Accepted")
        .map(|condition| condition.message.clone())
        .collect()
}

async fn carried_through(stand: &Stand, name: &str) -> Saga {
    stand.apply(name, &json!({"steps": [{"name": "nap", "wait": {"for": "1s"}}]})).await;
    stand.reaches(name, SagaPhase::Completed).await
}

/// From this act on, the operator's namespace enforces the restricted standard for its pods.
pub async fn without_the_policies_the_operator_says_so() {
    kubectl(&[
        "label",
        "--overwrite",
        "namespace",
        NAMESPACE,
        "pod-security.kubernetes.io/enforce=restricted",
    ]);
    install(&chart(), &["admission.enabled=false"]);
    let stand = Stand::with_pods("unguarded").await;
    let saga = carried_through(&stand, "first").await;
    assert!(accepted(&saga).contains(PATCH_ALONE), "{:?}", accepted(&saga));
    assert!(logs().contains(PATCH_ALONE), "{}", logs());
    drop(stand);
    uninstall().await;
}

/// From this act on, all calls of the operator to the API server are compared with its rights.
pub async fn as_two_pods_under_restricted_pod_security() {
    old_lease();
    audit::begin();
    let notes = install(&chart(), &[]);
    assert!(notes.contains("helm test saga-operator --namespace saga-system"), "{notes}");
    let both = pods();
    assert_eq!(both.len(), 2, "{both:?}");
    for pod in &both {
        let pod = kubectl_json(&["get", "pod", pod, "--namespace", NAMESPACE]);
        let ready = pod["status"]["containerStatuses"][0]["ready"] == Value::Bool(true);
        let image = pod["spec"]["containers"][0]["image"].as_str().unwrap();
        assert!(ready && image == setting("SAGA_E2E_IMAGE"), "{image}: {}", pod["status"]);
    }
    let stand = Stand::with_pods("guarded").await;
    let saga = carried_through(&stand, "first").await;
    assert!(!accepted(&saga).contains(PATCH_ALONE), "{:?}", accepted(&saga));
    assert!(!logs().contains(PATCH_ALONE), "{}", logs());
    let gone = || {
        !kubectl(&["get", "leases", "--namespace", NAMESPACE, "--output", "name"])
            .contains(OLD_LEASE)
    };
    until("the Lease of an operator of long ago is deleted", || gone().then_some(())).await;
}

/// The Lease of an operator that died long ago.
const OLD_LEASE: &str = "saga-operator-of-long-ago";

fn old_lease() {
    let labels =
        json!({"app.kubernetes.io/managed-by": "saga-operator", "saga.dev/executor": "true"});
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": OLD_LEASE, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "holderIdentity": "long-ago", "leaseDurationSeconds": 5,
            "renewTime": "2020-01-01T00:00:00.000000Z",
        },
    });
    apply(&lease, &[]);
}

pub fn helm_test_passes() {
    let said = helm(&["test", "saga-operator", "--timeout", "2m"]);
    assert!(said.contains("Phase:          Succeeded"), "{said}");
}

/// Runs all of `examples/`, to completion and with compensation. The script checks the ledger and
/// the Deployments.
pub fn the_examples_call_services_by_name() {
    let mut examples = Command::new(repository("tests/demo/run.sh"));
    examples
        .env("KUBECONFIG", setting("SAGA_TEST_KUBECONFIG"))
        .env("SHOP", setting("SAGA_E2E_SHOP"));
    let said = run(examples.env("NODE", "ready").env("SERVICES", "names"));
    let verdict = "Every sample ended as it should";
    let (_, results) = said.split_once(verdict).unwrap_or_else(|| panic!("{said}"));
    let results: Vec<_> = results.lines().skip(1).collect();
    println!("e2e: {}", results.join(", "));
    assert_eq!(results.len(), 13, "{said}");
}
