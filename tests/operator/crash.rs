//! Tests that kill the operator at any moment: nothing is done twice, and nothing is lost.

use std::{collections::BTreeMap, time::Duration};

use saga_operator::api::{Direction, Outcome, Saga, SagaPhase};
use serde_json::{Value, json};

use crate::{
    shop::{Entry, Kind},
    stand::{Stand, scope},
};

/// The number of times that the operator is killed.
const ROUNDS: u64 = 20;
/// The number of namespaces, each with its own operator, that share the rounds.
const LANES: u64 = 4;
/// The number of times that the operator is asked to stop.
const STOPS: u64 = 12;

/// Runs twenty checkouts. Half of them fail at the last step and are undone. In each checkout the
/// operator is killed once, at a moment that the seed chooses. The ledger of the shop is checked.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_a_random_moment_of_a_checkout_nothing_is_done_twice_and_nothing_is_lost() {
    let seed = seed();
    let lanes = (0..LANES).map(|lane| {
        tokio::spawn(async move {
            let mut stand = Stand::with_pods("crash").await;
            stand.apply_example("service-account.yaml").await;
            stand.apply_example("payments-secret.yaml").await;
            stand.start();
            for round in (0..ROUNDS).filter(|round| round % LANES == lane) {
                one_round(&mut stand, seed, round).await;
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.unwrap();
    }
}

async fn one_round(stand: &mut Stand, seed: u64, round: u64) {
    let fails = round % 2 == 1;
    let name = format!("order-{round}");
    // Each call takes a while, so that many of the chosen moments fall into a call.
    stand
        .shop
        .behave(&json!([{"match": {}, "then": [{"delay": "150ms", "forever": true}]}]))
        .unwrap();
    stand.apply(&name, &checkout(fails)).await;
    let moment = Duration::from_millis(scramble(seed, round) % 4000);
    println!(
        "round {round}: killed after {moment:?}, {}",
        if fails { "fails" } else { "completes" }
    );
    // The sleep chooses the moment of the kill. It does not wait for anything.
    tokio::time::sleep(moment).await;
    stand.kill();
    stand.start();
    let saga = stand
        .reaches(&name, if fails { SagaPhase::Compensated } else { SagaPhase::Completed })
        .await;
    judge(stand, &saga, fails);
}

/// Runs sagas of one and of many short calls while the operator is asked to stop repeatedly. Every
/// call ends and is recorded, and no call is made twice. No call has a second attempt: a lost
/// outcome would show as a failed saga.
#[tokio::test(flavor = "multi_thread")]
async fn asked_to_stop_at_any_moment_the_operator_loses_no_outcome() {
    let seed = seed();
    let mut stand = Stand::new("stops").await;
    stand
        .shop
        .behave(&json!([{"match": {}, "then": [{"delay": "50ms", "forever": true}]}]))
        .unwrap();
    let call = json!({"method": "POST", "url": "SHOP/mail/messages", "body": {}});
    let chain: Vec<_> =
        (0..STOPS).map(|nth| json!({"name": format!("step-{nth}"), "http": call})).collect();
    stand.apply("chain", &json!({"steps": chain})).await;
    let mut names = vec!["chain".to_owned()];
    for round in 0..STOPS {
        stand.start();
        // The saga below starts after this wait: when its first intent is written, possibly no
        // other call is in flight.
        stand.meanwhile(&format!("started-{round}")).await;
        let name = format!("single-{round}");
        stand.apply(&name, &json!({"steps": [{"name": "step-0", "http": call}]})).await;
        names.push(name);
        // The sleep chooses the moment of the stop. It does not wait for anything.
        tokio::time::sleep(Duration::from_millis(scramble(seed, round) % 40)).await;
        stand.ask_to_stop();
        assert_eq!(stand.stopped().await, Some(0));
    }
    stand.start();
    for name in &names {
        let saga = stand.reaches(name, SagaPhase::Completed).await;
        let entries = stand.shop.entries(Some(&scope(&saga)));
        assert!(
            entries.len() == saga.spec.steps.len()
                && entries.iter().all(|entry| entry.kind == Kind::Done),
            "{name}: {entries:?}"
        );
    }
}

/// Asserts that the ledger is correct: either everything is done, or everything is undone in
/// reverse order. A call is repeated only after an Unknown outcome, and with the same key.
pub fn judge(stand: &Stand, saga: &Saga, fails: bool) {
    let scope = scope(saga);
    let summary = stand.shop.summary(&scope);
    assert!(summary.done_twice.is_empty() && summary.faults.is_empty(), "{summary:?}");
    if fails {
        assert!(summary.in_effect.is_empty(), "{summary:?}");
        assert_eq!(summary.undone, ["charge-card", "reserve-stock"], "{summary:?}");
    } else {
        assert_eq!(summary.done, ["reserve-stock", "charge-card", "ship"], "{summary:?}");
        assert!(summary.undone.is_empty(), "{summary:?}");
    }
    let mut calls: BTreeMap<(String, bool), Vec<Entry>> = BTreeMap::new();
    for entry in stand.shop.entries(Some(&scope)) {
        calls
            .entry((entry.step.clone(), entry.direction == Direction::Compensation))
            .or_default()
            .push(entry);
    }
    for ((step, undo), entries) in calls {
        let repeats = entries.iter().filter(|entry| entry.kind == Kind::Repeat).count();
        let status =
            saga.status.as_ref().unwrap().steps.iter().find(|status| status.name == step).unwrap();
        let record = if undo { &status.compensation } else { &status.action };
        let unknown = record
            .as_ref()
            .unwrap()
            .attempts
            .iter()
            .filter(|attempt| attempt.outcome == Outcome::Unknown)
            .count();
        assert!(
            repeats <= unknown,
            "{step} was called {} times with {unknown} unknown outcomes: {entries:?}",
            entries.len()
        );
    }
}

/// Returns a checkout whose last step is a Pod. If `fails` is set, the Pod fails and the checkout
/// is undone.
pub fn checkout(fails: bool) -> Value {
    let call = |path: &str| {
        json!({
            "method": "POST", "url": format!("SHOP{path}"), "body": {"order": "7"},
        })
    };
    let ship = "wget -q -O - --header \"Idempotency-Key: $SAGA_IDEMPOTENCY_KEY\" --header \
        \"Saga-Attempt: $SAGA_ATTEMPT\" --post-data '{}' SHOP/shipping/shipments";
    let ship = if fails { "exit 1" } else { ship };
    json!({
        "onFailure": "Compensate",
        "defaults": {
            "retry": {"maxAttempts": 5, "backoff": {"initialDelay": "100ms", "maxDelay": "500ms"}},
            "compensationRetry": {
                "maxAttempts": 20, "backoff": {"initialDelay": "100ms", "maxDelay": "500ms"},
            },
        },
        "steps": [
            {
                "name": "reserve-stock", "http": call("/stock/reservations"),
                "compensation": {"http": call("/stock/releases")},
            },
            {
                "name": "charge-card", "dependsOn": ["reserve-stock"],
                "http": call("/payments/charges"),
                "compensation": {"http": call("/payments/refunds")},
            },
            {
                "name": "ship", "dependsOn": ["charge-card"],
                "retry": {"maxAttempts": if fails { 1 } else { 3 }}, "compensateFailed": false,
                "pod": {"image": "saga.dev/examples/busybox:1", "command": ["/bin/sh", "-c", ship]},
            },
        ],
    })
}

/// Returns the seed that chooses the moments. The seed is printed, so that a failed run can be
/// repeated with it.
pub fn seed() -> u64 {
    let seed = std::env::var("SAGA_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| u64::from(std::process::id()));
    println!("SAGA_TEST_SEED={seed}");
    seed
}

/// Returns a number that depends only on the seed and the round.
pub fn scramble(seed: u64, round: u64) -> u64 {
    // SplitMix64's finaliser: Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
    // OOPSLA 2014.
    let mut mixed = seed.wrapping_add(round.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
