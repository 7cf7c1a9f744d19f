//! A child saga removes its finalizer only after a live read of its parent.

use serde_json::json;

use super::*;
use crate::{api::names::FINALIZER, controller::observe::parent::holds};

fn parent(finalizers: &[&str]) -> Value {
    let mut saga = saga(&by_pod(), &Value::Null);
    saga["metadata"]["finalizers"] = json!(finalizers);
    saga
}

fn child(finalizers: &[&str]) -> StoredSaga {
    let owner = json!({
        "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "name": "order", "uid": "1",
        "controller": true,
    });
    let labels =
        json!({"saga.dev/step": "ship", "saga.dev/direction": "action", "saga.dev/attempt": "1"});
    let metadata = json!({
        "name": "c", "namespace": "shop", "uid": "2", "finalizers": finalizers, "labels": labels,
        "ownerReferences": [owner],
    });
    serde_json::from_value(json!({"metadata": metadata})).unwrap()
}

#[tokio::test]
async fn a_child_stays_while_its_parent_has_a_finalizer_that_the_watch_has_not_shown_yet() {
    let mut scene = Scene::new();
    scene.watches(&[parent(&[])], &[]);
    scene.server.holds(SAGA, parent(&[FINALIZER]));
    assert!(
        holds(&scene.context.cluster, &child(&[FINALIZER])).await.unwrap(),
        "the parent may be about to have it undone"
    );
    scene.server.holds(SAGA, parent(&[]));
    assert!(!holds(&scene.context.cluster, &child(&[FINALIZER])).await.unwrap());
}

#[tokio::test]
async fn a_child_that_keeps_nothing_reads_nothing() {
    let mut scene = Scene::new();
    scene.watches(&[parent(&[])], &[]);
    assert!(!holds(&scene.context.cluster, &child(&[])).await.unwrap());
    assert_eq!(scene.server.asked(&Method::GET).len(), 0);
}
