//! Tests of the definition itself: every way to apply it works, and the API server stores it as it
//! is written.

use serde_json::{Value, json};

use crate::support::{CRD, cluster, definition, request, same};

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// The API server also checks the cost of every rule: it refuses a definition whose rules could
/// cost too much.
#[tokio::test(flavor = "multi_thread")]
async fn server_side_apply_takes_it_without_conditions() {
    let client = cluster().await;
    let stored = request(&client, "GET", &format!("{CRDS}/{CRD}"), "", None).await.unwrap();
    let conditions = stored["status"]["conditions"].as_array().unwrap();
    let states: Vec<_> = conditions
        .iter()
        .map(|condition| format!("{}={}", text(condition, "type"), text(condition, "status")))
        .collect();
    assert!(
        states.contains(&"Established=True".to_owned())
            && states.contains(&"NamesAccepted=True".to_owned()),
        "{states:?}"
    );
    assert!(
        !states.iter().any(|state| state.starts_with("NonStructuralSchema")
            || state.starts_with("KubernetesAPIApproval")),
        "{states:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_it_is_lost_or_added() {
    let client = cluster().await;
    let stored = request(&client, "GET", &format!("{CRDS}/{CRD}"), "", None).await.unwrap();
    let (written, stored) = (&definition()["spec"]["versions"][0], &stored["spec"]["versions"][0]);
    for part in ["schema", "additionalPrinterColumns", "selectableFields", "subresources"] {
        assert!(same(&stored[part], &written[part]), "{part}: {:#}", stored[part]);
    }
}

/// `kubectl apply` stores the whole definition in an annotation. All annotations together may have
/// 256 KiB.
#[tokio::test(flavor = "multi_thread")]
async fn client_side_apply_takes_it() {
    let client = cluster().await;
    let mut applied = definition();
    applied["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": definition().to_string()});
    let path = format!(
        "{CRDS}/{CRD}?dryRun=All&fieldValidation=Strict&fieldManager=kubectl-client-side-apply"
    );
    request(&client, "PATCH", &path, "application/merge-patch+json", Some(&applied))
        .await
        .unwrap_or_else(|refusal| panic!("{refusal}"));
}

fn text<'a>(condition: &'a Value, field: &str) -> &'a str {
    condition[field].as_str().unwrap_or_default()
}
