//! Tests of the status: the status of a saga that no operator has seen yet, what the operator may
//! write, and what nobody may write.

mod nonsense;
mod sample;

use saga_operator::api::{SagaStatus, json::as_stored};
use serde_json::{Value, json};

use self::sample::full;
use crate::support::{Effect, FreshNamespace, fresh_namespace, same};

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_that_no_operator_has_seen_reads_as_in_progress() {
    let namespace = with_saga("unseen", &json!({})).await;
    assert_eq!(namespace.get("order").await.unwrap()["status"], json!({"observedGeneration": -1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_saga_begins_without_the_status_it_is_applied_with() {
    let namespace =
        with_saga("restored", &json!({"phase": "Completed", "observedGeneration": 1})).await;
    assert_eq!(namespace.get("order").await.unwrap()["status"], json!({"observedGeneration": -1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_the_operator_writes_is_stored_as_written() {
    let namespace = with_saga("written", &json!({})).await;
    let status = full();
    let typed: SagaStatus = serde_json::from_value(status.clone()).unwrap();
    assert!(
        same(&serde_json::to_value(&typed).unwrap(), &status),
        "the sample has fields that the operator does not know"
    );
    namespace.patch_status("order", &replace("", &status), Effect::Real).await.unwrap();
    let read = namespace.get("order").await.unwrap();
    assert!(same(&read["status"], &status), "{:#}", read["status"]);
    assert_eq!(read["metadata"]["generation"], 1, "a status is no change of what is wanted");
}

/// Outputs are JSON of any shape. The operator must read back the outputs on which it decided.
#[tokio::test(flavor = "multi_thread")]
async fn outputs_of_any_shape_are_read_as_they_were_written() {
    let namespace = with_saga("outputs", &json!({})).await;
    // This is the greatest depth that a request to the API server may have: 32 levels, including
    // the object itself and the innermost value.
    let deep =
        (0..30).fold(
            json!(null),
            |inside, nth| if nth % 2 == 0 { json!({"": inside}) } else { json!([inside]) },
        );
    let wide: serde_json::Map<_, _> = (0..680).map(|nth| (format!("{nth}"), json!(null))).collect();
    for outputs in [
        json!({}),
        json!({"null": null, "list": [null, {"null": null}], "empty": {}, "none": []}),
        json!({
            "one": 1.0, "huge": 1e300, "tiny": -1e-300, "zero": -0.0, "third": 0.1, "twenty": 1e20,
            "most": i64::MAX, "least": i64::MIN,
        }),
        json!({
            "true": true, "text": "\u{0} \u{1f980} \"", "": "", "a.b/c~d[0]": "${x}", "f:name": 1,
            ".": 2,
        }),
        json!({"deep": deep}),
        Value::Object(wide),
    ] {
        let steps = json!([
            {"name": "charge", "phase": "Skipped", "outputs": outputs},
            {"name": "ship", "phase": "Pending"},
        ]);
        // The outputs are in the form into which the operator converts them. A write changes none
        // of them.
        let steps = as_stored(steps);
        namespace.write_status("order", &json!({"steps": steps})).await.unwrap();
        let read = namespace.get("order").await.unwrap();
        assert_eq!(read["status"]["steps"], steps, "{:#}", read["status"]["steps"]);
        // The status is written and read again by the operator's own types.
        let typed: SagaStatus = serde_json::from_value(read["status"].clone()).unwrap();
        namespace.write_status("order", &serde_json::to_value(&typed).unwrap()).await.unwrap();
        assert_eq!(namespace.get("order").await.unwrap()["status"], read["status"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_version_may_write_a_word_more() {
    let namespace = with_saga("words", &json!({})).await;
    namespace.patch_status("order", &replace("", &full()), Effect::Real).await.unwrap();
    for path in [
        "/phase",
        "/steps/0/phase",
        "/steps/0/action/lastOutcome",
        "/requests/0/action",
        "/requests/0/result",
    ] {
        let change = json!([{"op": "add", "path": format!("/status{path}"), "value": "Dreaming"}]);
        namespace.patch_status("order", &change, Effect::DryRun).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spec_and_status_are_written_apart() {
    let namespace = with_saga("apart", &json!({})).await;
    let both = json!([
        {"op": "add", "path": "/status/phase", "value": "Running"},
        {"op": "add", "path": "/spec/maxParallel", "value": 2},
    ]);
    namespace.patch_status("order", &both, Effect::Real).await.unwrap();
    let read = namespace.get("order").await.unwrap();
    assert_eq!(
        (&read["status"]["phase"], &read["spec"]["maxParallel"]),
        (&json!("Running"), &Value::Null)
    );
    namespace
        .patch(
            "order",
            &json!([{"op": "add", "path": "/status/phase", "value": "Failed"}, both[1]]),
            Effect::Real,
        )
        .await
        .unwrap();
    let read = namespace.get("order").await.unwrap();
    assert_eq!(
        (&read["status"]["phase"], &read["spec"]["maxParallel"]),
        (&json!("Running"), &json!(2))
    );
}

/// A user who may write only the status cannot make a request with it. So the policies that guard
/// requests need not check writes of the status.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_for_through_the_status() {
    let namespace = with_saga("asks", &json!({})).await;
    let asks = json!([
        {"op": "add", "path": "/metadata/annotations", "value": {"saga.dev/retry": "*"}},
        {"op": "add", "path": "/metadata/labels", "value": {"a": "b"}},
        {"op": "add", "path": "/status/phase", "value": "Failed"},
    ]);
    let written = namespace.patch_status("order", &asks, Effect::Real).await.unwrap();
    assert_eq!(
        (&written["status"]["phase"], &written["metadata"]["labels"]),
        (&json!("Failed"), &Value::Null)
    );
    assert_eq!(
        namespace.get("order").await.unwrap()["metadata"]["annotations"]["saga.dev/retry"],
        Value::Null
    );
}

async fn with_saga(prefix: &str, status: &Value) -> FreshNamespace {
    let namespace = fresh_namespace(prefix).await;
    let steps: Vec<_> =
        ["charge", "ship"].map(|name| json!({"name": name, "pod": {"image": "busybox"}})).into();
    let mut saga = json!({
        "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "metadata": {"name": "order"},
        "spec": {"steps": steps},
    });
    if *status != json!({}) {
        saga["status"] = status.clone();
    }
    namespace.create(&saga, Effect::Real).await.unwrap();
    namespace
}

fn replace(path: &str, value: &Value) -> Value {
    json!([{"op": "replace", "path": format!("/status{path}"), "value": value}])
}
