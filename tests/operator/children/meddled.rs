//! Tests of children that somebody else created, changes, or deletes.

use std::time::Duration;

use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use saga_operator::api::{RequestAction, Saga, SagaPhase, StepPhase, StoredSaga};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{ALL, child_name, done, parent, stand_with, tenant, wait};
use crate::{
    keeper,
    stand::{PATIENCE, Stand, condition, post, post_by_gate, step, still_in_effect},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_of_another_owner_under_the_childs_name_is_left_alone() {
    let mut stand = stand_with("child-foreign", &ALL).await;
    stand.kill();
    let nap = json!({"steps": [{"name": "nap", "wait": {"for": "1h"}}]});
    let saga =
        stand.apply("onboarding", &parent(&tenant(&post("/payments/charges")), &wait())).await;
    let attempt = saga_operator::api::names::AttemptId {
        step: "tenant".into(),
        direction: saga_operator::api::Direction::Action,
        number: 1,
    };
    let name = saga_operator::api::names::child_name(
        "onboarding",
        saga.metadata.uid.as_deref().unwrap(),
        &attempt,
    );
    stand.apply(&name, &nap).await;
    stand.start();
    let saga = stand.reaches("onboarding", SagaPhase::Compensated).await;
    assert!(step(&saga, "tenant").message.as_ref().unwrap().contains("NameConflict"), "{saga:?}");
    let foreign: Api<StoredSaga> = Api::namespaced(stand.client.clone(), &stand.namespace);
    let foreign = foreign.get(&name).await.unwrap();
    assert!(foreign.asked.is_empty() && foreign.spec.unwrap().suspend.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_whose_labels_and_owner_were_taken_away_is_known_by_its_uid() {
    let stand = stand_with("child-orphan", &ALL).await;
    let mut tenant = tenant(&post("/payments/charges"));
    tenant["steps"][1] = json!({"name": "ask", "dependsOn": ["database"], "approval": {}});
    stand.apply("onboarding", &parent(&tenant, &wait())).await;
    let name = child_name(&stand).await;
    let step = |saga: &Saga| {
        saga.status.clone().unwrap_or_default().steps.into_iter().find(|step| step.name == "tenant")
    };
    stand
        .until("onboarding", "the child is written down", |saga| {
            step(saga).is_some_and(|step| step.child.is_some())
        })
        .await;
    stand
        .patch(&name, &json!({"metadata": {"labels": null, "ownerReferences": null}}))
        .await
        .unwrap();
    // Events of the child no longer enqueue the parent. The request to cancel makes the parent
    // reconcile, and the parent asks the child to cancel.
    stand.ask("onboarding", "saga.dev/cancel=wrong customer");
    stand.reaches("onboarding", SagaPhase::Cancelled).await;
    let child = stand.reaches(&name, SagaPhase::Cancelled).await;
    assert_eq!(still_in_effect(&child), ["database"]);
}

/// Waits until a condition holds for the list of all sagas.
async fn until_all(stand: &Stand, what: &str, holds: impl Fn(&[Saga]) -> bool) {
    let held = async {
        while !holds(&stand.sagas().list(&ListParams::default()).await.unwrap().items) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, held).await.unwrap_or_else(|_| panic!("the sagas are not {what}"));
}

/// Waits until the garbage collector deletes a saga whose owner does not exist. The garbage
/// collector discovers new kinds every 30 seconds. If it does not know a kind, it deletes an owner
/// without the dependents of that kind.
async fn the_collector_knows_sagas(stand: &Stand) {
    let owner = json!({
        "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "name": "nobody",
        "uid": "00000000-0000-0000-0000-000000000001",
    });
    let spec = json!({"suspend": true, "steps": [{"name": "ask", "approval": {}}]});
    let orphan = json!({"apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "spec": spec,
        "metadata": {"name": "orphan", "namespace": stand.namespace, "ownerReferences": [owner]}});
    stand.put(&orphan).await;
    stand.gone("orphan").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_foreground_deletion_takes_first_is_undone_all_the_same() {
    let stand = stand_with("child-front", &ALL).await;
    the_collector_knows_sagas(&stand).await;
    let inner = json!({
        "name": "inner", "saga": {"spec": {"steps": [tenant(&post("/mail/messages"))["steps"][0]]}},
    });
    let mut spec = parent(&json!({"steps": [inner]}), &json!({"http": post("/payments/charges")}));
    spec["steps"][1]["compensation"] = json!({"http": post_by_gate("/payments/refunds")});
    spec["steps"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "ask", "dependsOn": ["tell"], "approval": {}}));
    stand.apply("onboarding", &spec).await;
    stand.step_reaches("onboarding", "ask", StepPhase::Waiting).await;
    stand.sagas().delete("onboarding", &DeleteParams::foreground()).await.unwrap();
    // All three sagas are terminating although no step has asked its child for anything yet: the
    // garbage collector deleted the children.
    let all_go = |all: &[Saga]| {
        assert_eq!(all.len(), 3, "{all:?}");
        all.iter().all(|saga| saga.metadata.deletion_timestamp.is_some())
    };
    until_all(&stand, "being deleted", all_go).await;
    stand.gate.open();
    stand.gone("onboarding").await;
    until_all(&stand, "gone", <[Saga]>::is_empty).await;
    assert_eq!(
        done(&stand),
        ["stock/action", "payments/action", "payments/compensation", "stock/compensation"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_whose_spec_was_changed_is_cancelled_with_its_parent_once_it_is_restored() {
    let stand = stand_with("child-changed", &ALL).await;
    keeper::keeper_may_also(&stand, ("", "pods"), &["create"]).await;
    let mut tenant = tenant(&post("/payments/charges"));
    tenant["steps"][1] = json!({"name": "ask", "dependsOn": ["database"], "approval": {}});
    let resources = json!({"requests": {"cpu": "1m"}});
    let image = "saga.dev/examples/busybox:1";
    tenant["steps"].as_array_mut().unwrap().push(
        json!({"name": "z", "dependsOn": ["ask"], "pod": {"image": image, "resources": resources}}),
    );
    stand.apply("onboarding", &parent(&tenant, &wait())).await;
    let name = child_name(&stand).await;
    stand.step_reaches(&name, "ask", StepPhase::Waiting).await;
    let change = |resources: Value| {
        let stand = &stand;
        let name = name.clone();
        async move {
            let patch = serde_json::from_value(json!([{
                "op": "replace", "path": "/spec/steps/2/pod/resources", "value": resources,
            }]))
            .unwrap();
            stand
                .sagas()
                .patch(&name, &PatchParams::default(), &Patch::<Saga>::Json(patch))
                .await
                .unwrap();
        }
    };
    change(json!({"limits": {"cpu": "1m"}})).await;
    stand
        .until(&name, "it is held", |child| condition(child, "Stalled") == "True/SpecChanged")
        .await;
    stand.ask("onboarding", "saga.dev/cancel=wrong customer");
    let told =
        |saga: &Saga| {
            saga.status.clone().unwrap_or_default().steps.iter().any(|step| {
                step.message.as_ref().is_some_and(|said| said.contains("restore the spec"))
            })
        };
    stand.until("onboarding", "it says what its child waits for", told).await;
    change(resources).await;
    stand.reaches("onboarding", SagaPhase::Cancelled).await;
    let child = stand.reaches(&name, SagaPhase::Cancelled).await;
    let requests = child.status.unwrap().requests;
    assert_eq!(
        requests.iter().filter(|record| record.action == RequestAction::Cancel).count(),
        1,
        "{requests:?}"
    );
}
