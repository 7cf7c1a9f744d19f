//! Tests of the ownership of objects that were created again, lost their mark, or were applied by
//! another saga.

use saga_operator::api::{Outcome, Saga, SagaPhase};
use serde_json::{Value, json};

use super::{ALL, config_map, read, reference, said, spec, stand_with};
use crate::stand::{Stand, names_its_child, outcomes};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_again_under_a_deleted_name_stays_whichever_operator_died_meanwhile() {
    let mut stand = stand_with("objects-again", &ALL).await;
    let mut held = config_map("old", &json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/held"]);
    let first = stand.put(&held).await;
    let steps = json!([{"name": "clear", "delete": reference("old")}]);
    stand.apply("release", &spec(&steps)).await;
    let deleted = |saga: &Saga| {
        let active = saga.status.as_ref()?.steps.first()?.action.as_ref()?.active.as_ref()?;
        active.child_uid.clone()
    };
    let noted = stand.until("release", "about to delete", |saga| deleted(saga).is_some()).await;
    assert_eq!(deleted(&noted), first.metadata.uid);
    stand.until_gone_or_going(&held).await;
    stand.kill();
    stand.kubectl(&[
        "patch",
        "configmap",
        "old",
        "--type",
        "merge",
        "--patch",
        r#"{"metadata": {"finalizers": null}}"#,
    ]);
    let second = stand.put(&config_map("old", &json!({"made": "again"}))).await;
    assert_ne!(first.metadata.uid, second.metadata.uid);
    stand.start();
    let saga = stand.reaches("release", SagaPhase::Completed).await;
    assert_eq!(outcomes(&saga, "clear"), [Outcome::Succeeded]);
    assert_eq!(read(&stand, "old").await.unwrap()["data"], json!({"made": "again"}));
}

/// Returns a step that applies a ConfigMap and waits until somebody marks it as ready.
fn slow(name: &str) -> Value {
    let until = "has(object.data.ready) && object.data.ready == 'yes'";
    json!({
        "name": "one",
        "apply": {"manifest": config_map(name, &json!({"colour": "blue"})), "until": until},
    })
}

/// Removes the annotation that names the attempt by which the object was applied.
fn strip(stand: &Stand, name: &str) {
    stand.kubectl(&["annotate", "configmap", name, "saga.dev/applied-by-"]);
}

fn is_ready(stand: &Stand, name: &str) {
    stand.kubectl(&[
        "patch",
        "configmap",
        name,
        "--type",
        "merge",
        "--patch",
        r#"{"data": {"ready": "yes"}}"#,
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_mark_was_taken_away_is_known_by_its_uid_or_by_its_fields() {
    let mut stand = stand_with("objects-mark", &ALL).await;
    for name in ["known", "forgotten", "changed"] {
        stand.apply(name, &spec(&json!([slow(name)]))).await;
        stand.until(name, "the UID of its object", |saga| names_its_child(saga, "one")).await;
    }
    stand.kill();
    for name in ["known", "forgotten", "changed"] {
        strip(&stand, name);
    }
    // The operator died before it wrote the UID to the status. So much time has passed that no
    // replica may apply the object again.
    for name in ["forgotten", "changed"] {
        let active = "/status/steps/0/action/active";
        let patch = json!([
            {"op": "remove", "path": format!("{active}/childUid")},
            {
                "op": "replace", "path": format!("{active}/startedAt"),
                "value": format!("{:.6}", jiff::Timestamp::now() - jiff::Span::new().minutes(2)),
            },
        ]);
        stand.kubectl(&[
            "patch",
            "saga",
            name,
            "--subresource",
            "status",
            "--type",
            "json",
            "--patch",
            &patch.to_string(),
        ]);
    }
    stand.kubectl(&[
        "patch",
        "configmap",
        "changed",
        "--type",
        "merge",
        "--patch",
        r#"{"data": {"colour": "red"}}"#,
    ]);
    stand.start();
    // If somebody changed the object since, it no longer equals the manifest: it may belong to
    // anybody.
    let changed = stand.reaches("changed", SagaPhase::Failed).await;
    assert_eq!(outcomes(&changed, "one"), [Outcome::Unknown], "{}", said(&changed, "one"));
    for name in ["known", "forgotten"] {
        stand.until(name, "the UID of its object", |saga| names_its_child(saga, "one")).await;
        is_ready(&stand, name);
        let saga = stand.reaches(name, SagaPhase::Completed).await;
        assert_eq!(outcomes(&saga, "one"), [Outcome::Succeeded], "{name}: one attempt");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_that_applies_what_an_unfinished_one_applied_goes_on_and_says_so() {
    let stand = stand_with("objects-shared", &ALL).await;
    stand.apply("first", &spec(&json!([slow("shared")]))).await;
    stand.until("first", "the UID of its object", |saga| names_its_child(saga, "one")).await;
    let mut second = slow("shared");
    second["apply"]["manifest"]["data"] = json!({"colour": "green"});
    stand.apply("second", &spec(&json!([second]))).await;
    let event = stand.event("second", "ObjectShared").await;
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    let note = event.note.unwrap_or_default();
    assert!(
        note.contains("step one applies ConfigMap shared")
            && note.contains("step one of the saga first applied"),
        "{note}"
    );
    stand.until("second", "the UID of its object", |saga| names_its_child(saga, "one")).await;
    let object = read(&stand, "shared").await.unwrap();
    assert_eq!(object["data"]["colour"], "green", "the later one goes on");
    let managers = object["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["operation"] == "Apply");
    assert_eq!(
        managers.map(|entry| &entry["manager"]).collect::<Vec<_>>(),
        ["saga.dev"],
        "one for all sagas"
    );
    is_ready(&stand, "shared");
    for name in ["first", "second"] {
        let saga = stand.reaches(name, SagaPhase::Completed).await;
        assert_eq!(
            outcomes(&saga, "one"),
            [Outcome::Succeeded],
            "{name}: its object did not vanish"
        );
    }
    // A saga that has ended loses nothing.
    stand
        .apply(
            "third",
            &spec(&json!([{
                "name": "one",
                "apply": {"manifest": config_map("shared", &json!({"colour": "red"}))},
            }])),
        )
        .await;
    stand.reaches("third", SagaPhase::Completed).await;
    for name in ["first", "third"] {
        let shared = stand
            .events(name)
            .await
            .into_iter()
            .filter(|event| event.reason.as_deref() == Some("ObjectShared"))
            .count();
        assert_eq!(shared, 0, "{name}");
    }
}
