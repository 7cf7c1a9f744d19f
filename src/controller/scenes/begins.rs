//! An attempt begins late only if a live read shows the same saga with the same spec, and shows the
//! attempt as not begun by anybody.

use super::*;
use crate::controller::cluster::sagas::{live, may_still_begin};

#[tokio::test]
async fn the_saga_that_was_decided_on_is_the_one_with_its_uid_and_its_pinned_fields() {
    let scene = Scene::new();
    let decided = stored(&saga(&by_pod(), &under_way(&json!({}))));
    let found = |held: Value| {
        scene.server.holds(SAGA, held);
        async { live(&scene.context.cluster, &decided).await.unwrap().is_some() }
    };
    let mut same = saga(&by_pod(), &under_way(&json!({})));
    same["spec"]["maxParallel"] = json!(2);
    assert!(found(same).await, "what may change may have changed");
    assert!(
        !found(saga(&json!({"pod": {"image": "ship:2"}}), &under_way(&json!({})))).await,
        "it would do something else"
    );
    let mut anew = saga(&by_pod(), &under_way(&json!({})));
    anew["metadata"]["uid"] = json!("2");
    assert!(!found(anew).await);
}

#[tokio::test]
async fn an_attempt_whose_pod_somebody_saw_does_not_begin_late() {
    let scene = Scene::new();
    let decided = stored(&saga(&by_pod(), &under_way(&json!({}))));
    let mut begins = Vec::new();
    for (more, uid) in [
        (json!({}), None),
        (json!({"childUid": "p"}), None),
        (json!({"childUid": "o"}), Some("o")),
        (json!({}), Some("o")),
    ] {
        scene.server.holds(SAGA, saga(&by_pod(), &under_way(&more)));
        begins.push(
            may_still_begin(&scene.context.cluster, &decided, &attempt(), uid).await.unwrap(),
        );
    }
    assert_eq!(begins, [true, false, true, false]);
    scene.server.holds(
        SAGA,
        saga(
            &by_pod(),
            &json!({"phase": "Running", "steps": [{"name": "ship", "phase": "Completed"}]}),
        ),
    );
    assert!(
        !may_still_begin(&scene.context.cluster, &decided, &attempt(), None).await.unwrap(),
        "it is settled"
    );
}
