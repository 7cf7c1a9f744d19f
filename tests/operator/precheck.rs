//! Tests that a saga whose last step cannot work is refused before its first step runs.

use saga_operator::api::{Outcome, RequestAction, RequestResult, Saga, SagaPhase};
use serde_json::{Value, json};

use crate::{
    keeper,
    stand::{Stand, condition, message, outcomes, post, records},
};

/// Returns a saga of a reservation, followed by the step under test.
fn after_a_reservation(step: &Value) -> Value {
    let mut last = json!({"name": "last", "dependsOn": ["reserve-stock"]});
    last.as_object_mut().unwrap().extend(step.as_object().unwrap().clone());
    json!({
        "onFailure": "Compensate",
        "steps": [{"name": "reserve-stock", "http": post("/stock/reservations")}, last],
    })
}

async fn refused(stand: &Stand, name: &str) -> Saga {
    stand.until(name, "refused", |saga| condition(saga, "Accepted") == "False/Refused").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_the_last_step_is_found_before_the_first_one_runs() {
    let mut stand = Stand::new("precheck").await;
    stand.start();
    let image = "saga.dev/examples/busybox:1";
    let table = [
        (json!({"pod": {"image": " oddly named"}}), "spec.steps[1].pod: Pod \""),
        (
            json!({
                "pod": {
                    "image": image,
                    "env": [
                        {"name": "1 a", "value": "x"},
                        {"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "no.such"}}},
                    ],
                },
            }),
            "spec.steps[1].pod: Pod \"",
        ),
        (
            json!({
                "http": {
                    "method": "POST", "url": "http://shop.example/",
                    "headers": [{
                        "name": "A", "valueFrom": {"secretKeyRef": {"name": "missing", "key": "k"}},
                    }],
                },
            }),
            "spec.steps[1].http: the ",
        ),
        (
            json!({
                "apply": {
                    "manifest": {
                        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                        "metadata": {"name": "x"},
                    },
                },
            }),
            "spec.steps[1].apply: ",
        ),
    ];
    for (place, (step, says)) in table.iter().enumerate() {
        let name = format!("order-{place}");
        stand.apply(&name, &after_a_reservation(step)).await;
        let saga = refused(&stand, &name).await;
        assert_eq!(saga.status.as_ref().unwrap().phase, Some(SagaPhase::Pending));
        assert!(message(&saga).contains(says), "{says}: {}", message(&saga));
        assert_eq!(condition(&saga, "Stalled"), "True/Refused");
    }
    assert!(
        stand.shop.entries(None).is_empty(),
        "nothing was reserved, so nothing had to be undone"
    );
    assert_eq!(stand.pods().list(&kube::api::ListParams::default()).await.unwrap().items.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_that_was_refused_goes_on_by_itself_when_what_was_missing_is_there() {
    let mut stand = Stand::new("precheck-late").await;
    stand.apply_example("service-account.yaml").await;
    stand.start();
    let headers = json!([{
        "name": "Authorization",
        "valueFrom": {"secretKeyRef": {"name": "payments", "key": "token"}},
    }]);
    let mut charge = post("/payments/charges");
    charge["headers"] = headers;
    let mut spec = after_a_reservation(&json!({"http": charge}));
    spec["serviceAccountName"] = json!("order-saga");
    stand.apply("order", &spec).await;
    let saga = refused(&stand, "order").await;
    assert!(
        message(&saga).contains("spec.steps[1].http: the secret \"payments\" does not exist"),
        "{}",
        message(&saga)
    );
    stand
        .put(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "payments"},
            "stringData": {"token": "Bearer x"},
        }))
        .await;
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    assert_eq!(condition(&saga, "Accepted"), "True/Accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_an_earlier_step_makes_is_no_reason_to_refuse() {
    let mut stand = Stand::new("precheck-skip").await;
    stand.start();
    let mut charge = post("/payments/charges");
    charge["headers"] = json!([{
        "name": "Authorization",
        "valueFrom": {"secretKeyRef": {"name": "payments", "key": "token"}},
    }]);
    stand.apply("order", &after_a_reservation(&json!({"http": charge, "precheck": "Skip"}))).await;
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    let accepted = saga
        .status
        .as_ref()
        .unwrap()
        .conditions
        .iter()
        .find(|condition| condition.type_ == "Accepted")
        .unwrap()
        .clone();
    assert_eq!(
        accepted.message,
        "the spec is valid; not checked before the first step: \
        spec.steps[1].http"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_saga_is_tried_again_at_once_where_somebody_asks_for_it() {
    let mut stand = Stand::new("precheck-retry").await;
    stand.start();
    stand.apply("order", &after_a_reservation(&json!({"pod": {"image": " oddly named"}}))).await;
    refused(&stand, "order").await;
    stand.ask("order", &format!("{}=*", RequestAction::Retry.annotation()));
    let saga = stand.until("order", "answered", |saga| !records(saga).is_empty()).await;
    let record = &records(&saga)[0];
    assert_eq!(
        (record.result, condition(&saga, "Accepted").as_str()),
        (RequestResult::Accepted, "False/Refused")
    );
    assert_eq!(
        record.message,
        "the saga was checked again, and is still refused: its message says why"
    );
    assert_eq!(saga.status.as_ref().unwrap().retry_requests, 0, "it was granted no attempt");
    assert!(stand.shop.entries(None).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_otherwise_when_its_turn_comes_is_left_until_then() {
    let stand =
        keeper::stand_with("precheck-later", ("", "configmaps"), &["get", "patch", "delete"]).await;
    stand
        .put(&json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shared"},
            "data": {"colour": "green"},
        }))
        .await;
    let shared = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shared"},
        "data": {"colour": "blue"},
    });
    let custom =
        json!({"apiVersion": "not-there.example/v1", "kind": "Widget", "metadata": {"name": "w"}});
    for (name, manifest) in [("conflict", shared), ("kind", custom)] {
        let mut spec =
            after_a_reservation(&json!({"apply": {"manifest": manifest}, "timeout": "3s"}));
        spec["serviceAccountName"] = json!("keeper");
        stand.apply(name, &spec).await;
        let saga = stand.reaches(name, SagaPhase::Compensated).await;
        let accepted = saga
            .status
            .as_ref()
            .unwrap()
            .conditions
            .iter()
            .find(|condition| condition.type_ == "Accepted")
            .unwrap()
            .clone();
        assert!(
            accepted.message.contains("not checked before the first step: spec.steps[1].apply ("),
            "{}",
            accepted.message
        );
        assert_eq!(outcomes(&saga, "last"), [Outcome::Failed], "nothing was applied");
    }
}
