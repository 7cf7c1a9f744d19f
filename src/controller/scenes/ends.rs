//! Deletions: under which preconditions, and after which live reads.

use super::*;
use crate::{
    controller::effects::{
        end::{self, StopReason},
        performance::Next,
    },
    model::observation::{End, Failure, Reached},
};

/// Stops the attempt, whose pod is `pod`. Returns the next step, the end that this process noted,
/// and the preconditions of each deletion.
async fn stopped(scene: &Scene, pod: &Value) -> (Next, Option<End>, Vec<Value>) {
    let saga = saga(&by_pod(), &under_way(&json!({})));
    scene.server.holds(SAGA, saga.clone());
    scene.server.holds(&pod_path(), pod.clone());
    let (stored, valid) = (stored(&saga), valid(&saga));
    let next = end::stop(&scene.performance(&stored, &valid), attempt(), StopReason::Overdue)
        .await
        .unwrap();
    let deleted = scene
        .server
        .asked(&Method::DELETE)
        .into_iter()
        .map(|asked| asked.body["preconditions"].clone())
        .collect();
    (next, scene.context.memory.attempts.look(&key(), |known| known.end.clone()), deleted)
}

#[tokio::test]
async fn a_pod_without_a_node_is_deleted_under_the_version_that_shows_none_and_never_started() {
    let (next, end, deleted) = stopped(&Scene::new(), &ships()).await;
    assert_eq!(deleted, [json!({"uid": "p", "resourceVersion": "70"})]);
    assert!(matches!(end, Some(End::Failed(Failure { reached: Reached::Nothing, .. }))), "{end:?}");
    assert_eq!(next, Next::AtOnce);
}

#[tokio::test]
async fn a_pod_that_was_bound_before_its_deletion_came_may_have_started() {
    let scene = Scene::new();
    scene.server.refuses(&Method::DELETE, &pod_path(), 409);
    let (next, end, deleted) = stopped(&scene, &ships()).await;
    assert_eq!((next, end, deleted.len()), (Next::Later, None, 1));
}

#[tokio::test]
async fn a_pod_on_a_node_is_deleted_whatever_its_version_and_its_end_is_awaited() {
    let (next, end, deleted) = stopped(&Scene::new(), &bound("Running")).await;
    assert_eq!((next, end, deleted), (Next::Later, None, vec![json!({"uid": "p"})]));
}

#[tokio::test]
async fn a_pod_that_cannot_be_read_is_deleted_by_its_uid_and_its_end_is_awaited() {
    let mut unread = ships();
    unread["status"] = json!({"startTime": "9999-12-31T23:59:59Z"});
    let (next, end, deleted) = stopped(&Scene::new(), &unread).await;
    assert_eq!((next, end, deleted), (Next::Later, None, vec![json!({"uid": "p"})]));
}

/// Sweeps after a saga that this process saw as ended. `live`: the fields in which the saga on the
/// API server differs; `None` if the saga is gone there. Returns the deleted pods with the
/// preconditions of each deletion.
async fn swept(live: Option<Value>) -> Vec<(String, Value)> {
    let mut scene = Scene::new();
    let attempted =
        json!({"attempt": 1, "budgetUsed": 1, "begun": true, "lastOutcome": "Succeeded"});
    let ended = json!({
        "phase": "Completed",
        "steps": [{"name": "ship", "phase": "Completed", "action": attempted}],
    });
    let ended = saga(&by_pod(), &ended);
    scene.watches(&[], &[bound("Succeeded")]);
    if let Some(live) = live {
        let mut saga = ended.clone();
        saga.as_object_mut().unwrap().extend(live.as_object().unwrap().clone());
        scene.server.holds(SAGA, saga);
    }
    let (stored, valid) = (stored(&ended), valid(&ended));
    end::delete_leftovers(&scene.performance(&stored, &valid)).await.unwrap();
    scene
        .server
        .asked(&Method::DELETE)
        .into_iter()
        .map(|asked| (asked.path, asked.body["preconditions"].clone()))
        .collect()
}

#[tokio::test]
async fn the_pods_of_an_ended_saga_are_swept_only_where_a_live_read_shows_that_it_ended() {
    assert_eq!(swept(Some(json!({}))).await, [(pod_path(), json!({"uid": "p"}))]);
    assert_eq!(
        swept(Some(json!({"status": {"phase": "Compensating"}}))).await,
        [],
        "it is undone since"
    );
    assert_eq!(
        swept(Some(json!({"metadata": {"name": "order", "namespace": "shop", "uid": "2"}}))).await,
        [],
        "it was created anew"
    );
    assert_eq!(swept(None).await, [], "the garbage collector takes them along");
}
