//! Tests of what the operator's own account may do, whatever its roles allow: the thief of its
//! token is bound by the same rules.

use serde_json::{Value, json};

use super::{labels, path_of, saga_owner, waits, workload};
use crate::{
    support::{Effect, request},
    town::{Deed, Person, Town},
};

const KINDS: [(&str, &str, &str); 2] = [("Pod", "", "pods"), ("Job", "batch", "jobs")];

/// Returns the operator of the release in this namespace, with the rights that its roles give it in
/// the whole cluster.
async fn operator(town: &mut Town) -> Person {
    let account = format!("system:serviceaccount:{}:saga-operator", town.name());
    let operator = town.stranger(&account).await;
    for (_, group, resource) in KINDS {
        town.give_everywhere(&account, group, resource, &["create", "delete"]).await;
    }
    town.give_everywhere(&account, "saga.dev", "sagas/status", &["update"]).await;
    operator
}

fn create(kind: &str, namespace: &str, labels: &Value, owners: &Value) -> Deed {
    Deed::Call("POST", path_of(kind, namespace), workload(kind, labels, owners))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_creates_only_what_a_saga_controls_and_bears_its_label() {
    let mut town = Town::with(&["own-account"], ",admission.operatorNamespace=false").await;
    let operator = operator(&mut town).await;
    let admin = town.stranger(&format!("admin.{}", town.name())).await;
    for (kind, group, resource) in KINDS {
        town.give(&admin.name, group, resource, &["create"]).await;
        // Nobody can check whether the saga exists. So the thief of the token can invent one:
        // SECURITY.md says so.
        let invented = json!([saga_owner("there-is-no-such-saga", true)]);
        operator.may(&create(kind, town.name(), &labels(), &invented)).await;
        let needs_saga = format!(
            "metadata.ownerReferences: the saga operator creates a {kind} only with a saga as its \
             controller"
        );
        let needs_label = format!(
            "metadata.labels[app.kubernetes.io/managed-by]: the saga operator creates and deletes \
             a {kind} only with the value saga-operator here"
        );
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "name": "a", "uid": "u-1", "controller": true,
        });
        for (labels, owners, words) in [
            (labels(), json!([]), &needs_saga),
            (labels(), json!([saga_owner("u-1", false)]), &needs_saga),
            (labels(), json!([job]), &needs_saga),
            (json!({}), invented.clone(), &needs_label),
            (json!({"app.kubernetes.io/managed-by": "helm"}), invented.clone(), &needs_label),
        ] {
            let deed = create(kind, town.name(), &labels, &owners);
            assert_eq!(operator.is_refused(&deed).await, *words, "{deed:?}");
        }
        // The rules are about the operator's account alone.
        admin.may(&create(kind, town.name(), &json!({}), &json!([]))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_creates_nothing_where_no_sagas_are() {
    let mut town = Town::with(&["own-account"], ",admission.deniedNamespaces={default}").await;
    let operator = operator(&mut town).await;
    let invented = json!([saga_owner("u-1", true)]);
    // The town is the namespace of the release.
    for namespace in ["kube-system", "kube-public", "kube-node-lease", "default", town.name()] {
        for (kind, ..) in KINDS {
            assert_eq!(
                operator.is_refused(&create(kind, namespace, &labels(), &invented)).await,
                format!(
                    "metadata.namespace: the saga operator creates no {kind} in {namespace}, where \
                     no sagas are allowed: create the saga in the namespace of the application"
                )
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_deletes_only_what_bears_its_label_or_what_a_saga_controls() {
    let mut town = Town::with(&["own-account"], "").await;
    let operator = operator(&mut town).await;
    town.has(&waits("order")).await;
    let parent = json!([saga_owner(&town.uid("order").await, true)]);
    for (kind, ..) in KINDS {
        let path = path_of(kind, town.name());
        let has = async |name: &str, labels: &Value, owners: &Value| {
            let mut object = workload(kind, labels, owners);
            object["metadata"]["name"] = json!(name);
            let made =
                request(&town.namespace.client, "POST", &path, "application/json", Some(&object))
                    .await;
            made.unwrap_or_else(|refusal| panic!("{refusal}"));
        };
        has("foreign", &json!({"app": "payments"}), &json!([])).await;
        has("ours", &labels(), &parent).await;
        // What lost its owner must still be stopped.
        has("orphan", &labels(), &json!([])).await;
        has("bare", &json!({}), &parent).await;
        let delete = |name: &str| Deed::Call("DELETE", format!("{path}/{name}"), Value::Null);
        assert_eq!(
            operator.is_refused(&delete("foreign")).await,
            format!(
                "metadata.labels[app.kubernetes.io/managed-by]: the saga operator creates and \
                 deletes a {kind} only with the value saga-operator here"
            )
        );
        for name in ["ours", "orphan", "bare"] {
            operator.act(&delete(name), Effect::Real).await.unwrap();
        }
    }
}
