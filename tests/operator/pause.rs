//! Tests of the request to pause: what is active settles, nothing begins, and all clocks stop
//! except those of attempts.

use saga_operator::api::{Outcome, RequestResult, SagaPhase, StepPhase};
use serde_json::{Value, json};

use crate::stand::{
    Stand, checkout, checkout_with, condition, message, outcomes, post_by_gate, scope, step,
};

/// Returns the checkout with a gate that keeps back the answer to the charge.
fn checkout_in_the_middle(more: &Value) -> Value {
    let mut spec = checkout_with(more);
    spec["steps"][1]["http"] = post_by_gate("/payments/charges");
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_active_settles_and_nothing_begins_before_the_saga_is_resumed() {
    let mut stand = Stand::new("pause").await;
    stand.start();
    let saga = stand.apply("order", &checkout_in_the_middle(&json!({}))).await;
    stand.shop_has_done(&saga, "charge-card").await;
    stand.ask("order", "saga.dev/pause=the stock is counted");
    let saga = stand.reaches("order", SagaPhase::Paused).await;
    assert_eq!(
        ["Ready", "Reconciling", "Stalled"].map(|kind| condition(&saga, kind)),
        ["False/Paused", "", ""]
    );
    let says = "paused (the stock is counted): nothing new starts until saga.dev/resume is set; \
        step charge-card runs, attempt 1 of 5";
    assert_eq!(message(&saga), says);
    let event = stand.event("order", "Paused").await;
    assert_eq!((event.type_.as_deref(), event.note.as_deref()), (Some("Normal"), Some(says)));
    stand.gate.open();
    let settled = stand.step_reaches("order", "charge-card", StepPhase::Completed).await;
    assert_eq!(outcomes(&settled, "charge-card"), [Outcome::Succeeded]);
    stand.meanwhile("other").await;
    let saga = stand.sagas().get("order").await.unwrap();
    assert_eq!(
        (saga.status.as_ref().unwrap().phase, &step(&saga, "ship").action),
        (Some(SagaPhase::Paused), &None)
    );
    assert_eq!(stand.shop.summary(&scope(&saga)).done, ["reserve-stock", "charge-card"]);
    stand.ask("order", "saga.dev/resume=counted");
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    assert_eq!(stand.shop.summary(&scope(&saga)).done, ["reserve-stock", "charge-card", "ship"]);
    assert_eq!(saga.status.as_ref().unwrap().paused, None);
    let answer = stand.answer("order", 2).await;
    assert_eq!(
        (answer.result, answer.message.as_str()),
        (RequestResult::Accepted, "the saga goes on")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_outlives_the_operator_and_the_switch_in_the_spec_is_another_one() {
    let mut stand = Stand::new("two-flags").await;
    stand.start();
    stand.apply("order", &checkout_with(&json!({"suspend": true}))).await;
    stand.reaches("order", SagaPhase::Paused).await;
    stand.ask("order", "saga.dev/pause=wait");
    stand.answer("order", 1).await;
    stand.ask("order", "saga.dev/resume=go");
    let refusal = stand.answer("order", 2).await;
    assert_eq!(
        (refusal.result, refusal.message.as_str()),
        (
            RequestResult::Refused,
            "spec.suspend is true, which no request overrides: set it to false"
        )
    );
    stand.patch("order", &json!({"spec": {"suspend": false}})).await.unwrap();
    stand
        .until("order", "paused by request alone", |saga| {
            message(saga).starts_with("paused (wait): nothing new starts")
        })
        .await;
    stand.kill();
    stand.start();
    stand.meanwhile("other").await;
    let saga = stand.sagas().get("order").await.unwrap();
    assert!(stand.shop.entries(Some(&scope(&saga))).is_empty(), "nothing starts");
    stand.ask("order", "saga.dev/resume=go");
    stand.reaches("order", SagaPhase::Completed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_saga_that_is_paused_takes_a_retry_and_begins_it_when_it_is_resumed() {
    let mut stand = Stand::new("held").await;
    stand
        .shop
        .behave(&json!([{"match": {"service": "payments"}, "then": [{"answer": 422}]}]))
        .unwrap();
    stand.start();
    stand.apply("order", &checkout()).await;
    stand.reaches("order", SagaPhase::Failed).await;
    stand.ask("order", "saga.dev/pause=wait");
    stand.answer("order", 1).await;
    let saga =
        stand.until("order", "paused", |saga| condition(saga, "Ready") == "False/Paused").await;
    assert_eq!(
        (saga.status.as_ref().unwrap().phase, condition(&saga, "Stalled")),
        (Some(SagaPhase::Failed), "True/StepFailed".into())
    );
    stand.ask("order", "saga.dev/retry=charge-card");
    let answer = stand.answer("order", 2).await;
    assert_eq!(
        answer.message,
        "step charge-card is tried again as soon as the saga is no longer paused, with a fresh \
         budget"
    );
    stand.meanwhile("other").await;
    assert_eq!(
        outcomes(&stand.sagas().get("order").await.unwrap(), "charge-card"),
        [Outcome::Failed]
    );
    stand.ask("order", "saga.dev/resume=go");
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    assert_eq!(outcomes(&saga, "charge-card"), [Outcome::Failed, Outcome::Succeeded]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_that_is_paused_stands_still_and_goes_on() {
    let mut stand = Stand::new("undo").await;
    stand.start();
    let mut spec = checkout();
    spec["steps"][2]["compensation"]["http"] = post_by_gate("/shipping/cancellations");
    let saga = stand.apply("order", &spec).await;
    stand.reaches("order", SagaPhase::Completed).await;
    stand.is_let_go("order").await;
    stand.ask("order", "saga.dev/compensate=returned");
    let undone = |step: &'static str| {
        let scope = scope(&saga);
        move |entry: &crate::shop::Entry| {
            entry.scope == scope && entry.step == step && entry.kind == crate::shop::Kind::Undone
        }
    };
    let cancelled = undone("ship");
    stand.shop_sees("the shipment cancelled", |entries| entries.iter().any(&cancelled)).await;
    stand.ask("order", "saga.dev/pause=wait");
    stand.answer("order", 2).await;
    stand.gate.open();
    let saga = stand.step_reaches("order", "ship", StepPhase::Compensated).await;
    assert_eq!(
        (saga.status.as_ref().unwrap().phase, condition(&saga, "Ready")),
        (Some(SagaPhase::Compensating), "False/Paused".into())
    );
    stand.meanwhile("other").await;
    assert_eq!(stand.shop.summary(&scope(&saga)).undone, ["ship"]);
    stand.ask("order", "saga.dev/resume=go");
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    assert_eq!(stand.shop.summary(&scope(&saga)).undone, ["ship", "charge-card", "reserve-stock"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeout_of_a_saga_stands_still_while_it_is_paused_and_goes_on_afterwards() {
    let mut stand = Stand::new("clock").await;
    stand.start();
    let mut spec = checkout_with(&json!({"timeout": "10s"}));
    spec["steps"][1] =
        json!({"name": "charge-card", "dependsOn": ["reserve-stock"], "approval": {}});
    let names = ["resumed", "too-long"];
    for name in names {
        stand.apply(name, &spec).await;
        stand.step_reaches(name, "charge-card", StepPhase::Waiting).await;
        stand.ask(name, "saga.dev/pause=wait");
        stand.reaches(name, SagaPhase::Paused).await;
    }
    // This saga measures the time of the test: longer than the timeout.
    stand.apply("clock", &json!({"steps": [{"name": "tick", "wait": {"for": "12s"}}]})).await;
    stand.reaches("clock", SagaPhase::Completed).await;
    for name in names {
        let saga = stand.sagas().get(name).await.unwrap();
        assert_eq!(saga.status.as_ref().unwrap().phase, Some(SagaPhase::Paused), "{name}");
        assert_eq!(step(&saga, "charge-card").phase, StepPhase::Waiting, "{name}");
    }
    // The approval is given during the pause: the step completes, and the next step waits for the
    // end of the pause.
    stand.ask("resumed", "saga.dev/approve=charge-card");
    let saga = stand.step_reaches("resumed", "charge-card", StepPhase::Completed).await;
    assert_eq!(
        (saga.status.as_ref().unwrap().phase, &step(&saga, "ship").action),
        (Some(SagaPhase::Paused), &None)
    );
    for name in names {
        stand.ask(name, "saga.dev/resume=go");
    }
    stand.reaches("resumed", SagaPhase::Completed).await;
    // The rest of the timeout passes.
    let saga = stand.reaches("too-long", SagaPhase::Failed).await;
    assert_eq!(
        (outcomes(&saga, "charge-card"), condition(&saga, "Stalled")),
        (vec![Outcome::Failed], "True/TimedOut".into())
    );
    assert!(
        message(&saga).starts_with("the saga's timeout of 10s passed; step charge-card failed"),
        "{}",
        message(&saga)
    );
    stand.event("too-long", "TimedOut").await;
    // A request to retry gives the saga another ten seconds.
    stand.ask("too-long", "saga.dev/retry=*");
    stand.step_reaches("too-long", "charge-card", StepPhase::Waiting).await;
    stand.ask("too-long", "saga.dev/approve=charge-card");
    let saga = stand.reaches("too-long", SagaPhase::Completed).await;
    assert_eq!(stand.shop.summary(&scope(&saga)).done, ["reserve-stock", "ship"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_under_way_when_the_time_of_its_saga_has_passed_is_given_up() {
    let mut stand = Stand::new("time").await;
    stand.start();
    let saga = stand.apply("order", &checkout_in_the_middle(&json!({"timeout": "5s"}))).await;
    stand.shop_has_done(&saga, "charge-card").await;
    let saga = stand.reaches("order", SagaPhase::Failed).await;
    assert_eq!(
        (outcomes(&saga, "charge-card"), condition(&saga, "Stalled")),
        (vec![Outcome::Unknown], "True/TimedOut".into())
    );
    assert!(
        message(&saga).starts_with("the saga's timeout of 5s passed; step charge-card failed"),
        "{}",
        message(&saga)
    );
    stand.gate.open();
    stand.ask("order", "saga.dev/retry=*");
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    let summary = stand.shop.summary(&scope(&saga));
    assert_eq!(summary.done, ["reserve-stock", "charge-card", "ship"]);
    assert!(summary.done_twice.is_empty(), "it is asked for again with the same key: {summary:?}");
}
