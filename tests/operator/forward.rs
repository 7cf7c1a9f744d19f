//! The way forward and the way back, told over HTTP, with the shop's ledger as the judge.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use saga_operator::api::{Direction, Outcome, Saga, SagaPhase, StepPhase};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    shop::Kind,
    stand::{
        PATIENCE, Stand, checkout, checkout_with, condition, message, outcomes, post, post_by_gate,
        scope, step,
    },
};

/// One step whose requests the shop knows by the saga's name, tried so often.
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

/// The keys under which the shop was asked, in order.
fn keys(stand: &Stand, saga: &Saga) -> Vec<String> {
    stand.shop.entries(Some(&scope(saga))).into_iter().map(|entry| entry.key).collect()
}

/// How long a step's action took from its first intent to its last outcome.
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
    // The silent one had its two seconds, and not much more.
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
    // `maxDelay` is 100 ms: the shop's word counts for more.
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
    // No answer came yet: the three are under way at once.
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

/// A checkout whose card is charged with a token from a Secret, by an account of its own.
pub fn checkout_with_token() -> Value {
    let mut spec = checkout_with(&json!({"serviceAccountName": "order-saga"}));
    spec["steps"][1]["http"]["headers"] = json!([{
        "name": "Authorization",
        "valueFrom": {"secretKeyRef": {"name": "payments", "key": "token"}},
    }]);
    spec["steps"][1]["retry"] =
        json!({"maxAttempts": 1000, "backoff": {"type": "None", "initialDelay": "200ms"}});
    // What comes of a Secret that is missing when the step runs.
    spec["steps"][1]["precheck"] = json!("Skip");
    spec
}

fn payments(key: &str, token: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "payments"},
        "stringData": {key: token},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_may_not_be_read_fails_the_step_and_the_missing_right_is_named() {
    let mut stand = Stand::new("forbidden").await;
    stand.put(&payments("token", "Bearer sample")).await;
    stand
        .put(&json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "order-saga"},
        }))
        .await;
    stand.start();
    stand.apply("not-bound", &checkout_with_token()).await;
    let saga = stand.reaches("not-bound", SagaPhase::Failed).await;
    assert!(
        message(&saga).contains("the operator may not impersonate system:serviceaccount:"),
        "{}",
        message(&saga)
    );
    let names = stand.apply_example("service-account.yaml").await;
    assert!(names.contains(&"order-saga".to_owned()));
    stand
        .take_back(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "order-saga"},
        }))
        .await;
    // The API server's authorizer learns of roles a moment later: until then the old answer is as
    // good.
    let told = async {
        loop {
            let name = format!("no-role-{}", Timestamp::now().as_millisecond());
            stand.apply(&name, &checkout_with_token()).await;
            let phase = |saga: &Saga| saga.status.as_ref().and_then(|status| status.phase);
            let ended =
                |saga: &Saga| matches!(phase(saga), Some(SagaPhase::Failed | SagaPhase::Completed));
            let saga = stand.until(&name, "ended", ended).await;
            if message(&saga).contains("may not get secrets") {
                return saga;
            }
        }
    };
    let saga = timeout(PATIENCE, told).await.expect("the right that was taken back is still there");
    assert!(
        message(&saga).contains("give the account a Role with that right"),
        "{}",
        message(&saga)
    );
    // Nothing was sent: nothing of the step is to be undone.
    stand
        .patch(
            saga.metadata.name.as_deref().unwrap(),
            &json!({"spec": {"onFailure": "Compensate"}}),
        )
        .await
        .unwrap();
    stand.reaches(saga.metadata.name.as_deref().unwrap(), SagaPhase::Compensated).await;
    let summary = stand.shop.summary(&scope(&saga));
    assert_eq!(
        (summary.done, summary.undone),
        (vec!["reserve-stock".to_owned()], vec!["reserve-stock".to_owned()])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_or_a_key_that_is_missing_is_waited_for() {
    let mut stand = Stand::new("missing").await;
    stand.apply_example("service-account.yaml").await;
    stand.start();
    stand.apply("order", &checkout_with_token()).await;
    let says = |text: &'static str| move |saga: &Saga| message(saga).contains(text);
    stand
        .until("order", "waiting for the Secret", says("the secret \"payments\" does not exist"))
        .await;
    stand.put(&payments("password", "Bearer sample")).await;
    stand.until("order", "waiting for the key", says("has no key \"token\"")).await;
    stand.put(&payments("token", "Bearer sample")).await;
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    // What never left the operator does not move the key.
    let charge = stand
        .shop
        .entries(Some(&scope(&saga)))
        .into_iter()
        .find(|entry| entry.step == "charge-card")
        .unwrap();
    assert_eq!(charge.key, format!("{}/charge-card/action/0", scope(&saga)));
    assert!(outcomes(&saga, "charge-card").len() >= 2 && charge.kind == Kind::Done);
    assert!(took(&saga, "charge-card") < SignedDuration::try_from(Duration::from_mins(2)).unwrap());
}
