//! What becomes of children where nobody may look at them any more, and of those whose namespace
//! goes.

use super::*;
use crate::{controller::cluster::watch_health::WatchedKind, objects::child::STUCK_SINCE};

/// The answer to who has no right.
fn forbidden() -> Value {
    json!({
        "kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden",
        "message": "pods is forbidden",
    })
}

impl Scene {
    /// A process whose rights in the namespace are gone.
    fn without_rights() -> Self {
        let scene = Self::with_pod();
        scene.answers(scene.path(), 403, forbidden());
        scene.answers("/api/v1/namespaces/shop", 200, json!({"metadata": {"name": "shop"}}));
        scene
    }

    fn namespace_is_deleted(&self) {
        self.answers(
            "/api/v1/namespaces/shop",
            200,
            json!({"metadata": {"name": "shop", "deletionTimestamp": "2030-01-01T00:00:00Z"}}),
        );
    }

    /// As if the child had been seen, and seen to go, as long ago as one may take to go.
    fn waits(&self) {
        let long_ago = Instant::now().checked_sub(STUCK_SINCE);
        self.context.memory.attempts.look(&self.key, |known| {
            known.child = Some((long_ago.unwrap(), "p".into()));
            known.deleting_since = long_ago;
        });
    }
}

#[tokio::test]
async fn what_the_watch_brought_of_a_pod_is_all_there_is_once_the_namespace_goes() {
    let scene = Scene::without_rights();
    let end = not_started("was bound to no node".into());
    scene.context.memory.attempts.look(&scene.key, |known| known.gone = Some(end.clone()));
    let error = scene.look(Some("p")).await.unwrap_err();
    assert!(
        error.is_forbidden(),
        "while the namespace lives, the Pod may be there without its label: {error}"
    );
    scene.namespace_is_deleted();
    assert_eq!(scene.look(Some("p")).await.unwrap(), end.into());
}

#[tokio::test]
async fn a_pod_of_which_nothing_was_brought_is_unknown_once_the_namespace_had_the_time_to_take_it()
{
    let scene = Scene::without_rights();
    assert!(
        scene.look(None).await.unwrap_err().is_forbidden(),
        "it is not absent because nobody may look"
    );
    scene.namespace_is_deleted();
    assert!(
        matches!(scene.look(None).await.unwrap(), ChildState::Ended(End::Unknown { .. })),
        "another process may have created it"
    );
    let awaited = scene.look(Some("p")).await.unwrap();
    assert!(
        matches!(&awaited, ChildState::Active { detail, .. } if detail.contains("may no longer \
            read its Pod")),
        "{awaited:?}"
    );
    scene.waits();
    let unknown = scene.look(Some("p")).await.unwrap();
    assert!(
        matches!(
            &unknown,
            ChildState::Ended(End::Unknown { message, .. })
                if message.contains("it may still run")
        ),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn a_cache_that_no_watch_fills_any_more_is_believed_only_as_long_as_the_namespace_lives() {
    let mut scene = Scene::without_rights();
    let (store, mut writer) = kube::runtime::reflector::store();
    writer.apply_watcher_event(&kube::runtime::watcher::Event::Apply(
        serde_json::from_value(scene.pod("p", "Running")).unwrap(),
    ));
    fixture::caches(&mut scene.context).pods.push(store);
    scene.context.cluster.watch_health.failed("shop", WatchedKind::Pod, Some(403));
    scene.waits();
    assert!(matches!(scene.look(Some("p")).await.unwrap(), ChildState::Active { .. }));
    scene.namespace_is_deleted();
    assert!(matches!(scene.look(Some("p")).await.unwrap(), ChildState::Ended(End::Unknown { .. })));
    scene.context.cluster.watch_health.works("shop", WatchedKind::Pod);
    assert!(
        matches!(scene.look(Some("p")).await.unwrap(), ChildState::Active { .. }),
        "the watch tells of its end"
    );
}

#[tokio::test]
async fn the_pods_of_a_job_that_failed_are_not_waited_for_once_the_namespace_goes() {
    let scene = Scene::without_rights();
    scene.answers("/api/v1/namespaces/shop/pods", 403, forbidden());
    let failed = json!({
        "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}],
        "failed": 1,
    });
    let job = json!({
        "metadata": {"name": "j", "namespace": "shop", "uid": "j"}, "spec": {"template": {}},
        "status": failed,
    });
    let job: Job = serde_json::from_value(job).unwrap();
    assert!(
        job.state(&scene.context.cluster, scene.context.memory.job_pods.view(), Duration::ZERO)
            .await
            .unwrap_err()
            .is_forbidden(),
        "they may still run"
    );
    scene.namespace_is_deleted();
    let state = job
        .state(&scene.context.cluster, scene.context.memory.job_pods.view(), Duration::ZERO)
        .await
        .unwrap();
    assert!(matches!(state, ChildState::Ended(End::Failed(_) | End::Unknown { .. })), "{state:?}");
}
