//! Tests that one namespace which does all harm that it can keeps no saga of another namespace from
//! its end, neither while the operator runs nor after its restart.

use saga_operator::api::{Saga, SagaPhase};
use serde_json::{Value, json};

use crate::{
    shop::Entry,
    stand::{Stand, checkout, condition, message, post_by_gate},
    unreadable,
};

/// The sagas of each kind in the hostile namespace.
const REFUSED: usize = 10;
const LARGE: usize = 10;
const HASTY: usize = 4;
const PATIENT: usize = 3;
/// The steps of a saga that is refused. Each is one trial.
const TRIALS: usize = 40;
/// The steps that a hasty or a patient saga runs at once.
const EACH: usize = 16;
/// The most HTTP requests of one namespace that may be in flight to one host.
const MAX_CALLS_PER_HOST: usize = 32;
/// The orders of the other namespace, before the restart and after it.
const ORDERS: usize = 5;

/// A saga whose steps the API server refuses one by one: their account does not exist.
fn refused() -> Value {
    let step = |nth| {
        json!({
            "name": format!("step-{nth}"), "pod": {"image": "none", "args": [format!("{nth}")]},
        })
    };
    let steps: Vec<_> = (0..TRIALS).map(step).collect();
    json!({"serviceAccountName": "nobody", "steps": steps})
}

/// A saga of more than 1 MiB.
fn large() -> Value {
    let mut spec = checkout();
    spec["params"]["filler"] = json!("x".repeat(1 << 20));
    spec
}

/// A saga whose requests meet a closed port and are to be tried again at once, and for ever.
fn hasty() -> Value {
    let backoff = json!({"type": "None", "initialDelay": "1ns"});
    let http = json!({"method": "POST", "url": "http://127.0.0.9:9/orders"});
    steps(&http, &json!({"retry": {"maxAttempts": 1_000_000, "backoff": backoff}}))
}

/// A saga whose requests get no answer.
fn patient() -> Value {
    steps(&post_by_gate("/mail/messages"), &json!({"timeout": "1h"}))
}

/// A saga that does the same in many steps at once.
fn steps(http: &Value, defaults: &Value) -> Value {
    let steps: Vec<_> =
        (0..EACH).map(|nth| json!({"name": format!("step-{nth}"), "http": http})).collect();
    json!({"maxParallel": EACH, "defaults": defaults, "steps": steps})
}

/// Has the orders of one round run to their end.
async fn orders(stand: &Stand, round: &str) {
    for nth in 0..ORDERS {
        stand.apply(&format!("{round}-{nth}"), &checkout()).await;
    }
    for nth in 0..ORDERS {
        stand.reaches(&format!("{round}-{nth}"), SagaPhase::Completed).await;
    }
}

/// Checks that no step began more attempts than the floors of the delays allow in this time.
fn kept_its_floors(saga: &Saga) {
    let status = saga.status.as_ref().unwrap();
    let started = status.started_at.as_ref().unwrap().0;
    let now = jiff::Timestamp::now();
    let seconds = now.duration_since(started).as_secs();
    for step in &status.steps {
        let attempts = step.action.as_ref().map_or(0, |action| action.attempt);
        // The first three attempts are less than a second apart.
        assert!(attempts <= seconds + 4, "{}: {attempts} in {seconds} s", step.name);
    }
}

/// Checks that 32 requests wait for their answers, and that the saga with the others says so.
async fn one_patient_saga_waits_for_its_turn(hostile: &Stand) {
    let as_many_as_may_be = |entries: &[Entry]| entries.len() >= MAX_CALLS_PER_HOST;
    hostile.shop_sees("as many calls as may be in flight", as_many_as_may_be).await;
    let mut messages = Vec::new();
    for nth in 0..PATIENT {
        let told = |saga: &Saga| !message(saga).is_empty();
        let saga = hostile.until(&format!("patient-{nth}"), "looked at", told).await;
        messages.push(message(&saga).to_owned());
    }
    let waits = |told: &&String| told.contains("from this namespace are in flight");
    let waiting = messages.iter().filter(waits).count();
    assert_eq!(waiting, PATIENT - MAX_CALLS_PER_HOST / EACH, "{messages:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_does_all_harm_at_once_holds_up_no_order_of_another_one() {
    let mut quiet = Stand::new("quiet").await;
    let hostile = Stand::new("hostile").await;
    unreadable::poison_all(&hostile).await;
    for (kind, count, spec) in [
        ("refused", REFUSED, refused()),
        ("large", LARGE, large()),
        ("hasty", HASTY, hasty()),
        ("patient", PATIENT, patient()),
    ] {
        for nth in 0..count {
            hostile.apply(&format!("{kind}-{nth}"), &spec).await;
        }
    }
    quiet.start_beside(&hostile);
    orders(&quiet, "first").await;
    one_patient_saga_waits_for_its_turn(&hostile).await;
    // The next start reads all of it again.
    quiet.kill();
    quiet.start_beside(&hostile);
    orders(&quiet, "again").await;
    assert!(quiet.lives());

    let large = hostile.until("large-0", "refused", |saga| !message(saga).is_empty()).await;
    assert_eq!(condition(&large, "Accepted"), "False/InvalidSpec");
    let told = |saga: &Saga| condition(saga, "Accepted").starts_with("False");
    let refused = hostile.until("refused-0", "refused", told).await;
    assert!(message(&refused).contains("were not tried"), "{}", message(&refused));
    for nth in 0..HASTY {
        let name = format!("hasty-{nth}");
        let under_way =
            |saga: &Saga| saga.status.as_ref().is_some_and(|status| status.started_at.is_some());
        kept_its_floors(&hostile.until(&name, "under way", under_way).await);
    }
}
