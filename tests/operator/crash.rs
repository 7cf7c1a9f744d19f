//! The operator is killed at any moment: nothing is done twice, nothing is lost.

use std::{collections::BTreeMap, time::Duration};

use saga_operator::api::{Direction, Outcome, Saga, SagaPhase};
use serde_json::{Value, json};

use crate::{
    shop::{Entry, Kind},
    stand::{Stand, scope},
};

/// How often the operator is killed.
const ROUNDS: u64 = 20;
/// Namespaces, each with an operator of its own, that share the rounds.
const LANES: u64 = 4;
/// How often the operator is asked to stop.
const STOPS: u64 = 12;

/// Twenty checkouts, half of which fail at the last step and are undone; in each the operator is
/// killed once, at a moment that the seed chooses. The ledger judges.
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
    // Calls take a while, so that many moments lie inside one.
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
    // The moment is the perturbation, not a wait for something.
    tokio::time::sleep(moment).await;
    stand.kill();
    stand.start();
    let saga = stand
        .reaches(&name, if fails { SagaPhase::Compensated } else { SagaPhase::Completed })
        .await;
    judge(stand, &saga, fails);
}

/// Sagas of one and of many short calls, while the operator is asked to stop again and again: every
/// call ends and is recorded, none is made twice. No call has a second attempt: an outcome that is
/// lost shows as a failed saga.
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
        // A saga's first intent is written while nothing else may be under way.
        stand.meanwhile(&format!("started-{round}")).await;
        let name = format!("single-{round}");
        stand.apply(&name, &json!({"steps": [{"name": "step-0", "http": call}]})).await;
        names.push(name);
        // The moment is the perturbation, not a wait for something.
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

/// The ledger is right: all done, or all undone in reverse order; a call was repeated only after an
/// Unknown, with the same key.
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

/// A checkout whose last step is a Pod; it fails there at will, and is undone.
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

/// What chooses the moments; a failed run can be repeated with it.
pub fn seed() -> u64 {
    let seed = std::env::var("SAGA_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| u64::from(std::process::id()));
    println!("SAGA_TEST_SEED={seed}");
    seed
}

/// A number that the seed and the round choose.
pub fn scramble(seed: u64, round: u64) -> u64 {
    // SplitMix64's finaliser: Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
    // OOPSLA 2014.
    let mut mixed = seed.wrapping_add(round.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
