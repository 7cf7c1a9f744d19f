//! Tests of the request to cancel: active attempts are stopped, nothing is undone, and the status
//! names what is still in effect.

use saga_operator::api::{Outcome, RequestResult, SagaPhase, StepPhase};
use serde_json::json;

use crate::stand::{
    Stand, checkout, checkout_with, condition, message, outcomes, post_by_gate, scope, step,
    still_in_effect,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_under_way_is_given_up_and_may_have_happened() {
    let mut stand = Stand::new("request").await;
    stand.start();
    let mut spec = checkout();
    spec["steps"][1]["http"] = post_by_gate("/payments/charges");
    let saga = stand.apply("order", &spec).await;
    stand.shop_has_done(&saga, "charge-card").await;
    stand.ask("order", "saga.dev/cancel=ordered by mistake");
    let saga = stand.reaches("order", SagaPhase::Cancelled).await;
    assert_eq!(
        (outcomes(&saga, "charge-card"), still_in_effect(&saga)),
        (vec![Outcome::Unknown], vec!["reserve-stock", "charge-card"])
    );
    assert_eq!(
        message(&saga),
        "cancelled: ordered by mistake; still in effect: reserve-stock,charge-card"
    );
    assert_eq!(
        ["Ready", "Reconciling", "Stalled"].map(|kind| condition(&saga, kind)),
        ["False/Cancelled", "", "True/Cancelled"]
    );
    let attempt = &step(&saga, "charge-card").action.as_ref().unwrap().attempts[0];
    assert_eq!(
        attempt.message.as_deref(),
        Some("aborted without an answer, because the saga is cancelled")
    );
    let event = stand.event("order", "Cancelled").await;
    assert_eq!(
        (event.type_.as_deref(), event.note.as_deref()),
        (Some("Warning"), Some(message(&saga)))
    );
    let ended = stand.is_let_go("order").await;
    stand.answer("order", 1).await;
    // The late answer changes nothing.
    stand.gate.open();
    stand.meanwhile("other").await;
    let saga = stand.sagas().get("order").await.unwrap();
    assert_eq!((&saga.status, &step(&saga, "ship").action), (&ended.status, &None));
    assert_eq!(stand.shop.entries(Some(&scope(&saga))).len(), 2);
    // Every later request is refused.
    for (number, request) in
        [(2, "saga.dev/cancel=again"), (3, "saga.dev/compensate=undo it"), (4, "saga.dev/retry=*")]
    {
        stand.ask("order", request);
        let refusal = stand.answer("order", number).await;
        assert!(
            refusal.result == RequestResult::Refused
                && refusal.message.starts_with("the saga is Cancelled: "),
            "{refusal:?}"
        );
    }
    stand.remove("order").await;
    assert_eq!(
        stand.shop.entries(Some(&scope(&saga))).len(),
        2,
        "a saga that ended goes without ado"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_ends_at_once_in_whatever_phase_the_saga_is() {
    let mut stand = Stand::new("waiting").await;
    stand.start();
    let answer = |service: &str, code: u16| {
        json!({
            "match": {"service": service, "direction": "action"},
            "then": [{"answer": code, "forever": true}],
        })
    };
    stand.shop.behave(&json!([answer("payments", 503), answer("shipping", 422)])).unwrap();
    let mut retrying = checkout();
    retrying["steps"][1]["retry"] =
        json!({"maxAttempts": 3, "backoff": {"initialDelay": "1h", "maxDelay": "1h"}});
    let mut failed = checkout();
    failed["steps"].as_array_mut().unwrap().remove(1);
    failed["steps"][1]["dependsOn"] = json!(["reserve-stock"]);
    let approval = json!({"steps": [{"name": "release", "approval": {}}]});
    let nap = json!({"steps": [{"name": "nap", "wait": {"for": "1h"}}]});
    stand.apply("retrying", &retrying).await;
    stand.apply("failed", &failed).await;
    stand.apply("approval", &approval).await;
    stand.apply("nap", &nap).await;
    stand.apply("suspended", &checkout_with(&json!({"suspend": true}))).await;
    stand.step_reaches("retrying", "charge-card", StepPhase::Retrying).await;
    stand.reaches("failed", SagaPhase::Failed).await;
    stand.step_reaches("approval", "release", StepPhase::Waiting).await;
    stand.step_reaches("nap", "nap", StepPhase::Waiting).await;
    stand.reaches("suspended", SagaPhase::Paused).await;
    let stories = [
        ("retrying", vec!["reserve-stock", "charge-card"]),
        ("failed", vec!["reserve-stock"]),
        ("approval", vec![]),
        ("nap", vec![]),
        ("suspended", vec![]),
    ];
    for (name, left) in stories {
        let before = stand.shop.entries(None).len();
        stand.ask(name, "saga.dev/cancel=@2026-11-24");
        let saga = stand.reaches(name, SagaPhase::Cancelled).await;
        assert_eq!(
            (still_in_effect(&saga), stand.shop.entries(None).len()),
            (left.clone(), before),
            "{name}"
        );
        stand.is_let_go(name).await;
        let event = stand.event(name, "Cancelled").await;
        assert_eq!(
            event.type_.as_deref(),
            Some(if left.is_empty() { "Normal" } else { "Warning" }),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_that_is_cancelled_leaves_what_is_not_undone_yet() {
    let mut stand = Stand::new("undo").await;
    stand.start();
    stand
        .shop
        .behave(&json!([{
            "match": {"service": "shipping"}, "then": [{"answer": 422, "forever": true}],
        }]))
        .unwrap();
    let mut spec = checkout_with(&json!({"onFailure": "Compensate"}));
    spec["steps"][1]["compensation"]["http"] = post_by_gate("/payments/refunds");
    let saga = stand.apply("order", &spec).await;
    let refunded = |entry: &crate::shop::Entry| {
        entry.scope == scope(&saga) && entry.kind == crate::shop::Kind::Undone
    };
    stand.shop_sees("the refund", |entries| entries.iter().any(refunded)).await;
    stand.ask("order", "saga.dev/cancel=the customer keeps it");
    let saga = stand.reaches("order", SagaPhase::Cancelled).await;
    // The operator cannot know whether the card was refunded.
    assert_eq!(still_in_effect(&saga), ["reserve-stock", "charge-card"]);
    stand.is_let_go("order").await;
    stand.gate.open();
    stand.meanwhile("other").await;
    assert_eq!(stand.shop.summary(&scope(&saga)).undone, ["charge-card"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_is_carried_out_by_the_next_operator_where_the_first_one_dies() {
    let mut stand = Stand::new("killed").await;
    stand.start();
    let mut spec = checkout();
    spec["steps"][1]["http"] = post_by_gate("/payments/charges");
    let saga = stand.apply("order", &spec).await;
    stand.shop_has_done(&saga, "charge-card").await;
    stand.kill();
    stand.ask("order", "saga.dev/cancel=ordered by mistake");
    stand.start();
    let saga = stand.reaches("order", SagaPhase::Cancelled).await;
    assert_eq!(
        (outcomes(&saga, "charge-card"), still_in_effect(&saga)),
        (vec![Outcome::Unknown], vec!["reserve-stock", "charge-card"])
    );
    stand.is_let_go("order").await;
    assert_eq!(stand.shop.entries(Some(&scope(&saga))).len(), 2, "nothing is sent again");
}
