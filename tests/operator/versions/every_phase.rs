//! Tests of sagas in every phase while two versions take turns.

use saga_operator::api::{Saga, SagaPhase, StepPhase};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{QUIET, noted, raw, served::Served, stored, writes};
use crate::{
    shop::Kind,
    stand::{Stand, checkout, checkout_with, post, post_by_gate, scope},
};

/// The number of sagas on which two versions work.
const SAGAS: usize = 50;

/// The most writes of a saga in a minute in which nothing happens: each version writes its own
/// message once, and again after a minute.
const REWORDED: usize = 4;

/// A kind of saga: the phase that it reaches automatically or after the requests in `asks`, and the
/// requests and the phase of its end.
struct Act {
    name: &'static str,
    spec: Value,
    asks: &'static [&'static str],
    stands: SagaPhase,
    ends: (&'static [&'static str], SagaPhase),
}

/// Returns all kinds, in their order.
fn acts() -> Vec<Act> {
    [ended_or_asking(), calling_or_suspended()].into_iter().flatten().collect()
}

fn act(
    name: &'static str,
    spec: Value,
    asks: &'static [&'static str],
    stands: SagaPhase,
    ends: (&'static [&'static str], SagaPhase),
) -> Act {
    Act { name, spec, asks, stands, ends }
}

/// Returns a step that can be undone.
fn one() -> Value {
    json!({
        "name": "charge-card", "http": post("/payments/charges"),
        "compensation": {"http": post("/payments/refunds")},
    })
}

/// Returns the same step with this compensation and this retry of the compensation.
fn undone_by(http: &Value, retry: &Value) -> Value {
    json!({
        "name": "charge-card", "http": post("/payments/charges"),
        "compensation": {"http": http, "retry": retry},
    })
}

/// Returns a step that asks for an approval, and fails if no answer arrives within one second.
fn gives_up() -> Value {
    json!({"name": "sign-off", "dependsOn": ["charge-card"], "approval": {}, "timeout": "1s"})
}

/// Returns the kinds that end automatically, or after an approval.
fn ended_or_asking() -> Vec<Act> {
    use SagaPhase as P;

    let (one, gives_up) = (one(), gives_up());
    let waits = json!({"name": "sign-off", "dependsOn": ["charge-card"], "approval": {}});
    vec![
        act("completed", checkout(), &[], P::Completed, (&[], P::Completed)),
        act(
            "approval",
            json!({"steps": [one, waits]}),
            &[],
            P::Running,
            (&["saga.dev/approve=sign-off"], P::Completed),
        ),
        act(
            "failed",
            json!({"steps": [one, gives_up]}),
            &[],
            P::Failed,
            (&["saga.dev/skip=sign-off"], P::Completed),
        ),
        act(
            "undone",
            json!({"onFailure": "Compensate", "steps": [one, gives_up]}),
            &[],
            P::Compensated,
            (&[], P::Compensated),
        ),
        act(
            "held",
            json!({"steps": [one, gives_up]}),
            &[],
            P::Failed,
            (&["saga.dev/compensate=enough"], P::Compensated),
        ),
        act(
            "paused",
            json!({"steps": [one, waits]}),
            &["saga.dev/pause=later"],
            P::Paused,
            (&["saga.dev/cancel=enough"], P::Cancelled),
        ),
        act(
            "cancelled",
            json!({"steps": [one, waits]}),
            &["saga.dev/cancel=enough"],
            P::Cancelled,
            (&[], P::Cancelled),
        ),
    ]
}

/// Returns the kinds whose HTTP request is not answered, and the kind that is suspended from the
/// beginning.
fn calling_or_suspended() -> Vec<Act> {
    use SagaPhase as P;

    let (one, gives_up) = (one(), gives_up());
    let never = json!({"method": "POST", "url": "http://127.0.0.1:1/"});
    let far = json!({"maxAttempts": 9, "backoff": {"initialDelay": "1h", "maxDelay": "1h"}});
    vec![
        act(
            "retrying",
            json!({
                "steps": [
                    one,
                    {"name": "send", "dependsOn": ["charge-card"], "http": never, "retry": far},
                ],
            }),
            &[],
            P::Running,
            (&["saga.dev/skip=send"], P::Completed),
        ),
        act(
            "compensating",
            json!({"onFailure": "Compensate", "steps": [undone_by(&never, &far), gives_up]}),
            &[],
            P::Compensating,
            (&["saga.dev/cancel=enough"], P::Cancelled),
        ),
        act(
            "not-undone",
            json!({
                "onFailure": "Compensate",
                "steps": [undone_by(&never, &json!({"maxAttempts": 1})), gives_up],
            }),
            &[],
            P::CompensationFailed,
            (&["saga.dev/skip=charge-card"], P::Compensated),
        ),
        act(
            "calling",
            json!({
                "steps": [{
                    "name": "charge-card", "timeout": "5m", "retry": {"maxAttempts": 9},
                    "http": post_by_gate("/payments/charges"),
                }],
            }),
            &[],
            P::Running,
            (&[], P::Completed),
        ),
        act(
            "suspended",
            checkout_with(&json!({"suspend": true})),
            &[],
            P::Paused,
            (&["saga.dev/cancel=enough"], P::Cancelled),
        ),
    ]
}

