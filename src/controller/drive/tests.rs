#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::slice;

use futures::FutureExt;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::{reflector, watcher::Event};
use serde_json::{Value, json};

use super::*;

fn stored(name: &str) -> StoredSaga {
    let metadata = json!({"name": name, "namespace": "shop", "uid": name});
    serde_json::from_value(json!({"metadata": metadata, "spec": {"steps": []}})).unwrap()
}

fn child(owner: &Value) -> Pod {
    let metadata = json!({"name": "p", "namespace": "shop", "ownerReferences": [owner]});
    serde_json::from_value(json!({"metadata": metadata})).unwrap()
}

/// Returns the sagas that a stream brings at once.
fn brought(concerned: &mut SelectAll<BoxStream<'static, SagaRef>>) -> Vec<SagaRef> {
    std::iter::from_fn(|| concerned.next().now_or_never().flatten()).collect()
}

#[test]
fn no_saga_is_read_before_the_pods_of_its_watch_are_listed_and_every_one_is_then() {
    let (sagas, mut writer) = reflector::store();
    let (listed, pods_are_listed) = watch::channel(false);
    let event = stream::iter([Ok(stored("order"))]).chain(stream::pending());
    let mut concerned = SelectAll::from_iter(sagas_of(Streams {
        store: sagas.clone(),
        pods_are_listed: pods_are_listed.clone(),
        sagas: event.boxed(),
        pods: stream::pending().boxed(),
        jobs: stream::pending().boxed(),
    }));
    let (_open, is_open) = watch::channel(true);
    let (other, _) = reflector::store();
    let caches = [
        WatchCaches { sagas: other, pods_are_listed: is_open },
        WatchCaches { sagas, pods_are_listed },
    ];
    writer.apply_watcher_event(&Event::Apply(stored("order")));
    let order = SagaRef::new("shop", "order");
    assert_eq!(brought(&mut concerned), slice::from_ref(&order), "by its event");
    assert!(readable(&caches, &order).is_none());
    listed.send_replace(true);
    assert_eq!(brought(&mut concerned), slice::from_ref(&order), "once more");
    assert_eq!(readable(&caches, &order).unwrap().metadata.uid.as_deref(), Some("order"));
    assert!(readable(&caches, &SagaRef::new("shop", "other")).is_none());
}

#[test]
fn a_child_concerns_the_saga_that_controls_it() {
    let owner_of = |kind: &str, api_version: &str, controller: bool| {
        owner(&child(&json!({
            "name": "order", "uid": "1", "kind": kind, "apiVersion": api_version,
            "controller": controller,
        })))
    };
    assert_eq!(owner_of("Saga", "saga.dev/v1alpha1", true), Some(SagaRef::new("shop", "order")));
    assert_eq!(owner_of("Saga", "saga.dev/v1alpha1", false), None);
    assert_eq!(owner_of("Job", "batch/v1", true), None);
}
