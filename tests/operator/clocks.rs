//! Tests of time limits that change while an HTTP request is in flight, and of clocks that differ.

use jiff::{Timestamp, ToSpan};
use kube::Api;
use saga_operator::api::{Outcome, SagaPhase, StoredSaga};
use serde_json::{Value, json};

use crate::{
    shop::Kind,
    stand::{Stand, outcomes, post_by_gate, scope, step},
};

/// Returns a saga with one HTTP request under the default time limit. The gate keeps back the
/// answer.
fn charge(timeout: &str) -> Value {
    json!({
        "defaults": {"timeout": timeout},
        "steps": [{"name": "charge-card", "http": post_by_gate("/payments/charges")}],
    })
}

/// Another replica waits for more than 30 seconds beyond a time limit.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_keeps_its_time_limit_for_any_operator_when_the_default_is_lowered() {
    let mut stand = Stand::new("lowered").await;
    stand.start();
    stand.start_second();
    stand.meanwhile("both-are-awake").await;
    let saga = stand.apply("order", &charge("5m")).await;
    stand.shop_has_done(&saga, "charge-card").await;
    stand.patch("order", &json!({"spec": {"defaults": {"timeout": "1s"}}})).await.unwrap();
    stand.apply("late", &charge("1s")).await;
    let late = stand.reaches("late", SagaPhase::Failed).await;
    assert_eq!(
        outcomes(&late, "charge-card"),
        [Outcome::Unknown],
        "what was sent under it ends by it"
    );
    stand.apply("nap", &json!({"steps": [{"name": "nap", "wait": {"for": "35s"}}]})).await;
    stand.reaches("nap", SagaPhase::Completed).await;
    stand.gate.open();
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    assert_eq!(outcomes(&saga, "charge-card"), [Outcome::Succeeded]);
    let calls: Vec<_> =
        stand.shop.entries(Some(&scope(&saga))).into_iter().map(|entry| entry.kind).collect();
    assert_eq!(calls, [Kind::Done]);
}

/// Creates a saga as an operator left it that died `age` seconds after it wrote the intent of its
/// Pod. The clock of that operator was one minute ahead of the clock of the API server.
async fn left_by_a_clock_ahead(stand: &Stand, name: &str, age: i64) {
    let pod = json!({"image": "saga.dev/examples/busybox:1", "command": ["true"]});
    stand.apply(name, &json!({"steps": [{"name": "work", "pod": pod}]})).await;
    let stored: Api<StoredSaga> = Api::namespaced(stand.client.clone(), &stand.namespace);
    let spec_hash = stored.get(name).await.unwrap().spec_hash;
    let written = Timestamp::now() + (60 - age).seconds();
    let written = format!("{written:.6}");
    let active = json!({"startedAt": written, "clockAheadSeconds": 60});
    let action =
        json!({"attempt": 1, "budgetUsed": 1, "budgetStartedAt": written, "active": active});
    let step = json!({"name": "work", "phase": "Running", "startedAt": written, "action": action});
    let status = json!({
        "observedGeneration": 1, "phase": "Running", "startedAt": written, "specHash": spec_hash,
        "steps": [step],
    });
    stand.patch_status(name, &status).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_is_not_made_too_late_because_the_clock_of_who_intended_it_was_ahead() {
    let mut stand = Stand::new("ahead").await;
    left_by_a_clock_ahead(&stand, "old", 40).await;
    left_by_a_clock_ahead(&stand, "young", 2).await;
    stand.start();
    let young = stand.reaches("young", SagaPhase::Completed).await;
    assert_eq!(outcomes(&young, "work"), [Outcome::Succeeded]);
    let old = stand.reaches("old", SagaPhase::Failed).await;
    let said = step(&old, "work").message.clone().unwrap_or_default();
    assert!(
        outcomes(&old, "work") == [Outcome::Unknown]
            && said.contains("its Pod may have been created"),
        "{said}"
    );
    assert!(stand.pods_of("old").await.is_empty());
}