/// Returns whether a saga waits in the state of its kind. A saga on its way to that state does not
/// count.
fn stands(act: &Act, saga: &Saga) -> bool {
    let Some(status) = &saga.status else { return false };
    let steps = |wanted: &[StepPhase]| status.steps.iter().any(|step| wanted.contains(&step.phase));
    let there = match act.name {
        "approval" | "paused" => steps(&[StepPhase::Waiting]),
        "retrying" => steps(&[StepPhase::Retrying]),
        "compensating" => steps(&[StepPhase::Compensating]),
        _ => true,
    };
    there && status.phase == Some(act.stands)
}

/// Applies sagas, and waits until each is in the state of its kind.
async fn bring(stand: &Stand, names: &[(String, &Act)]) {
    for (name, act) in names {
        stand.apply(name, &act.spec).await;
    }
    for (name, act) in names.iter().filter(|(_, act)| !act.asks.is_empty()) {
        stand.step_reaches(name, "sign-off", StepPhase::Waiting).await;
        act.asks.iter().for_each(|request| stand.ask(name, request));
    }
    for (name, act) in names {
        stand.until(name, act.name, |saga| stands(act, saga)).await;
    }
}

/// Brings sagas to their ends.
async fn end(stand: &Stand, names: &[&(String, &Act)]) {
    for (name, act) in names {
        act.ends.0.iter().for_each(|request| stand.ask(name, request));
    }
    for (name, act) in names {
        stand.reaches(name, act.ends.1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_sagas_in_every_phase_go_on_whichever_version_works() {
    let _served = Served::by_this_version().await;
    let mut stand = Stand::new("versions").await;
    let this = stand.start_measured();
    let acts = acts();
    let names: Vec<_> = (0..SAGAS)
        .map(|nth| (format!("{}-{nth}", acts[nth % acts.len()].name), &acts[nth % acts.len()]))
        .collect();
    bring(&stand, &names).await;
    // First the definition changes. Then both versions run at once.
    Served::advance();
    let next = stand.start_next();
    let unfinished: Vec<_> = names.iter().filter(|(_, act)| !act.stands.is_terminal()).collect();
    for (name, act) in &unfinished {
        stored(&stand, name, "noted by the later version", |saga| {
            noted(saga) == Some(act.stands.as_str())
        })
        .await;
    }
    let before = writes(&[this, next]).await;
    sleep(QUIET).await;
    let written = writes(&[this, next]).await - before;
    println!("two versions wrote {written} times to {SAGAS} sagas in {QUIET:?}");
    assert!(written <= REWORDED * SAGAS, "they write again and again: {written} writes");
    // An HTTP request in flight while both versions run is finished by one of them.
    stand.gate.open();
    for (name, _) in names.iter().filter(|(_, act)| act.name == "calling") {
        stand.reaches(name, SagaPhase::Completed).await;
    }
    // Rolled forward: the later version alone brings every second saga to its end.
    stand.stop().await;
    let of = |half: usize| {
        unfinished
            .iter()
            .enumerate()
            .filter(move |(nth, _)| nth % 2 == half)
            .map(|(_, one)| *one)
            .collect::<Vec<_>>()
    };
    end(&stand, &of(0)).await;
    // Rolled back, with the definition last: this version brings the other sagas to their ends, and
    // loses nothing that the later version wrote.
    stand.stop_second().await;
    stand.start();
    end(&stand, &of(1)).await;
    for (name, act) in &names {
        let saga = raw(&stand, name).await;
        let looked = !act.stands.is_terminal();
        assert_eq!(noted(&saga).is_some(), looked, "{name} lost what the later version wrote");
        let entries = stand.shop.entries(Some(&scope(&stand.sagas().get(name).await.unwrap())));
        assert!(
            entries
                .iter()
                .all(|entry| matches!(entry.kind, Kind::Done | Kind::Undone | Kind::Repeat)),
            "{name}: {entries:?}"
        );
    }
    Served::go_back();
    stand.meanwhile("after-all").await;
}
