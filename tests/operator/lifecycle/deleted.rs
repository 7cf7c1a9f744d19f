//! Tests of sagas that are deleted: they are undone before the object is removed, or the finalizer
//! is removed without compensation.

use saga_operator::api::{RequestResult, SagaPhase, StepPhase, names::FINALIZER};
use serde_json::{Value, json};

use super::{assert_ledger, checkout_in_the_middle, note, refuse, to_strings};
use crate::stand::{Stand, checkout, checkout_with, message, scope};

#[tokio::test(flavor = "multi_thread")]
async fn a_running_saga_that_is_deleted_is_undone_before_it_goes() {
    let mut stand = Stand::new("delete").await;
    stand.start();
    let names = ["running", "suspended", "paused"];
    for name in names {
        let saga = stand.apply(name, &checkout_in_the_middle()).await;
        stand.shop_has_done(&saga, "charge-card").await;
    }
    stand.patch("suspended", &json!({"spec": {"suspend": true}})).await.unwrap();
    stand.ask("paused", "saga.dev/pause=wait");
    for name in ["suspended", "paused"] {
        stand.reaches(name, SagaPhase::Paused).await;
    }
    for name in names {
        stand.delete(name).await;
        let saga = stand
            .until(name, "told of its deletion", |saga| {
                message(saga).contains("deleted: active attempts settle")
            })
            .await;
        assert_eq!(saga.metadata.finalizers.as_deref(), Some([FINALIZER.to_owned()].as_slice()));
        assert_ledger(&stand, &saga, &["reserve-stock", "charge-card"], &[]);
    }
    // A pause does not delay a deletion.
    stand.ask("running", "saga.dev/pause=wait");
    let refusal = stand.answer("running", 1).await;
    assert_eq!(
        (refusal.result, refusal.message.as_str()),
        (RequestResult::Refused, "the saga is being deleted, and a pause does not stop a deletion")
    );
    let sagas =
        futures::future::join_all(names.map(async |name| stand.sagas().get(name).await.unwrap()))
            .await;
    stand.gate.open();
    for saga in sagas {
        stand.gone(saga.metadata.name.as_deref().unwrap()).await;
        assert_ledger(
            &stand,
            &saga,
            &["reserve-stock", "charge-card"],
            &["charge-card", "reserve-stock"],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_that_is_deleted_while_it_waits_to_try_again_is_undone_at_once() {
    let mut stand = Stand::new("waiting").await;
    stand
        .shop
        .behave(&json!([{
            "match": {"service": "payments", "direction": "action"},
            "then": [{"answer": 503, "forever": true}],
        }]))
        .unwrap();
    stand.start();
    let mut spec = checkout();
    spec["steps"][1]["retry"] =
        json!({"maxAttempts": 3, "backoff": {"initialDelay": "1h", "maxDelay": "1h"}});
    let saga = stand.apply("order", &spec).await;
    stand.step_reaches("order", "charge-card", StepPhase::Retrying).await;
    stand.delete("order").await;
    stand.gone("order").await;
    // The charge may have happened, so it is undone too.
    let calls: Vec<_> =
        stand.shop.entries(Some(&scope(&saga))).into_iter().map(|entry| entry.path).collect();
    assert_eq!(
        calls,
        ["/stock/reservations", "/payments/charges", "/payments/refunds", "/stock/releases"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_that_waits_for_a_person_or_a_while_is_undone_at_once_when_it_is_deleted() {
    let mut stand = Stand::new("waits").await;
    stand.start();
    for (name, waits) in
        [("approval", json!({"approval": {}})), ("wait", json!({"wait": {"for": "1h"}}))]
    {
        let saga = stand.apply(name, &checkout_that_waits(waits)).await;
        stand.step_reaches(name, "release", StepPhase::Waiting).await;
        stand.remove(name).await;
        assert_ledger(
            &stand,
            &saga,
            &["reserve-stock", "charge-card"],
            &["charge-card", "reserve-stock"],
        );
    }
}

/// Returns the checkout with a waiting step before the shipment.
fn checkout_that_waits(waits: Value) -> Value {
    let (mut spec, mut release) = (checkout(), waits);
    release["name"] = json!("release");
    release["dependsOn"] = json!(["charge-card"]);
    spec["steps"][2]["dependsOn"] = json!(["release"]);
    spec["steps"].as_array_mut().unwrap().insert(2, release);
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_deleted_waits_until_its_sagas_are_undone() {
    let mut stand = Stand::new("namespace").await;
    refuse(&stand, "shipping", "action");
    stand.start();
    stand.apply("held", &checkout()).await;
    stand.apply("asking", &checkout_that_waits(json!({"approval": {}}))).await;
    let sagas = [
        stand.reaches("held", SagaPhase::Failed).await,
        stand.step_reaches("asking", "release", StepPhase::Waiting).await,
    ];
    stand.kubectl(&["delete", "namespace", &stand.namespace, "--wait=true", "--timeout=60s"]);
    for saga in sagas {
        assert_ledger(
            &stand,
            &saga,
            &["reserve-stock", "charge-card"],
            &["charge-card", "reserve-stock"],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_deleted_takes_along_what_only_a_pod_could_undo() {
    let mut stand = Stand::new("namespace-pod").await;
    stand.start();
    let mut spec = checkout_that_waits(json!({"approval": {}}));
    spec["steps"][1]["compensation"] =
        json!({"pod": {"image": "saga.dev/examples/busybox:1", "command": ["true"]}});
    let saga = stand.apply("asking", &spec).await;
    stand.step_reaches("asking", "release", StepPhase::Waiting).await;
    stand.kubectl(&["delete", "namespace", &stand.namespace, "--wait=true", "--timeout=60s"]);
    // Nothing can be created in the namespace any more. The log names what could not be undone,
    // since no event can be written either.
    assert_ledger(&stand, &saga, &["reserve-stock", "charge-card"], &[]);
    stand.logs("still in effect: reserve-stock, charge-card").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_that_ended_goes_at_once_and_nothing_is_undone() {
    let mut stand = Stand::new("ended").await;
    stand.start();
    stand.apply("completed", &checkout()).await;
    let completed = stand.reaches("completed", SagaPhase::Completed).await;
    stand.delete("completed").await;
    stand.gone("completed").await;
    stand.meanwhile("other").await;
    assert_ledger(&stand, &completed, &["reserve-stock", "charge-card", "ship"], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_saga_that_is_deleted_is_undone_or_abandoned_or_past_its_pivot_let_go() {
    let mut stand = Stand::new("leave").await;
    refuse(&stand, "shipping", "action");
    stand.start();
    let mut past_pivot = checkout();
    past_pivot["steps"][1]["pivot"] = json!(true);
    stand.apply("held", &checkout()).await;
    stand.apply("abandoned", &checkout_with(&json!({"deletionPolicy": "Abandon"}))).await;
    stand.apply("past-pivot", &past_pivot).await;
    for name in ["held", "abandoned", "past-pivot"] {
        stand.reaches(name, SagaPhase::Failed).await;
    }
    let done = ["reserve-stock", "charge-card"];
    for (name, undone, words) in [
        ("held", ["charge-card", "reserve-stock"].as_slice(), None),
        (
            "abandoned",
            &[],
            Some(
                "deletionPolicy is Abandon: the saga is deleted without an undo; still in effect: \
                 reserve-stock, charge-card",
            ),
        ),
        (
            "past-pivot",
            &[],
            Some(
                "the pivot is passed, so nothing can be undone: the saga is deleted without an \
                 undo; still in effect: reserve-stock, charge-card",
            ),
        ),
    ] {
        let saga = stand.sagas().get(name).await.unwrap();
        stand.delete(name).await;
        stand.gone(name).await;
        assert_ledger(&stand, &saga, &done, undone);
        if let Some(words) = words {
            let event = stand.event(name, "Abandoned").await;
            assert_eq!((event.type_.as_deref(), note(&event)), (Some("Warning"), words), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_that_cannot_be_undone_waits_under_its_deletion_until_it_is_abandoned() {
    let mut stand = Stand::new("stuck").await;
    let refused = |service, direction| {
        json!({
            "match": {"service": service, "direction": direction},
            "then": [{"answer": 422, "forever": true}],
        })
    };
    stand
        .shop
        .behave(&json!([refused("shipping", "action"), refused("payments", "compensation")]))
        .unwrap();
    stand.start();
    // The refund is refused. The release of the stock depends on the refund. The mail does not
    // depend on it, so the mail is undone.
    let mut spec = checkout_with(&json!({"onFailure": "Compensate"}));
    let mail = json!({
        "name": "greet", "http": crate::stand::post("/mail/messages"),
        "compensation": {"http": crate::stand::post("/mail/retractions")},
    });
    spec["steps"].as_array_mut().unwrap().insert(0, mail);
    stand.apply("order", &spec).await;
    let failed = stand.reaches("order", SagaPhase::CompensationFailed).await;
    assert_ledger(&stand, &failed, &["greet", "reserve-stock", "charge-card"], &["greet"]);
    assert_eq!(
        failed.status.as_ref().unwrap().still_in_effect.as_deref(),
        Some(to_strings(&["reserve-stock", "charge-card"]).as_slice())
    );
    assert!(
        message(&failed).contains("step charge-card could not be undone"),
        "{}",
        message(&failed)
    );
    stand.delete("order").await;
    stand.meanwhile("other").await;
    let waits = stand.sagas().get("order").await.unwrap();
    assert_eq!(waits.status.as_ref().unwrap().phase, Some(SagaPhase::CompensationFailed));
    stand.patch("order", &json!({"spec": {"deletionPolicy": "Abandon"}})).await.unwrap();
    stand.gone("order").await;
    let event = stand.event("order", "Abandoned").await;
    assert_eq!(
        note(&event),
        "deletionPolicy is Abandon: the saga is deleted without an undo; still in effect: \
         reserve-stock, charge-card"
    );
}
