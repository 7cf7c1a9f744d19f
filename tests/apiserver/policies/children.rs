//! Tests of who may make a saga the controller of a Pod or Job. The operator takes such a Pod or
//! Job for an attempt of the saga, and believes its result.

use serde_json::{Value, json};

use super::{labels, path_of, saga_owner, waits, workload};
use crate::{
    support::{Effect, request},
    town::{Deed, Person, Town},
};

/// Returns a user who may create, patch and delete Pods and Jobs.
async fn maker(town: &Town) -> Person {
    let maker = town.person("maker", &["get"]).await;
    for (group, resource) in
        [("", "pods"), ("", "pods/status"), ("batch", "jobs"), ("batch", "jobs/status")]
    {
        town.give(&maker.name, group, resource, &["create", "patch", "get", "delete"]).await;
    }
    maker
}

fn owned_by(owners: &Value) -> Value {
    json!({"metadata": {"ownerReferences": owners}})
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_the_operator_makes_a_saga_the_controller_of_a_pod_or_job() {
    let town = Town::with(&["children"], "").await;
    town.has(&waits("order")).await;
    let uid = town.uid("order").await;
    let maker = maker(&town).await;
    // The policy recognizes the operator by its right to write the status.
    let operator = town.person("operator", &["get"]).await;
    town.give(&operator.name, "saga.dev", "sagas/status", &["update"]).await;
    let parent = saga_owner(&uid, true);
    for (kind, group, resource) in [("Pod", "", "pods"), ("Job", "batch", "jobs")] {
        town.give(&operator.name, group, resource, &["create", "patch"]).await;
        let words = format!(
            "metadata.ownerReferences: {} may not make a saga the controller of a {kind} in \
             namespace {}: only the operator does that. Name no saga as its controller",
            maker.name,
            town.name()
        );
        let path = path_of(kind, town.name());
        let create =
            |owners: &Value| Deed::Call("POST", path.clone(), workload(kind, &labels(), owners));
        // The forged result of a step.
        let forged = create(&json!([parent]));
        assert_eq!(maker.is_refused(&forged).await, words);
        operator.may(&forged).await;
        // A saga that is an owner and not the controller, and a controller of another kind.
        let stranger = json!({
            "apiVersion": "shop.example.com/v1", "kind": "Saga", "name": "order", "uid": "u-2",
            "controller": true,
        });
        for owners in [json!([]), json!([saga_owner(&uid, false)]), json!([stranger])] {
            maker.may(&create(&owners)).await;
        }
        // The reference is added later, or becomes that of the controller.
        maker.act(&create(&json!([saga_owner(&uid, false)])), Effect::Real).await.unwrap();
        let change =
            |owners: &Value| Deed::Call("PATCH", format!("{path}/order-scan-a1"), owned_by(owners));
        assert_eq!(maker.is_refused(&change(&json!([parent]))).await, words);
        operator.may(&change(&json!([parent]))).await;
        maker.may(&change(&json!([]))).await;
        let status = format!("{path}/order-scan-a1/status");
        let by_status = Deed::Call("PATCH", status, owned_by(&json!([parent])));
        if kind == "Job" {
            assert_eq!(maker.is_refused(&by_status).await, words);
        } else {
            // The API server takes no owner from the status of a Pod.
            let kept = maker.may(&by_status).await;
            assert_eq!(kept["metadata"]["ownerReferences"], json!([saga_owner(&uid, false)]));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_of_a_saga_is_changed_and_deleted_as_any_pod_or_job() {
    let town = Town::with(&["children"], "").await;
    town.has(&waits("order")).await;
    let parent = saga_owner(&town.uid("order").await, true);
    let maker = maker(&town).await;
    for kind in ["Pod", "Job"] {
        let path = path_of(kind, town.name());
        let child = workload(kind, &labels(), &json!([parent]));
        let made =
            request(&town.namespace.client, "POST", &path, "application/json", Some(&child)).await;
        made.unwrap_or_else(|refusal| panic!("{refusal}"));
        let named = format!("{path}/order-scan-a1");
        // Another saga is a new controller. The refusal also shows that the policy is in force.
        let other = saga_owner("u-2", true);
        let taken = Deed::Call("PATCH", named.clone(), owned_by(&json!([other])));
        assert!(
            maker.is_refused(&taken).await.contains("may not make a saga the controller"),
            "{kind}"
        );
        for change in [
            json!({"metadata": {"annotations": {"example.com/touched": "yes"}}}),
            owned_by(&json!([parent])),
            owned_by(&json!([])),
        ] {
            maker.may(&Deed::Call("PATCH", named.clone(), change)).await;
        }
        maker.may(&Deed::Call("DELETE", named, Value::Null)).await;
    }
}

/// Every Pod of the cluster meets the match condition: the longest list of owners must not be too
/// expensive for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_pod_with_very_many_owners_is_let_through() {
    let town = Town::with(&["children"], "").await;
    let maker = maker(&town).await;
    let owners: Vec<_> = (0..5000).map(|nth| saga_owner(&format!("u-{nth}"), false)).collect();
    let path = path_of("Pod", town.name());
    // The policy is in force: otherwise this test shows nothing.
    let forged = workload("Pod", &labels(), &json!([saga_owner("u-1", true)]));
    maker.is_refused(&Deed::Call("POST", path.clone(), forged)).await;
    maker.may(&Deed::Call("POST", path, workload("Pod", &json!({}), &json!(owners)))).await;
}
