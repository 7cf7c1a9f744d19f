//! Tests of `ttlSecondsAfterFinished`: sagas that set it are deleted automatically some time after
//! their end.

use saga_operator::api::SagaPhase;
use serde_json::json;

use crate::stand::{Stand, checkout, checkout_with, scope};

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_goes_after_its_time_with_its_pods_and_what_waits_for_a_person_stays() {
    let mut stand = Stand::new("ttl").await;
    stand.start();
    stand
        .shop
        .behave(&json!([{
            "match": {"service": "shipping", "direction": "action"},
            "then": [{"answer": 422, "forever": true}],
        }]))
        .unwrap();
    let mut short = checkout_with(&json!({"ttlSecondsAfterFinished": 0}));
    short["steps"].as_array_mut().unwrap().pop();
    stand.apply("completed", &short).await;
    stand
        .apply(
            "compensated",
            &checkout_with(&json!({"ttlSecondsAfterFinished": 1, "onFailure": "Compensate"})),
        )
        .await;
    stand.apply("failed", &checkout_with(&json!({"ttlSecondsAfterFinished": 0}))).await;
    stand
        .apply(
            "cancelled",
            &json!({"ttlSecondsAfterFinished": 0, "steps": [{"name": "release", "approval": {}}]}),
        )
        .await;
    stand.apply("kept", &json!({"steps": [checkout()["steps"][0]]})).await;
    let completed = stand.reaches("completed", SagaPhase::Completed).await;
    stand.reaches("compensated", SagaPhase::Compensated).await;
    stand.reaches("failed", SagaPhase::Failed).await;
    stand.reaches("kept", SagaPhase::Completed).await;
    stand.ask("cancelled", "saga.dev/cancel=enough");
    stand.reaches("cancelled", SagaPhase::Cancelled).await;
    // The record decides, not the memory of the process.
    stand.kill();
    stand.start();
    for name in ["completed", "compensated", "cancelled"] {
        stand.gone(name).await;
    }
    assert_eq!(stand.shop.summary(&scope(&completed)).undone, [""; 0], "nothing is undone for it");
    for (name, phase) in [("failed", SagaPhase::Failed), ("kept", SagaPhase::Completed)] {
        let saga = stand.sagas().get(name).await.unwrap();
        assert_eq!(
            (saga.status.unwrap().phase, saga.metadata.deletion_timestamp),
            (Some(phase), None),
            "{name}"
        );
    }
    // If the field is set after the end, the time still counts from the end.
    stand.patch("kept", &json!({"spec": {"ttlSecondsAfterFinished": 1}})).await.unwrap();
    stand.gone("kept").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_to_be_kept_or_undone_in_time_does_not_go() {
    let mut stand = Stand::new("kept").await;
    stand.start();
    let spec = checkout_with(&json!({"ttlSecondsAfterFinished": 20}));
    for name in ["kept", "undone", "gone"] {
        stand.apply(name, &spec).await;
    }
    for name in ["kept", "undone", "gone"] {
        stand.reaches(name, SagaPhase::Completed).await;
        stand.is_let_go(name).await;
    }
    stand.patch("kept", &json!({"spec": {"ttlSecondsAfterFinished": 86400}})).await.unwrap();
    stand.patch("undone", &json!({"spec": {"ttlSecondsAfterFinished": null}})).await.unwrap();
    stand.ask("undone", "saga.dev/compensate=returned");
    let undone = stand.reaches("undone", SagaPhase::Compensated).await;
    // This saga was the last of the three to end.
    stand.gone("gone").await;
    stand.meanwhile("other").await;
    assert_eq!(
        stand.shop.summary(&scope(&undone)).undone,
        ["ship", "charge-card", "reserve-stock"]
    );
    for name in ["kept", "undone"] {
        assert_eq!(
            stand.sagas().get(name).await.unwrap().metadata.deletion_timestamp,
            None,
            "{name}"
        );
    }
}

/// The knowledge of the frozen operator is from before the freeze. The API server refuses a
/// deletion that is based on an outdated version.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_wakes_up_late_deletes_nothing_that_was_changed_meanwhile() {
    let mut stand = Stand::new("late").await;
    stand.start();
    let spec = json!({"ttlSecondsAfterFinished": 15, "steps": [checkout()["steps"][0]]});
    let kept: Vec<_> = (0..8).map(|nth| format!("kept-{nth}")).collect();
    let names = kept.iter().map(String::as_str).chain(["gone"]);
    for name in names.clone() {
        stand.apply(name, &spec).await;
    }
    for name in names {
        stand.reaches(name, SagaPhase::Completed).await;
        stand.is_let_go(name).await;
    }
    stand.freeze();
    for name in &kept {
        stand.patch(name, &json!({"spec": {"ttlSecondsAfterFinished": 86400}})).await.unwrap();
    }
    // This saga was the last to end. When another replica has deleted it, the time of the other
    // sagas has passed too.
    stand.start_second();
    stand.gone("gone").await;
    stand.thaw();
    stand.meanwhile("other").await;
    for name in &kept {
        assert_eq!(
            stand.sagas().get(name).await.unwrap().metadata.deletion_timestamp,
            None,
            "{name}"
        );
    }
}
