//! Tests of what Helm checks in the cluster before it installs the chart.

use std::{env, path::Path, process::Command};

use serde_json::{Value, json};

use crate::support::{FreshNamespace, KUBECONFIG, fresh_namespace, request};

/// Renders the chart with access to the cluster, as an installation does. Returns the message of
/// Helm if that fails. The definition and the policies are left out: they have fixed names and may
/// belong to another release.
fn rendered(fullname: &str, more: &str) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path =
        format!("{}:{}", root.join("build/tools").display(), env::var("PATH").unwrap_or_default());
    let helm = Command::new("helm")
        .env("PATH", path)
        .env("KUBECONFIG", env::var(KUBECONFIG).unwrap())
        .args([
            "template",
            "saga-operator",
            &root.join("charts/saga-operator").to_string_lossy(),
            "--dry-run=server",
        ])
        .args([
            "--set",
            &format!(
                "crds.install=false,admission.enabled=false,fullnameOverride={fullname},\
                 image.repository=registry.example.com/saga-operator{more}"
            ),
        ])
        .output()
        .unwrap_or_else(|error| panic!("helm: {error}; `make tools` builds it"));
    if helm.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&helm.stderr).into_owned())
    }
}

/// `helm test` deletes its namespace at its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_of_somebody_else_is_not_taken_for_the_one_that_the_test_makes() {
    let operators = fresh_namespace("installed").await;
    let labelled = |labels: Value| {
        let name = format!("{}-saga-helm-test", operators.name);
        json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels},
        })
    };
    rendered(&operators.name, "").unwrap();
    let made = request(
        &operators.client,
        "POST",
        "/api/v1/namespaces",
        "application/json",
        Some(&labelled(json!({}))),
    )
    .await
    .unwrap();
    let name = made["metadata"]["name"].as_str().unwrap().to_owned();
    let _others = FreshNamespace { name: name.clone(), client: operators.client.clone() };
    let said = rendered(&operators.name, "").unwrap_err();
    assert!(
        said.contains(&format!(
            "the namespace {name} exists already and does not belong to this \
            release"
        )),
        "{said}"
    );
    for without in [
        ",tests.create=false",
        ",tests.namespace=default",
        ",watchNamespaces={default},aggregatedRoles.create=false",
        ",replicas=0",
    ] {
        rendered(&operators.name, without).unwrap();
    }
    // A namespace that an interrupted test left over is accepted.
    let left_over = labelled(json!({"app.kubernetes.io/instance": "saga-operator"}));
    let path = format!("/api/v1/namespaces/{name}");
    request(&operators.client, "PATCH", &path, "application/merge-patch+json", Some(&left_over))
        .await
        .unwrap();
    rendered(&operators.name, "").unwrap();
}
