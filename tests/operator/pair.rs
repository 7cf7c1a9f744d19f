//! Tests of two operators that work on the same sagas. One of them may freeze or die.
//!
//! `SAGA_TEST_SEED` chooses the moments and is printed. The same seed gives the same moments.

use std::time::Duration;

use saga_operator::api::{Outcome, RequestResult, Saga, SagaPhase, StepPhase};
use serde_json::json;

use crate::{
    crash::{checkout, judge, scramble, seed},
    shop::Kind,
    stand::{Stand, post, post_by_gate, records, scope, still_in_effect},
};

/// The number of times that an operator is frozen, and for how long: well beyond the term of every
/// Lease.
const FREEZES: u64 = 10;
const FROZEN: Duration = Duration::from_secs(20);
/// The number of times that an operator is killed.
const KILLS: u64 = 20;
/// The number of checkouts that two healthy operators run.
const CHECKOUTS: u64 = 20;
/// The number of times that each kind of request is made of two healthy operators.
const REQUESTS: usize = 5;
/// The number of rounds that run in parallel, each with its own operators.
const LANES: u64 = 5;

/// What happens to the first operator after a while.
#[derive(Clone, Copy)]
enum Blow {
    Freeze,
    Kill,
}

/// Runs rounds in parallel. In each round, the event `blow` happens to one of two operators at a
/// random moment of a checkout.
async fn rounds(blow: Blow, count: u64) {
    let seed = seed();
    let lanes = (0..LANES).map(|lane| {
        tokio::spawn(async move {
            let mut stand = Stand::with_pods(&format!("pair-{lane}")).await;
            stand.start();
            stand.start_second();
            stand.meanwhile("both-are-awake").await;
            for round in (0..count).filter(|round| round % LANES == lane) {
                one_round(&mut stand, blow, seed, round).await;
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.unwrap();
    }
}

async fn one_round(stand: &mut Stand, blow: Blow, seed: u64, round: u64) {
    let fails = round % 2 == 1;
    let name = format!("order-{round}");
    // Each call takes a while, so that many of the chosen moments fall into a call.
    stand
        .shop
        .behave(&json!([{"match": {}, "then": [{"delay": "150ms", "forever": true}]}]))
        .unwrap();
    stand.apply(&name, &checkout(fails)).await;
    let moment = Duration::from_millis(scramble(seed, round) % 3000);
    println!("round {round}: after {moment:?}, {}", if fails { "fails" } else { "completes" });
    // The sleeps choose the moment and the length of the event. They do not wait for anything.
    tokio::time::sleep(moment).await;
    match blow {
        Blow::Kill => {
            stand.kill();
            stand.start();
        }
        Blow::Freeze => {
            stand.freeze();
            tokio::time::sleep(FROZEN).await;
            stand.thaw();
        }
    }
    stand.reaches(&name, if fails { SagaPhase::Compensated } else { SagaPhase::Completed }).await;
    // The operator that resumed has had the time to do something wrong.
    stand.meanwhile(&format!("after-{round}")).await;
    let saga = stand.sagas().get(&name).await.unwrap();
    judge(stand, &saga, fails);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_freezes_and_wakes_up_beside_another_one_does_nothing_twice() {
    rounds(Blow::Freeze, FREEZES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_killed_beside_another_one_loses_nothing_and_nothing_is_done_twice() {
    rounds(Blow::Kill, KILLS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_healthy_operators_call_nothing_twice() {
    let mut stand = Stand::with_pods("healthy").await;
    stand.start();
    stand.start_second();
    stand.meanwhile("both-are-awake").await;
    let fails = |nth: u64| nth % 2 == 1;
    for nth in 0..CHECKOUTS {
        stand.apply(&format!("order-{nth}"), &checkout(fails(nth))).await;
    }
    for nth in 0..CHECKOUTS {
        let phase = if fails(nth) { SagaPhase::Compensated } else { SagaPhase::Completed };
        let saga = stand.reaches(&format!("order-{nth}"), phase).await;
        judge(&stand, &saga, fails(nth));
        let entries = stand.shop.entries(Some(&scope(&saga)));
        assert!(
            entries.iter().all(|entry| matches!(entry.kind, Kind::Done | Kind::Undone)),
            "{entries:?}"
        );
        assert!(outcomes(&saga).all(|outcome| outcome != Outcome::Unknown), "{saga:?}");
    }
}

/// Both operators see every request at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn two_operators_act_once_on_each_request() {
    let mut stand = Stand::new("asked").await;
    stand.start();
    stand.start_second();
    stand.meanwhile("both-are-awake").await;
    let charge = json!({
        "name": "charge-card", "http": post_by_gate("/payments/charges"),
        "compensation": {"http": post("/payments/refunds")},
    });
    let mail = json!({"name": "mail", "dependsOn": ["release"], "http": post("/mail/messages")});
    let approved = json!({"steps": [{"name": "release", "approval": {}}, mail]});
    for round in 0..REQUESTS {
        let [approve, pause, cancel] =
            ["approve", "pause", "cancel"].map(|action| format!("{action}-{round}"));
        stand.apply(&approve, &approved).await;
        stand.apply(&pause, &json!({"steps": [{"name": "nap", "wait": {"for": "1h"}}]})).await;
        let charged = stand.apply(&cancel, &json!({"steps": [charge]})).await;
        for (name, step) in [(&approve, "release"), (&pause, "nap")] {
            stand.step_reaches(name, step, StepPhase::Waiting).await;
        }
        stand.shop_has_done(&charged, "charge-card").await;
        stand.ask(&approve, "saga.dev/approve=release");
        stand.ask(&pause, "saga.dev/pause=wait");
        stand.ask(&cancel, "saga.dev/cancel=enough");
        let saga = stand.reaches(&approve, SagaPhase::Completed).await;
        let calls: Vec<_> =
            stand.shop.entries(Some(&scope(&saga))).into_iter().map(|entry| entry.kind).collect();
        assert_eq!(calls, [Kind::Done]);
        stand.reaches(&pause, SagaPhase::Paused).await;
        let saga = stand.reaches(&cancel, SagaPhase::Cancelled).await;
        assert_eq!(
            (outcomes(&saga).collect::<Vec<_>>(), still_in_effect(&saga)),
            (vec![Outcome::Unknown], vec!["charge-card"])
        );
        // The slower operator has had the time to perform the request a second time.
        stand.meanwhile(&format!("after-{round}")).await;
        for name in [&approve, &pause, &cancel] {
            let answer = stand.answer(name, 1).await;
            assert_eq!(answer.result, RequestResult::Accepted, "{answer:?}");
            assert_eq!(records(&stand.sagas().get(name).await.unwrap()).len(), 1, "{name}");
            let told = stand
                .events(name)
                .await
                .iter()
                .filter(|event| event.reason.as_deref() == Some("RequestAccepted"))
                .count();
            assert_eq!(told, 1, "{name}");
        }
        assert_eq!(stand.shop.entries(Some(&scope(&charged))).len(), 1);
    }
}

/// Returns the outcomes of all attempts of a saga.
fn outcomes(saga: &Saga) -> impl Iterator<Item = Outcome> {
    let steps = saga.status.iter().flat_map(|status| &status.steps);
    let records = steps.flat_map(|step| [&step.action, &step.compensation]).flatten();
    records.flat_map(|record| &record.attempts).map(|attempt| attempt.outcome)
}
