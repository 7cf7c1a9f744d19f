//! Deletions: under which preconditions, and after which live reads.

use super::*;
use crate::{
    controller::{
        clock::now,
        effects::{
            end::{self, StopReason},
            performance::Next,
        },
        observe::leftovers::leaves_any,
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

/// Returns the pod of an attempt in this phase.
fn pod_of(number: i64, phase: &str) -> Value {
    let mut pod = bound(phase);
    pod["metadata"]["name"] = json!(Pod::name_of("order", "1", &AttemptId { number, ..attempt() }));
    pod["metadata"]["labels"]["saga.dev/attempt"] = json!(number.to_string());
    pod["metadata"]["uid"] = json!(format!("p{number}"));
    pod
}

/// Sweeps after a saga under way whose pods of these attempts exist, in these phases. `live`: the
/// fields in which the saga on the API server differs. Returns whether the plan is told of anything
/// to sweep, and the UIDs of the deleted pods.
async fn swept_under_way(active: Value, pods: &[(i64, &str)], live: Value) -> (bool, Vec<Value>) {
    let mut scene = Scene::new();
    let long_ago = "2026-03-01T12:00:00.000000Z";
    let settled: Vec<_> = (8..13)
        .map(|attempt| {
            json!({
                "attempt": attempt, "outcome": "Failed", "startedAt": long_ago,
                "settledAt": long_ago,
            })
        })
        .collect();
    let mut action = json!({"attempt": 12, "budgetUsed": 12, "attempts": settled});
    action.as_object_mut().unwrap().extend(active.as_object().unwrap().clone());
    let steps = json!([{"name": "ship", "phase": "Retrying", "action": action}]);
    let running = saga(&by_pod(), &json!({"phase": "Running", "steps": steps}));
    let pods: Vec<_> = pods.iter().map(|(number, phase)| pod_of(*number, phase)).collect();
    scene.watches(&[], &pods);
    let mut on_server = running.clone();
    on_server.as_object_mut().unwrap().extend(live.as_object().unwrap().clone());
    scene.server.holds(SAGA, on_server);
    let (stored, valid) = (stored(&running), valid(&running));
    let told = leaves_any(&scene.context.cluster, &stored, now());
    end::delete_leftovers(&scene.performance(&stored, &valid)).await.unwrap();
    let deleted = scene.server.asked(&Method::DELETE).into_iter();
    (told, deleted.map(|asked| asked.body["preconditions"]["uid"].clone()).collect())
}

#[tokio::test]
async fn of_a_saga_under_way_the_failed_pods_before_the_newest_ten_are_swept() {
    let none = json!({});
    let pods = [(1, "Failed"), (2, "Failed"), (3, "Failed"), (12, "Failed")];
    assert_eq!(
        swept_under_way(none.clone(), &pods, none.clone()).await,
        (true, vec![json!("p1"), json!("p2")])
    );
    // An exit code of 0 may count as a failure, too. What runs is never swept.
    let pods = [(1, "Succeeded"), (2, "Running")];
    assert_eq!(swept_under_way(none.clone(), &pods, none.clone()).await, (true, vec![json!("p1")]));
    assert_eq!(
        swept_under_way(none.clone(), &[(3, "Failed")], none.clone()).await,
        (false, Vec::new())
    );
    // Attempt 12 has not settled: ten others are the newest.
    let active = json!({"active": {"startedAt": "2026-03-01T12:00:00.000000Z"}});
    assert_eq!(
        swept_under_way(active, &[(1, "Failed"), (2, "Failed")], none).await,
        (true, vec![json!("p1")])
    );
}

#[tokio::test]
async fn nothing_is_swept_of_a_saga_that_ended_since_or_was_created_anew() {
    let again = json!({"metadata": {"name": "order", "namespace": "shop", "uid": "2"}});
    for live in [json!({"status": {"phase": "Cancelled"}}), again] {
        let (told, deleted) = swept_under_way(json!({}), &[(1, "Failed")], live).await;
        assert!(told && deleted.is_empty(), "{deleted:?}");
    }
}
