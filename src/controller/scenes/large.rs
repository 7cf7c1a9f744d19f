//! Sagas whose spec is larger than what is kept in memory.

use std::time::Duration;

use super::*;
use crate::{
    api::WholeSaga,
    controller::reconcile::{reconcile, requeue::Action},
};

/// Returns the saga of the scene. Its step has an expression, so that the checked saga is kept if
/// it is small.
fn small(status: &Value) -> Value {
    saga(&json!({"pod": {"image": "ship:1", "args": ["${saga.name}"]}}), status)
}

/// Returns the same saga with a spec of more than 300 KiB.
fn large(status: &Value) -> Value {
    let mut saga = small(status);
    saga["spec"]["params"] = json!({"a": "x".repeat(300 * 1024)});
    saga
}

/// Returns the statuses that were written.
fn written(scene: &Scene) -> Vec<Value> {
    let puts = scene.server.asked(&Method::PUT).into_iter();
    puts.filter(|asked| asked.path == format!("{SAGA}/status"))
        .map(|asked| asked.body["status"].clone())
        .collect()
}

/// Returns the large saga as an earlier version accepted it, with its first attempt about to begin.
async fn accepted() -> Value {
    let mut scene = Scene::new();
    let (_, lease) = scene.with_a_lease().await;
    let small = small(&Value::Null);
    scene.server.holds(SAGA, small.clone());
    // The first reconcile has the saga tried, and the end of the trial enqueues the saga.
    reconcile(Arc::new(stored(&small)), Arc::clone(&scene.context)).await.unwrap();
    scene.enqueued.recv().await.unwrap();
    reconcile(Arc::new(stored(&small)), Arc::clone(&scene.context)).await.unwrap();
    lease.abort();
    assert!(scene.context.memory.validated.kept("1", (1, false)).is_some());
    let mut saga = large(written(&scene).last().unwrap());
    let WholeSaga(whole) = serde_json::from_value(saga.clone()).unwrap();
    saga["status"]["specHash"] = json!(whole.spec_hash);
    saga
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_spec_is_refused_without_being_read_and_the_saga_says_so() {
    let scene = Scene::new();
    let saga = large(&Value::Null);
    reconcile(Arc::new(stored(&saga)), Arc::clone(&scene.context)).await.unwrap();
    let statuses = written(&scene);
    let [status] = statuses.as_slice() else { panic!("{statuses:?}") };
    let accepted = status["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|condition| condition["type"] == "Accepted")
        .unwrap();
    assert_eq!(
        (&accepted["status"], &accepted["reason"]),
        (&json!("False"), &json!("InvalidSpec"))
    );
    let says = "spec: has 307";
    assert!(accepted["message"].as_str().unwrap().starts_with(says), "{accepted}");
    assert!(scene.server.asked(&Method::GET).iter().all(|asked| asked.path != SAGA));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_spec_that_was_accepted_still_runs_and_is_not_kept() {
    let saga = accepted().await;
    let cached = Arc::new(stored(&saga));
    assert!(cached.spec.is_err() && cached.is_to_be_read_whole());
    let scene = Scene::new();
    let (_, lease) = scene.with_a_lease().await;
    scene.server.holds(SAGA, saga);
    reconcile(Arc::clone(&cached), Arc::clone(&scene.context)).await.unwrap();
    lease.abort();
    let pods = scene.server.asked(&Method::POST).into_iter();
    let pods: Vec<_> = pods.filter(|asked| asked.path.ends_with("/pods")).collect();
    assert_eq!(pods.len(), 1, "its attempt begins: {:?}", written(&scene));
    assert!(written(&scene).iter().all(|status| status["phase"] == "Running"));
    assert_eq!(scene.context.memory.validated.kept("1", (1, true)), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_large_spec_is_held_another_one_waits_outside() {
    let saga = accepted().await;
    let scene = Scene::new();
    scene.server.holds(SAGA, saga.clone());
    let held = scene.context.memory.validated.large();
    let action = reconcile(Arc::new(stored(&saga)), Arc::clone(&scene.context)).await.unwrap();
    assert_eq!(action, Action::requeue(Duration::from_secs(1)));
    assert!(scene.server.asked(&Method::GET).iter().all(|asked| asked.path != SAGA));
    drop(held);
    reconcile(Arc::new(stored(&saga)), Arc::clone(&scene.context)).await.unwrap();
    assert!(scene.server.asked(&Method::GET).iter().any(|asked| asked.path == SAGA));
}
