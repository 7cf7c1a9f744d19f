//! Tests of what `kubectl get sagas` prints: the columns that the API server computes from the
//! status.

use kube::Client;
use serde_json::{Value, json};

use crate::support::{Effect, FreshNamespace, fresh_namespace, request};

#[tokio::test(flavor = "multi_thread")]
async fn the_columns_say_how_far_a_saga_is() {
    let namespace = fresh_namespace("print").await;
    create(&namespace, "order").await;
    let status = json!({
        "phase": "Running",
        "progress": "2/5",
        "currentSteps": "charge-card, ship",
        "retries": 3,
        "message": "charge-card is tried again in 4 s",
    });
    write_status(&namespace, "order", &status).await;
    let table = table(&namespace).await;
    let columns: Vec<_> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| (text(&column["name"]), column["priority"].clone()))
        .collect();
    let shown = ["Name", "Phase", "Progress", "Step", "Retries", "Age"]
        .map(|name| (name.to_owned(), json!(0)));
    assert_eq!(
        columns,
        [&shown[..], &[("Message".to_owned(), json!(1))]].concat(),
        "Message only with -o wide"
    );
    let cells = &table["rows"][0]["cells"];
    let expected = json!([
        "order",
        "Running",
        "2/5",
        "charge-card, ship",
        3,
        cells[5],
        "charge-card is tried again in 4 s"
    ]);
    assert_eq!(*cells, expected);
    assert!(text(&cells[5]).ends_with('s'), "the age is some seconds: {}", cells[5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_that_nobody_has_seen_prints_empty_columns() {
    let namespace = fresh_namespace("print").await;
    create(&namespace, "order").await;
    let cells = table(&namespace).await["rows"][0]["cells"].clone();
    assert_eq!(cells, json!(["order", null, null, null, null, cells[5], null]));
}

#[tokio::test(flavor = "multi_thread")]
async fn sagas_are_found_by_phase_without_reading_all() {
    let namespace = fresh_namespace("select").await;
    for (name, phase) in [("one", "Failed"), ("two", "Running"), ("three", "Failed")] {
        create(&namespace, name).await;
        write_status(&namespace, name, &json!({"phase": phase})).await;
    }
    let path = format!(
        "/apis/saga.dev/v1alpha1/namespaces/{}/sagas?fieldSelector=status.phase%3DFailed",
        namespace.name
    );
    let found = request(&namespace.client, "GET", &path, "", None).await.unwrap();
    let names: Vec<_> = found["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|saga| text(&saga["metadata"]["name"]))
        .collect();
    assert_eq!(names, ["one", "three"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sagas_have_a_short_name_and_a_category_of_their_own() {
    let namespace = fresh_namespace("names").await;
    let resources =
        request(&namespace.client, "GET", "/apis/saga.dev/v1alpha1", "", None).await.unwrap();
    let sagas = resources["resources"]
        .as_array()
        .unwrap()
        .iter()
        .find(|resource| resource["name"] == "sagas")
        .unwrap();
    assert_eq!(sagas["shortNames"], json!(["sg"]));
    assert_eq!(
        sagas["categories"],
        json!(["sagas"]),
        "and not `all`: `kubectl delete all --all` must not undo every order"
    );
}

/// Returns the table that `kubectl get sagas` requests.
async fn table(namespace: &FreshNamespace) -> Value {
    let request =
        http::Request::get(format!("/apis/saga.dev/v1alpha1/namespaces/{}/sagas", namespace.name))
            .header("Accept", "application/json;as=Table;g=meta.k8s.io;v=v1")
            .body(Vec::new())
            .unwrap();
    Client::request(&namespace.client, request).await.unwrap()
}

async fn create(namespace: &FreshNamespace, name: &str) {
    let steps = json!([{"name": "one", "pod": {"image": "busybox"}}]);
    let saga = json!({
        "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "metadata": {"name": name},
        "spec": {"steps": steps},
    });
    namespace.create(&saga, Effect::Real).await.unwrap();
}

async fn write_status(namespace: &FreshNamespace, name: &str, status: &Value) {
    namespace
        .patch_status(
            name,
            &json!([{"op": "replace", "path": "/status", "value": status}]),
            Effect::Real,
        )
        .await
        .unwrap();
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
