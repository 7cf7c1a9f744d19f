//! Tests of actions and compensations over HTTP. The ledger of the shop is checked.

mod held;
mod secrets;

use jiff::SignedDuration;
use saga_operator::api::{Direction, Outcome, Saga, SagaPhase, StepPhase};
use serde_json::{Value, json};

use crate::{
    shop::Kind,
    stand::{Stand, checkout_with, condition, message, outcomes, post, post_by_gate, scope, step},
};

/// Returns a saga with one step of this many attempts. The shop knows its HTTP requests by the name
/// of the saga.
fn one_call(name: &str, attempts: u32) -> Value {
    json!({
        "idempotencyPrefix": name,
        "steps": [{
            "name": "charge-card", "http": post("/payments/charges"), "timeout": "2s",
            "retry": {
                "maxAttempts": attempts, "backoff": {"initialDelay": "50ms", "maxDelay": "100ms"},
            },
        }],
    })
}

/// Returns the keys of the HTTP requests that the shop received, in order.
fn keys(stand: &Stand, saga: &Saga) -> Vec<String> {
    stand.shop.entries(Some(&scope(saga))).into_iter().map(|entry| entry.key).collect()
}

/// Returns the time between the first intent and the last outcome of a step's action.
fn took(saga: &Saga, name: &str) -> SignedDuration {
    let attempts = &step(saga, name).direction(Direction::Action).unwrap().attempts;
    attempts.last().unwrap().settled_at.0.duration_since(attempts[0].started_at.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_that_fails_is_undone_in_reverse_order_and_nothing_happens_twice() {
    let mut stand = Stand::new("undone").await;
    stand.start();
    stand
        .shop
        .behave(&json!([{
            "match": {"service": "shipping"}, "then": [{"answer": 409, "forever": true}],
        }]))
        .unwrap();
    stand.apply("order", &checkout_with(&json!({"onFailure": "Compensate"}))).await;
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    let calls: Vec<_> =
        stand.shop.entries(None).into_iter().map(|entry| (entry.path, entry.kind)).collect();
    let expected = [
        ("/stock/reservations", Kind::Done),
        ("/payments/charges", Kind::Done),
        ("/shipping/shipments", Kind::Refused),
        ("/payments/refunds", Kind::Undone),
        ("/stock/releases", Kind::Undone),
    ];
    assert_eq!(calls, expected);
    let status = saga.status.as_ref().unwrap();
    assert_eq!(status.progress.as_deref(), Some("2/2"));
    assert_eq!(status.still_in_effect.as_deref(), Some([].as_slice()));
    assert!(
        message(&saga).contains("step ship failed") && message(&saga).contains("409"),
        "{}",
        message(&saga)
    );
    assert_eq!(condition(&saga, "Stalled"), "True/Compensated");
    let event = stand.event("order", "StepFailed").await;
    assert!(event.note.unwrap().contains("the shop was told to answer so"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_happened_is_asked_again_under_the_same_key() {
    let mut stand = Stand::new("unknown").await;
    stand.start();
    let stories = [
        ("busy", json!({"answer": 503})),
        ("slow", json!({"answer": 408})),
        ("cut-after-work", json!({"closeAfterWork": true})),
        ("cut-before-work", json!({"closeBeforeWork": true})),
        ("silent", json!({"hang": "20s"})),
    ];
    let rules: Vec<_> = stories
        .iter()
        .map(|(name, conduct)| json!({"match": {"scope": name}, "then": [conduct]}))
        .collect();
    stand.shop.behave(&json!(rules)).unwrap();
    for (name, _) in &stories {
        stand.apply(name, &one_call(name, 2)).await;
    }
    for (name, _) in &stories {
        let saga = stand.reaches(name, SagaPhase::Completed).await;
        assert_eq!(
            outcomes(&saga, "charge-card"),
            [Outcome::Unknown, Outcome::Succeeded],
            "{name}"
        );
        let key = format!("{name}/charge-card/action/0");
        assert_eq!(keys(&stand, &saga), [key.clone(), key], "{name}");
        let summary = stand.shop.summary(name);
        assert!(
            summary.done == ["charge-card"]
                && summary.done_twice.is_empty()
                && summary.faults.is_empty(),
            "{name}: {summary:?}"
        );
    }
    // The silent service had its two seconds, and not much more.
    let silent = stand.sagas().get("silent").await.unwrap();
    let limit =
        step(&silent, "charge-card").direction(Direction::Action).unwrap().attempts[0].clone();
    let waited = limit.settled_at.0.duration_since(limit.started_at.0);
    assert!(
        (SignedDuration::from_millis(1900)..SignedDuration::from_secs(8)).contains(&waited),
        "{waited:?}"
    );
    assert_eq!(limit.message.as_deref(), Some("no answer within 2s"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_happened_is_undone_where_no_attempt_is_left() {
    let mut stand = Stand::new("uncertain").await;
    stand.start();
    stand
        .shop
        .behave(&json!([{
            "match": {"service": "payments", "direction": "action"},
            "then": [{"closeAfterWork": true}],
        }]))
        .unwrap();
    let mut spec = checkout_with(&json!({"onFailure": "Compensate"}));
    spec["steps"][1]["retry"] = json!({"maxAttempts": 1});
    stand.apply("order", &spec).await;
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    assert_eq!(outcomes(&saga, "charge-card"), [Outcome::Unknown]);
    let summary = stand.shop.summary(&scope(&saga));
    assert_eq!(
        (summary.undone.as_slice(), summary.in_effect.len()),
        (["charge-card", "reserve-stock"].map(String::from).as_slice(), 0)
    );
    assert_eq!(step(&saga, "ship").phase, StepPhase::Pending);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definite_no_is_final_and_a_busy_shop_is_given_the_time_it_asks_for() {
    let mut stand = Stand::new("answers").await;
    stand.start();
    let stories = [
        ("unprocessable", 422),
        ("conflict", 409),
        ("unpaid", 402),
        ("unauthorized", 401),
        ("elsewhere", 302),
    ];
    let mut rules: Vec<_> = stories
        .iter()
        .map(|(name, code)| {
            json!({"match": {"scope": name}, "then": [{"answer": code, "forever": true}]})
        })
        .collect();
    rules
        .push(json!({"match": {"scope": "patient"}, "then": [{"answer": 429, "retryAfter": "2"}]}));
    stand.shop.behave(&json!(rules)).unwrap();
    for (name, _) in stories {
        stand.apply(name, &one_call(name, 5)).await;
    }
    stand.apply("patient", &one_call("patient", 2)).await;
    for (name, code) in stories {
        let saga = stand.reaches(name, SagaPhase::Failed).await;
        assert_eq!(outcomes(&saga, "charge-card"), [Outcome::Failed], "{name}");
        assert_eq!(keys(&stand, &saga).len(), 1, "{name}");
        assert!(message(&saga).contains(&code.to_string()), "{}", message(&saga));
    }
    // The delay of the policy is 100 ms. The `Retry-After` of the shop takes precedence.
    let saga = stand.reaches("patient", SagaPhase::Completed).await;
    assert_eq!(outcomes(&saga, "charge-card"), [Outcome::Failed, Outcome::Succeeded]);
    assert!(
        took(&saga, "charge-card") >= SignedDuration::from_secs(2),
        "{:?}",
        took(&saga, "charge-card")
    );
    let key = "patient/charge-card/action/0";
    assert_eq!(keys(&stand, &saga), [key, key]);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_steps_run_at_once_as_the_saga_allows_and_no_more() {
    let mut stand = Stand::new("parallel").await;
    stand.start();
    let work: Vec<_> = ["a", "b", "c", "d", "e"]
        .map(|name| json!({"name": name, "http": post_by_gate("/mail/messages")}))
        .into();
    stand.apply("order", &json!({"maxParallel": 3, "steps": work})).await;
    // No answer has arrived yet: the three HTTP requests are in flight at once.
    stand.shop_sees("three calls", |entries| entries.len() == 3).await;
    stand.meanwhile("other").await;
    let saga = stand.sagas().get("order").await.unwrap();
    let asked: Vec<_> =
        stand.shop.entries(Some(&scope(&saga))).into_iter().map(|entry| entry.step).collect();
    let mut sorted = asked.clone();
    sorted.sort();
    assert_eq!(sorted, ["a", "b", "c"], "list order");
    assert_eq!(saga.status.as_ref().unwrap().current_steps.as_deref(), Some("a,b,c"));
    stand.gate.open();
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    let mut done = stand.shop.summary(&scope(&saga)).done;
    done.sort();
    assert_eq!(done, ["a", "b", "c", "d", "e"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_that_somebody_touches_all_the_time_goes_on_and_nothing_happens_twice() {
    let mut stand = Stand::new("touched").await;
    stand.start();
    stand
        .shop
        .behave(&json!([{
            "match": {"service": "shipping"}, "then": [{"answer": 409, "forever": true}],
        }]))
        .unwrap();
    stand.apply("order", &checkout_with(&json!({"onFailure": "Compensate"}))).await;
    let touch = async {
        for nth in 0_u64.. {
            stand
                .patch("order", &json!({"metadata": {"annotations": {"touched": nth.to_string()}}}))
                .await
                .unwrap();
        }
    };
    let saga = tokio::select! { () = touch => unreachable!("for \
    ever"), saga = stand.reaches("order", SagaPhase::Compensated) => saga };
    let calls: Vec<_> =
        stand.shop.entries(Some(&scope(&saga))).into_iter().map(|entry| entry.path).collect();
    let expected = [
        "/stock/reservations",
        "/payments/charges",
        "/shipping/shipments",
        "/payments/refunds",
        "/stock/releases",
    ];
    assert_eq!(calls, expected);
    assert!(saga.metadata.annotations.unwrap().contains_key("touched"));
}

/// Returns a checkout that charges the card with a token from a Secret, under its own account.
pub fn checkout_with_token() -> Value {
    let mut spec = checkout_with(&json!({"serviceAccountName": "order-saga"}));
    spec["steps"][1]["http"]["headers"] = json!([{
        "name": "Authorization",
        "valueFrom": {"secretKeyRef": {"name": "payments", "key": "token"}},
    }]);
    spec["steps"][1]["retry"] =
        json!({"maxAttempts": 1000, "backoff": {"type": "None", "initialDelay": "200ms"}});
    // The tests check a Secret that is missing when the step runs, so the precheck is skipped.
    spec["steps"][1]["precheck"] = json!("Skip");
    spec
}
