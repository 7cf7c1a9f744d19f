//! Requests that the operator itself calls off after they left: nobody can tell what they did, and
//! no author pays for it.

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, api::DeleteParams};
use saga_operator::api::{DirectionStatus, Outcome, Saga, SagaPhase};
use serde_json::{Value, json};

use crate::{
    shop::Kind,
    stand::{Stand, outcomes, post_by_gate, scope, step, still_in_effect},
};

/// What ends the requests under way.
#[derive(Clone, Copy, PartialEq)]
enum Blow {
    /// Somebody deletes the Lease of the operator.
    Lapse,
    /// SIGTERM, and no answer comes for as long as it waits.
    Stop,
    /// SIGKILL.
    Kill,
}

/// A charge that is tried so often; its answer is kept back.
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

/// The calls of a saga, as the shop saw them.
fn calls(stand: &Stand, saga: &Saga) -> Vec<Kind> {
    stand.shop.entries(Some(&scope(saga))).into_iter().map(|entry| entry.kind).collect()
}

/// Somebody deletes the Lease under which the saga's request was sent.
async fn lapse(stand: &Stand, saga: &str) {
    let executor = action(&stand.sagas().get(saga).await.unwrap())
        .active
        .and_then(|active| active.executor)
        .unwrap();
    let leases: Api<Lease> = Api::namespaced(stand.client.clone(), "saga-system");
    leases.delete(&format!("saga-executor-{executor}"), &DeleteParams::default()).await.unwrap();
}

/// Two charges, one that may be tried once and one that may be tried twice, are under way when this
/// happens. Returns both when the second one is under way again and the first one has failed.
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
        // A shop without keys would have charged once, as the shop that knows them.
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
