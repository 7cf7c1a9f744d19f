//! Tests of mistakes by users and of edits by hand: each mistake affects its own saga only, and the
//! message says what to do.

use kube::{
    ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use saga_operator::api::{Saga, SagaPhase};
use serde_json::{Value, json};

use crate::stand::{Stand, checkout, checkout_with, condition, message, scope};

/// Creates the checkout suspended, and waits until the saga is paused before its first step.
async fn suspended(stand: &Stand, name: &str, spec: Value) -> Saga {
    let mut spec = spec;
    spec["suspend"] = json!(true);
    stand.apply(name, &spec).await;
    stand.reaches(name, SagaPhase::Paused).await
}

/// Waits until a saga is stalled for a reason.
async fn stalls(stand: &Stand, name: &str, reason: &str) -> Saga {
    let wanted = format!("True/{reason}");
    stand
        .until(name, &format!("stalled for {reason}"), |saga| condition(saga, "Stalled") == wanted)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_saga_is_refused_when_it_is_applied_with_a_hint_what_to_write() {
    let stand = Stand::new("refused").await;
    let with = |pointer: &str, value: Value| {
        let mut spec = checkout();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        spec.pointer_mut(parent).unwrap()[field] = value;
        spec
    };
    let stories = [
        (
            with("/steps/1/dependsOn", json!(["reserve-stok"])),
            "dependsOn may name only steps that stand above it in the list",
        ),
        (
            with("/steps/0/dependsOn", json!(["ship"])),
            "dependsOn may name only steps that stand above it in the list",
        ),
        (
            with("/steps/0/pod", json!({"image": "a"})),
            "a step has exactly one action: set one of pod, job, http, apply, delete, approval, \
             wait and saga",
        ),
        (with("/steps/0/retry", json!({"maxAttempts": 0})), "spec.steps[0].retry.maxAttempts"),
        (with("/steps/0/timeout", json!("ninety")), "spec.steps[0].timeout"),
        (with("/steps/0/timeout", json!("0s")), "spec.steps[0].timeout"),
        (
            with("/steps/0/http/url", json!("stock.shop.svc")),
            "must begin with http:// or https:// and a host",
        ),
        (with("/maxParallel", json!(65)), "spec.maxParallel"),
        (json!({"steps": []}), "spec.steps"),
    ];
    for (spec, words) in stories {
        let refusal = stand.try_apply("order", &spec).await.expect_err(words).to_string();
        assert!(refusal.contains(words), "{words}: {refusal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_that_nobody_meant_is_not_accepted_and_no_other_saga_suffers() {
    let mut stand = Stand::new("invalid").await;
    stand.start();
    let mut spec = checkout();
    spec["steps"][1]["http"]["body"] =
        json!({"order": "7", "notes": ["fine", "price is ${PRICE}"]});
    spec["steps"][2] = json!({"name": "ship", "pod": {"image": "a", "args": ["${HOME}"]}});
    let saga = stand.apply("order", &spec).await;
    stalls(&stand, "order", "InvalidSpec").await;
    stand.meanwhile("other").await;
    let refused = stand.sagas().get("order").await.unwrap();
    assert_eq!(
        ["Accepted", "Ready"].map(|kind| condition(&refused, kind)),
        ["False/InvalidSpec", "False/InvalidSpec"]
    );
    // The message names every mistake, each with its path.
    for words in ["spec.steps[1].http.body.notes[1]", "spec.steps[2].pod.args[0]", "$${"] {
        assert!(message(&refused).contains(words), "{words}: {}", message(&refused));
    }
    assert_eq!(refused.status.as_ref().unwrap().phase, Some(SagaPhase::Pending));
    assert!(
        stand.shop.entries(Some(&scope(&saga))).is_empty()
            && stand.pods_of("order").await.is_empty()
    );
    stand.event("order", "InvalidSpec").await;
    // The saga did nothing, so its deletion needs no compensation.
    stand.delete("order").await;
    stand.gone("order").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spec_of_300_kib_is_not_accepted_and_no_other_saga_suffers() {
    let mut stand = Stand::new("large").await;
    stand.start();
    let mut spec = checkout();
    spec["params"]["filler"] = json!("x".repeat(300 << 10));
    let saga = stand.apply("order", &spec).await;
    stalls(&stand, "order", "InvalidSpec").await;
    stand.meanwhile("other").await;
    let refused = stand.sagas().get("order").await.unwrap();
    assert_eq!(condition(&refused, "Accepted"), "False/InvalidSpec");
    for words in ["spec: has 3", "bytes, and at most 262144 are taken", "into a ConfigMap"] {
        assert!(message(&refused).contains(words), "{words}: {}", message(&refused));
    }
    assert!(stand.shop.entries(Some(&scope(&saga))).is_empty());
    stand.delete("order").await;
    stand.gone("order").await;
}

/// Writes nonsense into the status of a suspended checkout and ends the suspension. The saga stops,
/// affects no other saga, and completes once its status is restored.
async fn is_stopped_until_restored(stand: &mut Stand, name: &str, nonsense: &Value, words: &str) {
    let before = suspended(stand, name, checkout()).await;
    stand.patch_status(name, nonsense).await.unwrap();
    stand.patch(name, &json!({"spec": {"suspend": false}})).await.unwrap();
    let stalled = stalls(stand, name, "InvalidStatus").await;
    assert!(message(&stalled).contains(words), "{name}: {}", message(&stalled));
    assert!(message(&stalled).contains("restore it"), "{name}: {}", message(&stalled));
    stand.meanwhile(&format!("{name}-other")).await;
    assert!(stand.shop.entries(Some(&scope(&before))).is_empty(), "{name}: nothing starts");
    assert!(stand.lives(), "{name}");
    // The earlier status is restored as a whole: a merge patch would keep what the nonsense added.
    let mut restored = stand.sagas().get(name).await.unwrap();
    restored.status = before.status;
    stand.sagas().replace_status(name, &PostParams::default(), &restored).await.unwrap();
    let saga = stand.reaches(name, SagaPhase::Completed).await;
    assert_eq!(
        stand.shop.summary(&scope(&saga)).done,
        ["reserve-stock", "charge-card", "ship"],
        "{name}"
    );
    assert_eq!(
        ["Ready", "Stalled"].map(|kind| condition(&saga, kind)),
        ["True/Completed", ""],
        "{name}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_was_edited_into_nonsense_stops_its_saga_until_it_is_restored() {
    let mut stand = Stand::new("nonsense").await;
    stand.start();
    let stories = [
        (
            "completed",
            json!({"phase": "Completed"}),
            "the saga is Completed although not every step is",
        ),
        (
            "undone",
            json!({"phase": "Compensating", "steps": steps("Completed")}),
            "without any attempt of its action",
        ),
        (
            "running",
            json!({"steps": steps("Running")}),
            "step reserve-stock is Running without an active attempt",
        ),
        (
            "other-steps",
            json!({"steps": [{"name": "another", "phase": "Pending"}]}),
            "does not list the steps of the spec",
        ),
        ("no-steps", json!({"steps": null}), "status.steps is empty"),
        ("no-hash", json!({"specHash": null, "steps": done_steps()}), "no specHash was pinned"),
        (
            "unasked",
            json!({"steps": done_after("charge-card")}),
            "step charge-card was started although not all it depends on is done",
        ),
    ];
    for (name, nonsense, words) in &stories {
        is_stopped_until_restored(&mut stand, name, nonsense, words).await;
    }
    // The API server refuses nonsense that violates the schema.
    let saga = suspended(&stand, "schema", checkout()).await;
    for nonsense in
        [json!({"phase": 7}), json!({"settled": "seven"}), json!({"steps": [{"name": "a"}]})]
    {
        stand.patch_status(&saga.name_any(), &nonsense).await.unwrap_err();
    }
}

/// Returns statuses for the steps of the checkout, in a phase that the steps never reached.
fn steps(phase: &str) -> Value {
    json!(
        ["reserve-stock", "charge-card", "ship"].map(|name| json!({"name": name, "phase": phase}))
    )
}

/// Returns statuses for the steps of the checkout, all of them completed.
fn done_steps() -> Value {
    json!(["reserve-stock", "charge-card", "ship"].map(done))
}

/// Returns statuses for the steps of the checkout, of which only `only` is completed.
fn done_after(only: &str) -> Value {
    json!(["reserve-stock", "charge-card", "ship"].map(|name| if name == only {
        done(name)
    } else {
        json!({"name": name, "phase": "Pending"})
    }))
}

fn done(name: &str) -> Value {
    json!({
        "name": name, "phase": "Completed",
        "action": {"attempt": 1, "budgetUsed": 1, "begun": true, "lastOutcome": "Succeeded"},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_and_is_changed_stops_its_saga_until_it_is_restored() {
    let mut stand = Stand::new("changed").await;
    stand.start();
    let mut spec = checkout_with(&json!({"params": {"order": {"id": 7, "note": "x"}}}));
    spec["steps"][2] = json!({
        "name": "ship", "dependsOn": ["charge-card"],
        "pod": {
            "image": "saga.dev/examples/busybox:1", "command": ["true"],
            "resources": {"requests": {"cpu": "1m"}},
        },
    });
    let before = suspended(&stand, "order", spec).await;
    let raw = serde_json::to_value(&before.spec).unwrap();
    // The rules of the schema refuse nearly every change.
    for (pointer, value, words) in [
        (
            "/steps/0/http/url",
            json!("http://elsewhere/"),
            "steps cannot be changed: create a new Saga",
        ),
        ("/steps/0/http/body", json!({"ordre": "7"}), "steps cannot be changed: create a new Saga"),
        (
            "/params/order",
            json!({"id": 7, "nota": "x"}),
            "params cannot be changed: create a new Saga",
        ),
        (
            "/idempotencyPrefix",
            json!("a"),
            "idempotencyPrefix cannot be changed: create a new Saga",
        ),
    ] {
        let mut changed = raw.clone();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap()[field] = value;
        let refusal = replace_spec(&stand, &changed).await.unwrap_err().to_string();
        assert!(refusal.contains(words), "{pointer}: {refusal}");
    }
    // The schema accepts a renamed key at the top level of a free-form object. The pinned hash of
    // the spec detects the change.
    let mut changed = raw.clone();
    changed["steps"][2]["pod"]["resources"] = json!({"limits": {"cpu": "1m"}});
    changed["suspend"] = json!(false);
    replace_spec(&stand, &changed).await.unwrap();
    let stalled = stalls(&stand, "order", "SpecChanged").await;
    assert!(
        message(&stalled).contains("restore the spec, or create a new Saga"),
        "{}",
        message(&stalled)
    );
    assert_eq!(condition(&stalled, "Ready"), "False/SpecChanged");
    stand.meanwhile("other").await;
    assert!(stand.shop.entries(Some(&scope(&before))).is_empty(), "nothing starts");
    let mut restored = raw;
    restored["suspend"] = json!(false);
    replace_spec(&stand, &restored).await.unwrap();
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    assert_eq!(stand.shop.summary(&scope(&saga)).done, ["reserve-stock", "charge-card"]);
}

/// Replaces the whole spec of the saga `order`.
async fn replace_spec(stand: &Stand, spec: &Value) -> Result<Saga, kube::Error> {
    let patch =
        serde_json::from_value(json!([{"op": "replace", "path": "/spec", "value": spec}])).unwrap();
    stand.sagas().patch("order", &PatchParams::default(), &Patch::<Saga>::Json(patch)).await
}
