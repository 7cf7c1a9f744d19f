//! Tests of steps that only wait, for an approval or for a time: how a user learns that an approval
//! is wanted, and what the answer causes.

use saga_operator::api::{Outcome, RequestResult, Saga, SagaPhase, StepPhase};
use serde_json::{Value, json};

use crate::stand::{
    Stand, checkout_with, condition, message, outcomes, post, records, scope, step, still_in_effect,
};

/// Returns a checkout that asks for an approval between the charge and the shipment.
fn checkout_with_approval(more: &Value) -> Value {
    let mut spec = checkout_with(more);
    let steps = spec["steps"].as_array_mut().unwrap();
    steps[2]["dependsOn"] = json!(["release"]);
    steps.insert(
        2,
        json!({
            "name": "release", "dependsOn": ["charge-card"],
            "approval": {"message": "is the parcel packed?"},
        }),
    );
    spec
}

/// Starts the operator and returns a saga that waits for an approval.
async fn asking(name: &str, more: &Value) -> (Stand, Saga) {
    let mut stand = Stand::new(name).await;
    stand.start();
    stand.apply("order", &checkout_with_approval(more)).await;
    let saga = stand.step_reaches("order", "release", StepPhase::Waiting).await;
    (stand, saga)
}

/// Returns the number of events that say that the saga awaits an approval.
async fn times_asked(stand: &Stand) -> usize {
    stand
        .events("order")
        .await
        .iter()
        .filter(|event| event.reason.as_deref() == Some("AwaitingApproval"))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_types_what_the_event_says_and_the_saga_goes_on() {
    let (stand, saga) = asking("approve", &json!({})).await;
    assert_eq!(
        ["Ready", "Reconciling", "Stalled"].map(|kind| condition(&saga, kind)),
        ["Unknown/AwaitingApproval", "True/AwaitingApproval", ""]
    );
    let status = saga.status.as_ref().unwrap();
    assert_eq!(
        (status.phase, status.current_steps.as_deref()),
        (Some(SagaPhase::Running), Some("release"))
    );
    let command = format!(
        "kubectl annotate --overwrite saga/order saga.dev/approve=release -n {}",
        stand.namespace
    );
    let says = format!(
        "step release waits for approval (is the parcel packed?). To approve: {command}. Or \
         annotate saga.dev/reject=release to reject"
    );
    let event = stand.event("order", "AwaitingApproval").await;
    assert_eq!(
        (event.type_.as_deref(), event.note.as_deref(), message(&saga)),
        (Some("Normal"), Some(says.as_str()), says.as_str())
    );
    // An approval without a time limit needs no later reconcile: the saga is not written again.
    stand.meanwhile("other").await;
    assert_eq!(
        stand.sagas().get("order").await.unwrap().metadata.resource_version,
        saga.metadata.resource_version
    );
    let words: Vec<_> = command.split(' ').skip(1).collect();
    stand.kubectl(&words);
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    assert_eq!(stand.shop.summary(&scope(&saga)).done, ["reserve-stock", "charge-card", "ship"]);
    assert_eq!(
        (outcomes(&saga, "release"), step(&saga, "release").phase),
        (vec![Outcome::Succeeded], StepPhase::Completed)
    );
    let answer = stand.answer("order", 1).await;
    assert_eq!(
        (answer.result, answer.message.as_str()),
        (RequestResult::Accepted, "step release is approved")
    );
    assert_eq!(times_asked(&stand).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_rejected_is_held_or_undone_as_the_saga_says() {
    let (stand, _) = asking("reject", &json!({})).await;
    stand.ask("order", "saga.dev/reject=release");
    let held = stand.reaches("order", SagaPhase::Failed).await;
    assert_eq!(condition(&held, "Stalled"), "True/StepFailed");
    assert!(
        message(&held).starts_with(
            "step release failed: attempt 1 failed: rejected by request. The saga waits for you"
        ),
        "{held:?}"
    );
    assert_eq!(
        stand.shop.summary(&scope(&held)).undone,
        [""; 0],
        "a person decides what becomes of it"
    );
    // The user asks for a retry of the rejected step: the step asks again and is approved.
    stand.ask("order", "saga.dev/retry=release");
    stand.step_reaches("order", "release", StepPhase::Waiting).await;
    stand.ask("order", "saga.dev/approve=release");
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    assert_eq!(outcomes(&saga, "release"), [Outcome::Failed, Outcome::Succeeded]);
    stand.answer("order", 3).await;
    assert_eq!(times_asked(&stand).await, 2);
    drop(stand);

    let (stand, _) = asking("reject", &json!({"onFailure": "Compensate"})).await;
    stand.ask("order", "saga.dev/reject=release");
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    assert_eq!(stand.shop.summary(&scope(&saga)).undone, ["charge-card", "reserve-stock"]);
    assert_eq!((still_in_effect(&saga), step(&saga, "release").phase), (vec![], StepPhase::Failed));
    assert!(
        message(&saga).contains("rejected by request; everything that was done is undone"),
        "{}",
        message(&saga)
    );
    stand.is_let_go("order").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_stays_answerable_in_a_held_saga_and_is_withdrawn_where_it_turns_back() {
    let mut stand = Stand::new("beside").await;
    stand.start();
    stand
        .shop
        .behave(&json!([{
            "match": {"service": "payments", "direction": "action"},
            "then": [{"answer": 422, "forever": true}],
        }]))
        .unwrap();
    let spec = |more: &Value| {
        let mut spec = checkout_with(&json!({"maxParallel": 2}));
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec["steps"].as_array_mut().unwrap().insert(0, json!({"name": "release", "approval": {}}));
        spec
    };
    stand.apply("held", &spec(&json!({}))).await;
    stand.apply("undone", &spec(&json!({"onFailure": "Compensate"}))).await;
    let undone = stand.reaches("undone", SagaPhase::Compensated).await;
    let release = step(&undone, "release");
    assert_eq!(
        (release.phase, release.message.as_deref(), still_in_effect(&undone)),
        (StepPhase::Pending, Some("not reached"), vec![])
    );
    stand.ask("undone", "saga.dev/approve=release");
    let refusal = stand.answer("undone", 1).await;
    assert_eq!(
        (refusal.result, refusal.message.as_str()),
        (
            RequestResult::Refused,
            "the saga is Compensated: approve is allowed while it is Running, Paused and Failed"
        )
    );
    let held = stand.reaches("held", SagaPhase::Failed).await;
    assert!(
        message(&held)
            .contains("Besides, step release waits for approval. To approve: kubectl annotate"),
        "{}",
        message(&held)
    );
    stand.ask("held", "saga.dev/approve=charge-card");
    let refusal = stand.answer("held", 1).await;
    let says = "step charge-card is Failed; approve is allowed for steps that are Waiting for an \
        approval: now release";
    assert_eq!((refusal.result, refusal.message.as_str()), (RequestResult::Refused, says));
    stand.ask("held", "saga.dev/approve=release");
    let saga = stand.step_reaches("held", "release", StepPhase::Completed).await;
    assert_eq!(
        saga.status.as_ref().unwrap().phase,
        Some(SagaPhase::Failed),
        "one answer does not mend another step"
    );
    stand.shop.behave(&json!([])).unwrap();
    stand.ask("held", "saga.dev/retry=charge-card");
    stand.reaches("held", SagaPhase::Completed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_nobody_gives_within_its_time_fails_its_step_also_across_a_restart() {
    let mut stand = Stand::new("nobody").await;
    stand.start();
    let steps = |timeout: &str| {
        json!({
            "steps": [
                {"name": "release", "timeout": timeout, "approval": {}},
                {"name": "mail", "http": post("/mail/messages"), "dependsOn": ["release"]},
            ],
        })
    };
    stand.apply("late", &steps("3s")).await;
    stand.apply("order", &steps("1h")).await;
    for name in ["late", "order"] {
        stand.step_reaches(name, "release", StepPhase::Waiting).await;
        // The event follows the status write. If the process is killed before the event is sent,
        // the event is lost.
        stand.event(name, "AwaitingApproval").await;
    }
    stand.kill();
    stand.ask("order", "saga.dev/approve=release@2026-11-24");
    stand.start();
    let saga = stand.reaches("late", SagaPhase::Failed).await;
    assert!(message(&saga).contains("no answer within its time limit"), "{}", message(&saga));
    let attempt = &step(&saga, "release").action.as_ref().unwrap().attempts[0];
    assert!(
        attempt.settled_at.0.duration_since(attempt.started_at.0).as_millis() >= 3000,
        "{attempt:?}"
    );
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    assert_eq!(
        (records(&saga).len(), times_asked(&stand).await),
        (1, 1),
        "nobody is asked again because an operator began anew"
    );
    assert_eq!(stand.shop.summary(&scope(&saga)).done, ["mail"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_lets_its_time_pass_and_not_less_also_across_a_restart() {
    let mut stand = Stand::new("while").await;
    stand.start();
    let steps = json!([
        {
            "name": "cool-down", "wait": {"for": "3s"},
            "compensation": {"http": post("/mail/retractions")},
        },
        {"name": "mail", "dependsOn": ["cool-down"], "http": post("/mail/messages")},
    ]);
    stand.apply("order", &json!({"steps": steps})).await;
    let waiting = stand.step_reaches("order", "cool-down", StepPhase::Waiting).await;
    assert!(message(&waiting).starts_with("step cool-down waits until 2"), "{}", message(&waiting));
    assert_eq!(condition(&waiting, "Ready"), "Unknown/Running", "nobody is asked for anything");
    stand.kill();
    stand.start();
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    let [attempt] = step(&saga, "cool-down").action.as_ref().unwrap().attempts.as_slice() else {
        panic!("{saga:?}")
    };
    assert_eq!(attempt.outcome, Outcome::Succeeded);
    assert!(
        attempt.settled_at.0.duration_since(attempt.started_at.0).as_millis() >= 3000,
        "{attempt:?}"
    );
    assert_eq!(stand.shop.entries(Some(&scope(&saga))).len(), 1);
}
