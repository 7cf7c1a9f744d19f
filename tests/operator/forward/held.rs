//! Tests of checkouts that stay as they are until a user makes a request.

use saga_operator::api::{SagaPhase, StepPhase};
use serde_json::json;

use crate::stand::{Stand, checkout, condition, message, post_by_gate, scope};

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_checkout_is_held_until_a_person_asks_for_its_undoing() {
    let mut stand = Stand::new("held").await;
    stand.start();
    stand
        .shop
        .behave(&json!([{
            "match": {"service": "shipping"}, "then": [{"answer": 422, "forever": true}],
        }]))
        .unwrap();
    stand.apply("order", &checkout()).await;
    let held = stand.reaches("order", SagaPhase::Failed).await;
    assert_eq!(
        (condition(&held, "Ready"), condition(&held, "Stalled")),
        ("False/StepFailed".into(), "True/StepFailed".into())
    );
    assert!(
        message(&held).contains("saga.dev/compensate=REASON to undo what was done"),
        "{}",
        message(&held)
    );
    let calls = stand.shop.entries(Some(&scope(&held))).len();
    stand.meanwhile("other").await;
    let later = stand.sagas().get("order").await.unwrap();
    assert_eq!(later.metadata.resource_version, held.metadata.resource_version, "nobody wrote");
    assert_eq!(stand.shop.entries(Some(&scope(&held))).len(), calls, "nobody called");
    stand.patch("order", &json!({"spec": {"onFailure": "Compensate"}})).await.unwrap();
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    assert_eq!(stand.shop.summary(&scope(&saga)).undone, ["charge-card", "reserve-stock"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_checkout_starts_nothing_until_it_is_resumed() {
    let mut stand = Stand::new("suspend").await;
    stand.start();
    let mut spec = checkout();
    spec["steps"][0]["http"] = post_by_gate("/stock/reservations");
    let saga = stand.apply("order", &spec).await;
    stand.shop_has_done(&saga, "reserve-stock").await;
    stand.patch("order", &json!({"spec": {"suspend": true}})).await.unwrap();
    stand.reaches("order", SagaPhase::Paused).await;
    stand.gate.open();
    let paused = stand.step_reaches("order", "reserve-stock", StepPhase::Completed).await;
    stand.meanwhile("other").await;
    let later = stand.sagas().get("order").await.unwrap();
    assert_eq!(later.status, paused.status, "nothing starts");
    assert_eq!(stand.shop.summary(&scope(&saga)).done, ["reserve-stock"]);
    assert_eq!(paused.status.as_ref().unwrap().phase, Some(SagaPhase::Paused));
    assert_eq!(
        ["Ready", "Reconciling", "Stalled"].map(|kind| condition(&paused, kind)),
        ["False/Paused", "", ""]
    );
    assert!(
        message(&paused).contains("nothing new starts until spec.suspend is false"),
        "{}",
        message(&paused)
    );
    stand.patch("order", &json!({"spec": {"suspend": false}})).await.unwrap();
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    assert_eq!(stand.shop.summary(&scope(&saga)).done, ["reserve-stock", "charge-card", "ship"]);
    assert_eq!(condition(&saga, "Ready"), "True/Completed");
}
