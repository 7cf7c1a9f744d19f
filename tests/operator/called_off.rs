//! Tests of HTTP requests that the operator itself aborts after they were sent: the outcome is
//! unknown, and the attempt does not count against the retry budget of the author.

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, api::DeleteParams};
use saga_operator::api::{DirectionStatus, Outcome, Saga, SagaPhase};
use serde_json::{Value, json};

use crate::{
    shop::Kind,
    stand::{Stand, outcomes, post_by_gate, scope, step, still_in_effect},
};

/// The event that ends the HTTP requests in flight.
#[derive(Clone, Copy, PartialEq)]
enum Blow {
    /// Somebody deletes the Lease of the operator.
    Lapse,
    /// SIGTERM; no answer arrives before the drain time ends.
    Stop,
    /// SIGKILL.
    Kill,
}

/// Returns a saga with one charge that has this many attempts. The gate keeps back the answer.
fn charge(attempts: u32) -> Value {
    let retry =
        json!({"maxAttempts": attempts, "backoff": {"initialDelay": "50ms", "maxDelay": "200ms"}});
    json!({
        "steps": [{
            "name": "charge-card", "retry": retry, "http": post_by_gate("/payments/charges"),
        }],
    })
}

fn action(saga: &Saga) -> DirectionStatus {
    step(saga, "charge-card").action.clone().unwrap()
}

/// Returns the kinds of a saga's calls, in the order in which the shop received them.
fn calls(stand: &Stand, saga: &Saga) -> Vec<Kind> {
    stand.shop.entries(Some(&scope(saga))).into_iter().map(|entry| entry.kind).collect()
}

/// Deletes the Lease under which the HTTP request of the saga was sent.
async fn lapse(stand: &Stand, saga: &str) {
    let executor = action(&stand.sagas().get(saga).await.unwrap())
        .active
        .and_then(|active| active.executor)
        .unwrap();
    let leases: Api<Lease> = Api::namespaced(stand.client.clone(), "saga-system");
    leases.delete(&format!("saga-executor-{executor}"), &DeleteParams::default()).await.unwrap();
}

/// Starts two charges, with one attempt and with two attempts, and causes the event `blow` while
/// both are in flight. Returns both sagas when the second charge is in flight again and the first
/// one has failed.
async fn struck(name: &str, blow: Blow) -> (Stand, Saga, Saga) {
    let mut stand = Stand::new(name).await;
    stand.start_draining("1s");
    for (saga, attempts) in [("once", 1), ("twice", 2)] {
        let saga = stand.apply(saga, &charge(attempts)).await;
        stand.shop_has_done(&saga, "charge-card").await;
    }
    match blow {
        Blow::Lapse => lapse(&stand, "once").await,
        Blow::Stop => {
            stand.ask_to_stop();
            assert_eq!(stand.stopped().await, Some(0));
            stand.start();
        }
        Blow::Kill => {
            stand.kill();
            stand.start();
        }
    }
    let under_way_again = |saga: &Saga| action(saga).attempt == 2 && action(saga).active.is_some();
    let twice = stand.until("twice", "under way again", under_way_again).await;
    let once = stand.reaches("once", SagaPhase::Failed).await;
    (stand, once, twice)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_calls_off_costs_nothing_where_it_may_be_repeated_or_is_sent_once() {
    for (name, blow) in [("lapse", Blow::Lapse), ("stop", Blow::Stop)] {
        let (stand, once, twice) = struck(name, blow).await;
        assert_eq!((action(&twice).budget_used, action(&twice).called_off), (1, 1), "{name}");
        stand.gate.open();
        let twice = stand.reaches("twice", SagaPhase::Completed).await;
        assert_eq!(outcomes(&twice, "charge-card"), [Outcome::Unknown, Outcome::Succeeded]);
        assert_eq!(calls(&stand, &twice), [Kind::Done, Kind::Repeat], "under the same key");
        // A shop that does not know idempotency keys would also have charged the card once.
        assert_eq!(
            (outcomes(&once, "charge-card"), calls(&stand, &once)),
            (vec![Outcome::Unknown], vec![Kind::Done]),
            "{name}"
        );
        stand.ask("once", "saga.dev/cancel=enough");
        assert_eq!(
            still_in_effect(&stand.reaches("once", SagaPhase::Cancelled).await),
            ["charge-card"]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_leaves_that_is_killed_uses_its_attempt_up() {
    let (stand, once, twice) = struck("killed", Blow::Kill).await;
    assert_eq!((action(&twice).budget_used, action(&twice).called_off), (2, 0));
    stand.gate.open();
    stand.reaches("twice", SagaPhase::Completed).await;
    assert_eq!(
        (outcomes(&once, "charge-card"), calls(&stand, &once)),
        (vec![Outcome::Unknown], vec![Kind::Done])
    );
}
