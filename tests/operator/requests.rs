//! Tests of requests by annotation, as users and Git make them: with kubectl, on a real API server.

mod manifests;
mod refused;

use saga_operator::api::{HANDLED, RequestResult, Saga, SagaPhase, StepPhase, json::as_stored};
use serde_json::{Value, json};

use crate::stand::{
    Stand, checkout, checkout_with, message, records, scope, step, still_in_effect,
};

pub const RETRY: &str = "saga.dev/retry";

/// Starts the operator and returns a stand whose checkout failed because the shop refuses its
/// cards.
pub async fn held(name: &str) -> Stand {
    let mut stand = Stand::new(name).await;
    stand.start();
    decline(&stand);
    stand.apply("order", &checkout()).await;
    stand.reaches("order", SagaPhase::Failed).await;
    stand
}

pub fn decline(stand: &Stand) {
    stand
        .shop
        .behave(&json!([{
            "match": {"service": "payments"}, "then": [{"answer": 402, "forever": true}],
        }]))
        .unwrap();
}

pub fn repair(stand: &Stand) {
    stand.shop.behave(&json!([])).unwrap();
}

pub fn annotation<'a>(saga: &'a Saga, key: &str) -> Option<&'a str> {
    saga.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// Waits until this many requests are answered and no annotation of them is left to be removed.
/// Returns the saga.
pub async fn answered(stand: &Stand, count: i64) -> Saga {
    let newest = |saga: &Saga| records(saga).last().map(|record| record.number);
    stand
        .until("order", &format!("at request {count}"), move |saga| newest(saga) == Some(count))
        .await
}

/// Waits until the saga's annotation says that plain requests up to this number are handled.
pub async fn taken_away(stand: &Stand, handled: &str) -> Saga {
    stand
        .until("order", &format!("handled up to {handled}"), |saga| {
            annotation(saga, HANDLED) == Some(handled)
        })
        .await
}

/// Returns the manifest of the checkout with these annotations, as Git would contain it.
pub fn manifest(stand: &Stand, annotations: &Value) -> Value {
    let text = checkout().to_string().replace("SHOP", &format!("http://{}", stand.shop_address));
    let metadata =
        json!({"name": "order", "namespace": stand.namespace, "annotations": annotations});
    json!({
        "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "metadata": metadata,
        "spec": serde_json::from_str::<Value>(&text).unwrap(),
    })
}

