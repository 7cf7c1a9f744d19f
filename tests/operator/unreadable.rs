//! Tests of Pods and Jobs that the operator cannot read. Whoever may create Pods can write them,
//! without any right on sagas.

use http::{Request, header::CONTENT_TYPE};
use saga_operator::api::SagaPhase;
use serde_json::{Value, json};

use crate::{
    jobs::{self, job},
    pods::{self, IMAGE, ask, pod},
    stand::Stand,
};

/// Managed fields that are nested more deeply than the operator's parser allows.
/// The API server keeps only those of the object's own group.
fn deep_managed_fields(api_version: &str) -> Value {
    let fields = (0..130).fold(json!({}), |inner, _| json!({"f:a": inner}));
    json!([{
        "manager": "tests", "operation": "Update", "apiVersion": api_version,
        "fieldsType": "FieldsV1",
        "time": "2026-01-01T00:00:00Z", "fieldsV1": fields,
    }])
}

/// Returns an object that nothing starts and that the operator's watches select.
fn poison(api_version: &str, kind: &str, name: &str) -> Value {
    let container = json!({"name": "a", "image": IMAGE});
    let spec = if kind == "Pod" {
        json!({"schedulingGates": [{"name": "tests/never"}], "containers": [container]})
    } else {
        let template = json!({"spec": {"restartPolicy": "Never", "containers": [container]}});
        json!({"suspend": true, "template": template})
    };
    json!({
        "apiVersion": api_version, "kind": kind, "spec": spec,
        "metadata": {
            "name": name, "labels": {"app.kubernetes.io/managed-by": "saga-operator"},
            "managedFields": deep_managed_fields(api_version),
        },
    })
}

/// Creates an object. The answer is not read: no parser of this crate takes it.
async fn create(stand: &Stand, base: &str, plural: &str, object: &Value) {
    let path = format!("{base}/namespaces/{}/{plural}", stand.namespace);
    let request = Request::post(path).header(CONTENT_TYPE, "application/json");
    let request = request.body(object.to_string().into_bytes()).unwrap();
    let answer = stand.client.request_text(request).await.unwrap();
    serde_json::from_str::<Value>(&answer).expect_err("the API server keeps the depth");
}

/// Creates a Pod and a Job with deep managed fields, and a Pod with an instant that is too late.
pub async fn poison_all(stand: &Stand) {
    create(stand, "/api/v1", "pods", &poison("v1", "Pod", "deep")).await;
    create(stand, "/apis/batch/v1", "jobs", &poison("batch/v1", "Job", "deep")).await;
    create(stand, "/api/v1", "pods", &poison("v1", "Pod", "late")).await;
    // An instant that the API server takes and that the operator's parser does not know.
    let late = json!({"status": {"startTime": "9999-12-31T23:59:59Z"}}).to_string();
    stand.kubectl(&["patch", "pod/late", "--subresource=status", "--type=merge", "-p", &late]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_cannot_read_stops_no_saga_neither_at_its_start_nor_later() {
    let mut stand = Stand::with_pods("unreadable").await;
    poison_all(&stand).await;
    stand.start();
    let work = ask("/shipping/shipments");
    for round in ["first", "again"] {
        let [by_pod, by_job] = ["pod", "job"].map(|kind| format!("{round}-{kind}"));
        stand.apply(&by_pod, &pods::one_step(&pod(&work), &json!({}))).await;
        stand.apply(&by_job, &jobs::one_step(&job(&work), &json!({}))).await;
        stand.reaches(&by_pod, SagaPhase::Completed).await;
        stand.reaches(&by_job, SagaPhase::Completed).await;
        // From now on the watch shows each of them once more.
        for object in ["pod/deep", "pod/late", "job/deep"] {
            stand.kubectl(&["annotate", "--overwrite", object, &format!("tests/round={round}")]);
        }
    }
    assert!(stand.lives());
}
