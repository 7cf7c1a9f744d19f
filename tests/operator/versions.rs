//! Tests of two versions at work: this operator and a later one (`src/api/next.rs`), this
//! definition and a later one, in every order.
//!
//! All tests share one definition. The tests that change the definition take turns, and they only
//! add to it.

mod every_phase;
mod served;
mod unknown;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use kube::{Api, ResourceExt, api::DynamicObject};
use saga_operator::api::{SagaPhase, StepPhase, StoredSaga};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use self::served::Served;
use crate::stand::{PATIENCE, Stand, ask, condition, message, post, scope};

/// The time in which nothing may be written if there is nothing to write. A wrong write would
/// happen within this time.
const QUIET: Duration = Duration::from_mins(1);

/// Returns the saga as it is stored, including the parts that this version does not know.
async fn raw(stand: &Stand, name: &str) -> Value {
    let sagas: Api<DynamicObject> =
        stand.api_of(&json!({"apiVersion": "saga.dev/v1alpha1", "kind": "Saga"}));
    serde_json::to_value(sagas.get(name).await.unwrap()).unwrap()
}

/// Waits until a stored saga satisfies a condition.
async fn stored(stand: &Stand, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let reached = async {
        loop {
            let saga = raw(stand, name).await;
            if wanted(&saga) {
                return saga;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{name} is not {what}"))
}

fn noted(saga: &Value) -> Option<&str> {
    saga.pointer("/status/noted").and_then(Value::as_str)
}

/// Returns the value of a counter of an operator.
async fn counted(operator: SocketAddr, series: &str) -> usize {
    let text = ask(operator, "/metrics").await;
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0, |number| number.trim().parse().unwrap())
}

async fn writes(operators: &[SocketAddr]) -> usize {
    let mut sum = 0;
    for operator in operators {
        sum += counted(*operator, "saga_status_writes_total{result=\"ok\"}").await;
    }
    sum
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_before_its_definition_takes_no_new_saga_and_writes_nothing_again_and_again() {
    let _served = Served::by_this_version().await;
    let mut stand = Stand::new("first").await;
    stand.start();
    let waits = json!({"steps": [{"name": "sign-off", "approval": {}}]});
    stand.apply("accepted", &waits).await;
    stand.apply("paused", &waits).await;
    stand.reaches("accepted", SagaPhase::Running).await;
    stand.step_reaches("paused", "sign-off", StepPhase::Waiting).await;
    stand.ask("paused", "saga.dev/pause=later");
    stand.reaches("paused", SagaPhase::Paused).await;
    stand.stop().await;
    let next = stand.start_next();
    stand.apply("new", &waits).await;
    let refused = stand
        .until("new", "refused", |saga| condition(saga, "Accepted") == "False/DefinitionTooOld")
        .await;
    assert!(
        message(&refused).contains("(status.noted): apply the definition of version"),
        "{}",
        message(&refused)
    );
    stand.event("new", "DefinitionTooOld").await;
    // A saga that was accepted continues. The operator writes what the API server removes at most
    // once.
    let before = writes(&[next]).await;
    sleep(QUIET / 4).await;
    let written = writes(&[next]).await - before;
    assert!(written <= 2, "what is taken away is written again and again: {written} writes");
    stand.ask("accepted", "saga.dev/approve=sign-off");
    stand.reaches("accepted", SagaPhase::Completed).await;
    assert_eq!(noted(&raw(&stand, "accepted").await), None);
    Served::advance();
    stored(&stand, "new", "accepted", |saga| noted(saga) == Some("Running")).await;
    stand.ask("new", "saga.dev/approve=sign-off");
    stand.reaches("new", SagaPhase::Completed).await;
    assert_eq!(
        stand.reaches("paused", SagaPhase::Paused).await.status.unwrap().accepted_by.as_deref(),
        Some(env!("CARGO_PKG_VERSION"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_version_accepted_goes_on_although_this_one_would_refuse_it() {
    let mut stand = Stand::new("accepted").await;
    let early = json!({"steps": [
        {"name": "first", "when": "steps.second.phase != \
            'Failed'", "http": post("/stock/reservations")},
        {"name": "second", "dependsOn": ["first"], "http": post("/payments/charges")},
    ]});
    stand.apply("new", &early).await;
    let old = stand.apply("old", &early).await;
    // The status is as the earlier version left it.
    let hash = serde_json::from_value::<StoredSaga>(json!(old)).unwrap().spec_hash;
    let steps =
        json!([{"name": "first", "phase": "Pending"}, {"name": "second", "phase": "Pending"}]);
    let accepted = json!({
        "phase": "Running", "specHash": hash, "startedAt": "2026-01-01T00:00:00.000000Z",
        "steps": steps,
    });
    stand.patch_status("old", &accepted).await.unwrap();
    stand.start();
    stand.until("new", "refused", |saga| condition(saga, "Accepted") == "False/InvalidSpec").await;
    let saga = stand.reaches("old", SagaPhase::Completed).await;
    assert_eq!(stand.shop.summary(&scope(&saga)).done, ["first", "second"]);
    let told = stand.event("old", "SpecDoubted").await;
    assert!(told.note.unwrap().contains("spec.steps[0].when: "));
    let counts: BTreeMap<_, usize> =
        stand.events("old").await.into_iter().fold(BTreeMap::new(), |mut counts, event| {
            *counts.entry(event.reason.unwrap_or_default()).or_default() += 1;
            counts
        });
    assert_eq!(counts.get("SpecDoubted"), Some(&1), "{counts:?}");
    assert_eq!(old.name_any(), "old");
}