/// Returns the number of HTTP requests that asked for the charge.
pub fn charges(stand: &Stand, saga: &Saga) -> usize {
    stand
        .shop
        .entries(Some(&scope(saga)))
        .iter()
        .filter(|entry| entry.step == "charge-card")
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_mends_the_shop_and_retries_with_kubectl_alone() {
    let stand = held("retry").await;
    repair(&stand);
    stand.kubectl(&["annotate", "saga/order", "saga.dev/retry=charge-card"]);
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    taken_away(&stand, "1").await;
    assert_eq!(stand.shop.summary(&scope(&saga)).done, ["reserve-stock", "charge-card", "ship"]);
    assert_eq!(step(&saga, "charge-card").action.as_ref().unwrap().attempt, 2);
    let [record] = records(&saga) else { panic!("{:?}", records(&saga)) };
    assert_eq!(
        (record.number, record.result, record.value.as_str()),
        (1, RequestResult::Accepted, "charge-card")
    );
    let event = stand.event("order", "RequestAccepted").await;
    assert_eq!(
        event.note.unwrap(),
        "saga.dev/retry=charge-card: step charge-card is tried again now, with a fresh budget"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_command_given_again_is_carried_out_again() {
    let stand = held("again").await;
    for times in 1..=3 {
        stand.kubectl(&["annotate", "saga/order", "saga.dev/retry=charge-card"]);
        let saga = taken_away(&stand, &times.to_string()).await;
        assert_eq!(annotation(&saga, RETRY), None);
        let failed = |saga: &Saga| {
            step(saga, "charge-card")
                .action
                .as_ref()
                .is_some_and(|action| action.attempts.len() == times + 1)
        };
        let saga = stand.until("order", "failed again", failed).await;
        assert_eq!((records(&saga).len(), charges(&stand, &saga)), (times, times + 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_skipped_lets_the_saga_go_on() {
    let stand = held("skip").await;
    stand.kubectl(&["annotate", "saga/order", "saga.dev/skip=charge-card"]);
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    assert_eq!(step(&saga, "charge-card").phase, StepPhase::Skipped);
    assert_eq!(stand.shop.summary(&scope(&saga)).done, ["reserve-stock", "ship"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_skipped_with_the_outputs_it_would_have_had() {
    let stand = held("outputs").await;
    let most = "n".repeat(5000);
    for (number, value, says) in [
        (1, r#"charge-card={"charge":"#, "the outputs are no JSON"),
        (
            2,
            "charge-card=[7]",
            "the outputs are no JSON object: write one step and its outputs as a JSON object, \
             such as saga.dev/skip=ship=",
        ),
        (3, r#"charge-card,ship={"charge":7}"#, "outputs are given for one step at a time"),
        (
            4,
            &format!(r#"charge-card={{"charge":"{most}"}}"#),
            "the outputs of a step may have at most 4096 bytes",
        ),
    ] {
        stand.ask("order", &format!("saga.dev/skip={value}"));
        let refusal = stand.answer("order", number).await;
        assert!(
            refusal.result == RequestResult::Refused && refusal.message.starts_with(says),
            "{refusal:?}"
        );
    }
    let outputs = json!({
        "charge": "C-1", "cents": 4990.0, "void": null, "of": [{"a=b,c@d": 1e300}], "none": {},
    });
    stand.ask("order", &format!("saga.dev/skip=charge-card={outputs}"));
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    let skipped = step(&saga, "charge-card");
    // The outputs are stored as the request gave them, in the form in which the API server returns
    // them.
    let stored = as_stored(outputs);
    assert_eq!(stored["cents"].to_string(), "4990");
    assert_eq!(
        (skipped.phase, serde_json::to_value(&skipped.outputs).unwrap()),
        (StepPhase::Skipped, stored)
    );
    assert!(
        skipped
            .message
            .as_deref()
            .unwrap()
            .starts_with("skipped by request, after attempt 1 failed: the service answered 402")
    );
    assert_eq!(
        stand.kubectl(&["get", "saga/order", "-o", "jsonpath={.status.steps[1].outputs.charge}"]),
        "C-1"
    );
    assert_eq!(stand.shop.summary(&scope(&saga)).done, ["reserve-stock", "ship"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_that_failed_is_tried_again_after_the_shop_is_mended_or_left_in_effect() {
    let mut stand = Stand::new("undo-again").await;
    stand.start();
    let no = |service, direction| {
        json!({
            "match": {"service": service, "direction": direction},
            "then": [{"answer": 422, "forever": true}],
        })
    };
    stand.shop.behave(&json!([no("shipping", "action"), no("payments", "compensation")])).unwrap();
    for name in ["order", "left"] {
        stand.apply(name, &checkout_with(&json!({"onFailure": "Compensate"}))).await;
        let stuck = stand.reaches(name, SagaPhase::CompensationFailed).await;
        assert_eq!(still_in_effect(&stuck), ["reserve-stock", "charge-card"]);
        assert!(
            message(&stuck).contains(&format!(
                "To try again: kubectl annotate --overwrite saga/{name} saga.dev/retry=charge-card"
            )),
            "{stuck:?}"
        );
    }
    // The cause is not corrected yet: the compensation fails again, under the next number.
    stand.ask("order", "saga.dev/retry=charge-card");
    stand.answer("order", 1).await;
    let again = |saga: &Saga| {
        step(saga, "charge-card")
            .compensation
            .as_ref()
            .is_some_and(|record| record.attempts.len() == 2)
    };
    stand.until("order", "refused again", again).await;
    stand.reaches("order", SagaPhase::CompensationFailed).await;
    repair(&stand);
    stand.ask("order", "saga.dev/retry=*");
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    assert_eq!(
        (still_in_effect(&saga), step(&saga, "charge-card").compensation.as_ref().unwrap().attempt),
        (vec![], 3)
    );
    assert_eq!(stand.shop.summary(&scope(&saga)).undone, ["charge-card", "reserve-stock"]);
    stand.is_let_go("order").await;
    stand.ask("left", "saga.dev/skip=charge-card");
    let saga = stand.reaches("left", SagaPhase::Compensated).await;
    assert_eq!(
        (still_in_effect(&saga), step(&saga, "charge-card").phase),
        (vec!["charge-card"], StepPhase::CompensationSkipped)
    );
    assert_eq!(stand.shop.summary(&scope(&saga)).undone, ["reserve-stock"]);
    stand.is_let_go("left").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_saga_and_a_completed_one_are_undone_on_request() {
    let stand = held("undo").await;
    stand.kubectl(&["annotate", "saga/order", "saga.dev/compensate=the customer called"]);
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    assert_eq!(stand.shop.summary(&scope(&saga)).undone, ["reserve-stock"]);
    assert!(
        message(&saga).contains("the undo was requested: the customer called"),
        "{}",
        message(&saga)
    );
    repair(&stand);
    stand.apply("second", &checkout()).await;
    let unguarded = |saga: &Saga| saga.metadata.finalizers.as_ref().is_none_or(Vec::is_empty);
    stand.reaches("second", SagaPhase::Completed).await;
    stand.until("second", "without its finalizer", unguarded).await;
    stand.kubectl(&["annotate", "saga/second", "saga.dev/compensate=returned"]);
    let saga = stand.reaches("second", SagaPhase::Compensated).await;
    assert_eq!(stand.shop.summary(&scope(&saga)).undone, ["ship", "charge-card", "reserve-stock"]);
    stand.until("second", "without its finalizer", unguarded).await;
}
