//! Which copy of a saga a decision may rest on, and when the saga is requeued.

use std::time::Duration;

use super::*;
use crate::{
    api::names::FINALIZER,
    controller::reconcile::{error_policy, reconcile, requeue::Action},
};

/// Returns a copy of the saga with this resourceVersion.
fn copy(version: &str) -> Arc<StoredSaga> {
    let mut saga = saga(&by_pod(), &Value::Null);
    saga["metadata"]["resourceVersion"] = json!(version);
    Arc::new(stored(&saga))
}

#[tokio::test]
async fn a_copy_that_cannot_be_compared_with_the_last_write_is_not_decided_from() {
    let scene = Scene::new();
    scene.context.memory.writes.acknowledged("1", "10");
    let action = reconcile(copy("of another kind"), Arc::clone(&scene.context)).await.unwrap();
    // The live read shows that the saga is gone.
    assert_eq!(action, Action::await_change());
    let asked = scene.server.asked(&Method::GET);
    assert_eq!(asked.iter().map(|asked| asked.path.as_str()).collect::<Vec<_>>(), [SAGA]);
}

#[tokio::test]
async fn a_copy_that_is_older_than_the_last_write_waits_for_a_newer_one_and_is_then_read() {
    let scene = Scene::new();
    scene.context.memory.writes.acknowledged("1", "10");
    let action = reconcile(copy("9"), Arc::clone(&scene.context)).await.unwrap();
    assert_eq!(
        (action, scene.server.asked(&Method::GET).len()),
        (Action::requeue(Duration::from_secs(1)), 0)
    );
    scene.context.memory.writes.acknowledged_before("1", "10", Duration::from_secs(2));
    let action = reconcile(copy("9"), Arc::clone(&scene.context)).await.unwrap();
    assert_eq!((action, scene.server.asked(&Method::GET).len()), (Action::await_change(), 1));
}

#[tokio::test]
async fn a_saga_that_went_with_its_last_finalizer_is_not_touched_while_a_watch_still_shows_it() {
    for (kept, writes) in [(None, 1), (Some("a.dev/keep"), 2)] {
        let scene = Scene::new();
        let mut last = saga(&by_pod(), &json!({"phase": "Compensated"}));
        last["metadata"]["finalizers"] =
            json!(kept.into_iter().chain([FINALIZER]).collect::<Vec<_>>());
        last["metadata"]["deletionTimestamp"] = json!("2026-03-01T12:00:00Z");
        let last = Arc::new(stored(&last));
        for _ in 0..2 {
            reconcile(Arc::clone(&last), Arc::clone(&scene.context)).await.unwrap();
        }
        let patched = scene
            .server
            .asked(&Method::PATCH)
            .into_iter()
            .filter(|asked| !asked.body["metadata"]["finalizers"].is_null());
        assert_eq!(patched.count(), writes, "kept by {kept:?}");
    }
}

#[tokio::test]
async fn a_reconcile_that_fails_is_tried_again_ever_later_until_one_does_not() {
    let scene = Scene::new();
    let waits = |times: usize| {
        (0..times)
            .map(|_| error_policy(&copy("9"), &scene.context.memory.failures))
            .collect::<Vec<_>>()
    };
    let seconds = |seconds: &[u64]| {
        seconds
            .iter()
            .map(|seconds| Action::requeue(Duration::from_secs(*seconds)))
            .collect::<Vec<_>>()
    };
    assert_eq!(waits(8), seconds(&[1, 2, 4, 8, 16, 32, 60, 60]));
    scene.context.memory.writes.acknowledged("1", "10");
    scene.server.refuses(&Method::GET, SAGA, 500);
    reconcile(copy("of another kind"), Arc::clone(&scene.context)).await.unwrap_err();
    assert_eq!(waits(1), seconds(&[60]));
    scene.server.refuses(&Method::GET, SAGA, 404);
    reconcile(copy("of another kind"), Arc::clone(&scene.context)).await.unwrap();
    assert_eq!(waits(1), seconds(&[1]));
}
