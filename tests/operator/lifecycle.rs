//! Tests of sagas that are deleted, and of operators that stop or die: nothing is lost, and nothing
//! happens twice.

mod deleted;

use k8s_openapi::api::events::v1::Event;
use saga_operator::api::{Direction, Outcome, Saga, SagaPhase, StepPhase};
use serde_json::{Value, json};

use crate::{
    shop::Kind,
    stand::{Stand, checkout, checkout_with, message, outcomes, post_by_gate, scope, step},
};

/// Returns the checkout with a gate that keeps back the answer to the charge.
pub fn checkout_in_the_middle() -> Value {
    let mut spec = checkout();
    spec["steps"][1]["http"] = post_by_gate("/payments/charges");
    spec
}

/// Lets the shop refuse one service permanently.
fn refuse(stand: &Stand, service: &str, direction: &str) {
    let rule = json!({
        "match": {"service": service, "direction": direction},
        "then": [{"answer": 422, "forever": true}],
    });
    stand.shop.behave(&json!([rule])).unwrap();
}

fn note(event: &Event) -> &str {
    event.note.as_deref().unwrap_or_default()
}

/// Asserts that the ledger shows these steps done and these steps undone, in this order.
fn assert_ledger(stand: &Stand, saga: &Saga, done: &[&str], undone: &[&str]) {
    let summary = stand.shop.summary(&scope(saga));
    assert_eq!((&summary.done, &summary.undone), (&to_strings(done), &to_strings(undone)));
    assert!(summary.done_twice.is_empty() && summary.faults.is_empty(), "{summary:?}");
}

fn to_strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_past_its_pivot_holds_although_it_is_to_be_undone_on_failure() {
    let mut stand = Stand::new("pivot").await;
    refuse(&stand, "shipping", "action");
    stand.start();
    let mut spec = checkout_with(&json!({"onFailure": "Compensate"}));
    spec["steps"][1]["pivot"] = json!(true);
    stand.apply("order", &spec).await;
    let saga = stand.reaches("order", SagaPhase::Failed).await;
    assert!(
        message(&saga).contains("Nothing is undone, because the pivot charge-card is passed"),
        "{}",
        message(&saga)
    );
    assert_ledger(&stand, &saga, &["reserve-stock", "charge-card"], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_told_to_stop_lets_the_call_end_and_begins_nothing() {
    let mut stand = Stand::new("sigterm").await;
    stand.start();
    let saga = stand.apply("order", &checkout_in_the_middle()).await;
    stand.shop_has_done(&saga, "charge-card").await;
    stand.ask_to_stop();
    stand.logs("a stop signal came").await;
    assert!(stand.lives(), "the call is under way");
    stand.gate.open();
    assert_eq!(stand.stopped().await, Some(0));
    let saga = stand.sagas().get("order").await.unwrap();
    assert_eq!(outcomes(&saga, "charge-card"), [Outcome::Succeeded], "what was learnt is recorded");
    assert_eq!(step(&saga, "ship").action, None, "nothing new begins");
    assert_ledger(&stand, &saga, &["reserve-stock", "charge-card"], &[]);
    stand.start();
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    for name in ["reserve-stock", "charge-card", "ship"] {
        assert_eq!(outcomes(&saga, name), [Outcome::Succeeded], "{name}");
    }
    assert_eq!(stand.shop.entries(Some(&scope(&saga))).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_operator_was_killed_is_made_again_under_the_same_key() {
    let mut stand = Stand::new("sigkill").await;
    stand.start();
    let mut last_attempt = checkout_in_the_middle();
    last_attempt["steps"][1]["retry"] = json!({"maxAttempts": 1});
    last_attempt["onFailure"] = json!("Compensate");
    let sagas = [
        stand.apply("again", &checkout_in_the_middle()).await,
        stand.apply("last-attempt", &last_attempt).await,
    ];
    for saga in &sagas {
        stand.shop_has_done(saga, "charge-card").await;
    }
    stand.kill();
    stand.gate.open();
    stand.start();
    let saga = stand.reaches("again", SagaPhase::Completed).await;
    assert_eq!(outcomes(&saga, "charge-card"), [Outcome::Unknown, Outcome::Succeeded]);
    let charges = stand
        .shop
        .entries(Some(&scope(&saga)))
        .into_iter()
        .filter(|entry| entry.step == "charge-card");
    let charges: Vec<_> = charges.map(|entry| (entry.kind, entry.key)).collect();
    let key = format!("{}/charge-card/action/0", scope(&saga));
    assert_eq!(charges, [(Kind::Done, key.clone()), (Kind::Repeat, key)]);
    assert_ledger(&stand, &saga, &["reserve-stock", "charge-card", "ship"], &[]);
    // If no attempt is left, what may have happened is undone.
    let saga = stand.reaches("last-attempt", SagaPhase::Compensated).await;
    assert_eq!(outcomes(&saga, "charge-card"), [Outcome::Unknown]);
    assert_ledger(
        &stand,
        &saga,
        &["reserve-stock", "charge-card"],
        &["charge-card", "reserve-stock"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_outlive_their_operator_and_the_next_one_adopts_them() {
    let mut stand = Stand::with_pods("adopt").await;
    stand.start();
    let ask = "wget -q -O - --header \"Idempotency-Key: $SAGA_IDEMPOTENCY_KEY\" --post-data '{}' \
        GATE/mail/messages";
    let work = json!({"image": "saga.dev/examples/busybox:1", "command": ["/bin/sh", "-c", ask]});
    let steps: Vec<_> =
        ["one", "two", "three"].map(|name| json!({"name": name, "pod": work})).into();
    let saga = stand.apply("order", &json!({"maxParallel": 2, "steps": steps})).await;
    // The first two Pods wait for the shop's answer.
    for name in ["one", "two"] {
        stand.shop_has_done(&saga, name).await;
    }
    stand.kill();
    stand.start();
    stand.meanwhile("other").await;
    assert_eq!(
        stand.sagas().get("order").await.unwrap().status.unwrap().current_steps.as_deref(),
        Some("one,two")
    );
    // The Pods end while no operator runs.
    stand.kill();
    stand.gate.open();
    stand.pods_end("order", 2).await;
    stand.start();
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    for name in ["one", "two", "three"] {
        assert_eq!(outcomes(&saga, name), [Outcome::Succeeded], "{name}");
        assert_eq!(step(&saga, name).direction(Direction::Action).unwrap().attempt, 1);
        assert_eq!(step(&saga, name).phase, StepPhase::Completed);
    }
    assert_eq!(stand.pods_of("order").await.len(), 3, "one Pod an attempt");
    assert_eq!(stand.shop.entries(Some(&scope(&saga))).len(), 3);
}
