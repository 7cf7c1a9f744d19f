//! Tests of words and fields that this version does not know.

use saga_operator::api::{SagaPhase, StepPhase};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{QUIET, counted, raw, served::Served, stored};
use crate::stand::{Stand, post};

#[tokio::test(flavor = "multi_thread")]
async fn a_word_of_a_later_version_leaves_the_saga_as_it_is() {
    let _served = Served::by_this_version().await;
    Served::advance();
    let mut stand = Stand::new("words").await;
    stand.start_next();
    let waits = json!({"steps": [{"name": "sign-off", "approval": {}}]});
    for name in ["strange", "neighbour"] {
        stand.apply(name, &waits).await;
        stand.step_reaches(name, "sign-off", StepPhase::Waiting).await;
    }
    stand.ask("strange", "saga.dev/pause=noted");
    let word = |saga: &Value| {
        saga.pointer("/status/requests/0/result").and_then(Value::as_str) == Some("Noted")
    };
    stored(&stand, "strange", "paused in another word", |saga| word(saga)).await;
    stand.stop_second().await;
    let this = stand.start_measured();
    stand.logs("words of another version").await;
    stand.event("strange", "UnknownWord").await;
    stand.ask("strange", "saga.dev/resume=now");
    let version = |saga: &Value| saga.pointer("/metadata/resourceVersion").cloned();
    let before = version(&raw(&stand, "strange").await);
    sleep(QUIET).await;
    assert_eq!(version(&raw(&stand, "strange").await), before, "something was written");
    let told = stand
        .events("strange")
        .await
        .into_iter()
        .filter(|event| event.reason.as_deref() == Some("UnknownWord"))
        .count();
    assert_eq!((told, counted(this, "saga_unknown_words_total").await), (1, 1));
    // A saga that this version can read continues. The later version continues the other saga in
    // the state in which it was left.
    stand.ask("neighbour", "saga.dev/approve=sign-off");
    stand.reaches("neighbour", SagaPhase::Completed).await;
    stand.start_next();
    stored(&stand, "strange", "resumed", |saga| {
        saga.pointer("/status/phase") == Some(&json!("Running"))
    })
    .await;
}

/// Applies a saga whose spec this version cannot read. Asserts that the saga is refused with a
/// message.
async fn is_refused(stand: &Stand, name: &str, spec: &Value, said: &str) {
    let saga = json!({
        "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "metadata": {"name": name},
        "spec": spec,
    });
    stand.put(&saga).await;
    let saga =
        stored(stand, name, "refused", |saga| saga.to_string().contains("UnknownField")).await;
    assert!(saga["status"]["message"].as_str().unwrap().contains(said), "{saga}");
    let accepted = saga["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|condition| condition["type"] == "Accepted")
        .unwrap();
    assert_eq!(
        (&accepted["status"], &accepted["reason"]),
        (&json!("False"), &json!("UnknownField"))
    );
}

/// Applies a saga, and changes its spec into one that this version cannot read. Asserts that the
/// saga stays as it is.
async fn is_held(stand: &Stand, name: &str, spec: &Value, more: &Value) {
    stand.apply(name, spec).await;
    stand.step_reaches(name, "sign-off", StepPhase::Waiting).await;
    stand.kubectl(&[
        "patch",
        &format!("saga/{name}"),
        "--type=merge",
        "--patch",
        &json!({ "spec": more }).to_string(),
    ]);
    let saga = stored(stand, name, "held", |saga| saga.to_string().contains("UnknownField")).await;
    assert_eq!(saga["status"]["phase"], "Running");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_of_the_spec_unknown_to_the_operator_is_refused_and_holds_what_was_accepted() {
    let _served = Served::by_this_version().await;
    Served::with_more_in_the_spec();
    let mut stand = Stand::new("fields").await;
    stand.start();
    let waits = json!({"steps": [{"name": "sign-off", "approval": {}}]});
    let with = |more: Value| {
        let mut spec = waits.clone();
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    // A free-form part may contain anything.
    stand.apply("free", &with(json!({"params": {"note": {"any": "thing"}}}))).await;
    stand.reaches("free", SagaPhase::Running).await;
    let cases = [
        ("new", json!({"note": "x"}), "spec.note is a field"),
        ("word", json!({"onFailure": "Shout"}), "spec.onFailure is Shout, a word"),
    ];
    for (name, more, said) in cases {
        is_refused(&stand, name, &with(more), said).await;
    }
    for (name, more) in
        [("held", json!({"note": "x"})), ("given-up", json!({"onFailure": "Shout"}))]
    {
        let spec = with(json!({
            "steps": [{
                "name": "sign-off", "approval": {},
                "compensation": {"http": post("/payments/refunds")},
            }],
        }));
        is_held(&stand, name, &spec, &more).await;
    }
    stand.kubectl(&[
        "patch",
        "saga/held",
        "--type=json",
        "--patch",
        r#"[{"op": "remove", "path": "/spec/note"}]"#,
    ]);
    stand.ask("held", "saga.dev/approve=sign-off");
    stand.reaches("held", SagaPhase::Completed).await;
    // A saga whose spec cannot be read can be abandoned.
    stand.kubectl(&[
        "patch",
        "saga/given-up",
        "--type=merge",
        "--patch",
        r#"{"spec":{"deletionPolicy":"Abandon"}}"#,
    ]);
    stand.kubectl(&["delete", "saga/given-up", "saga/word"]);
}
