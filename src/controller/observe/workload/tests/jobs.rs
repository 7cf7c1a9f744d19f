//! Jobs that are gone, or about to go, and the pods that they leave.

use super::*;
use crate::objects::child::STUCK_SINCE;

/// A Job with the UID `j` of one pod, and more in its metadata.
fn job(more: &Value) -> Value {
    let template = json!({"spec": {"restartPolicy": "Never", "containers": []}});
    let mut job = json!({
        "metadata": {"name": "j", "namespace": "shop", "uid": "j"},
        "spec": {"backoffLimit": 0, "template": template},
    });
    job["metadata"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

/// The pod of that Job, which let go of it.
pub(super) fn pod_of_job(phase: &str, code: Option<i32>) -> Value {
    let state = code.map_or_else(
        || json!({"running": {}}),
        |code| {
            json!({
                "terminated": {
                    "exitCode": code, "reason": "Error", "startedAt": "2026-03-01T09:00:00Z",
                },
            })
        },
    );
    let status = json!({
        "name": "step", "image": "a", "imageID": "", "ready": false, "restartCount": 0,
        "state": state,
    });
    let labels = json!({
        "batch.kubernetes.io/controller-uid": "j", "app.kubernetes.io/managed-by": "saga-operator",
    });
    json!({
        "metadata": {"name": "j-0", "namespace": "shop", "uid": "p", "labels": labels},
        "spec": {"nodeName": "n", "containers": []},
        "status": {"phase": phase, "containerStatuses": [status]},
    })
}

impl Scene {
    pub(super) fn with_job() -> Self {
        Self::new(&json!({
            "job": {
                "spec": {
                    "template": {"spec": {"containers": [{"name": "step", "image": "ship"}]}},
                },
            },
        }))
    }

    fn job_path(&self) -> &'static str {
        format!(
            "/apis/batch/v1/namespaces/shop/jobs/{}",
            Job::name_of("order", "1", &self.key.attempt)
        )
        .leak()
    }

    /// From now on a live read of the pods shows these.
    fn lists(&self, pods: &[Value]) {
        self.answers(
            "/api/v1/namespaces/shop/pods",
            200,
            json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods}),
        );
    }
}

#[tokio::test]
async fn a_job_that_somebody_keeps_has_ended_once_it_was_deleted_long_ago_and_nothing_of_it_runs() {
    let kept =
        json!({"deletionTimestamp": "2026-03-01T10:00:00Z", "finalizers": ["example.com/keep"]});
    let scene = Scene::with_job();
    scene.answers(scene.job_path(), 200, job(&kept));
    scene.lists(&[]);
    let at_first = scene.look_at::<Job>(Some("j")).await.unwrap();
    assert!(
        matches!(&at_first, ChildState::Active { detail, .. } if detail == "is being deleted"),
        "{at_first:?}"
    );
    scene.waited(|known| known.deleting_since = Some(ago(STUCK_SINCE)));
    scene.lists(&[pod_of_job("Running", None)]);
    assert!(
        matches!(scene.look_at::<Job>(Some("j")).await.unwrap(), ChildState::Active { .. }),
        "a pod of it runs that no watch shows"
    );
    scene.lists(&[pod_of_job("Failed", Some(3))]);
    let end = scene.look_at::<Job>(Some("j")).await.unwrap();
    assert!(
        matches!(&end, ChildState::Ended(End::Failed(failure)) if failure.exit_code == Some(3)),
        "{end:?}"
    );
}

#[tokio::test]
async fn a_pod_that_only_the_watch_still_shows_is_waited_for_until_the_watch_brings_its_end() {
    let mut scene = Scene::with_job();
    let mut waiting = pod_of_job("Pending", None);
    (waiting["spec"]["nodeName"], waiting["status"]) = (Value::Null, json!({"phase": "Pending"}));
    let waiting: Pod = serde_json::from_value(waiting).unwrap();
    let (store, mut writer) = kube::runtime::reflector::store();
    writer.apply_watcher_event(&kube::runtime::watcher::Event::Apply(waiting.clone()));
    fixture::caches(&mut scene.context).pods = vec![store];
    scene.context.memory.job_pods.born("j");
    scene.context.memory.job_pods.saw(&waiting);
    scene.context.memory.job_pods.job_went(
        &serde_json::from_value(job(&json!({"deletionTimestamp": "2026-03-01T10:00:00Z"})))
            .unwrap(),
    );
    scene.lists(&[]);
    let awaited = scene.look_at::<Job>(Some("j")).await.unwrap();
    assert!(
        matches!(&awaited, ChildState::Active { detail, .. } if detail.contains("the end of its \
            pods is awaited")),
        "{awaited:?}"
    );
    scene.context.memory.job_pods.went(&waiting);
    writer.apply_watcher_event(&kube::runtime::watcher::Event::Delete(waiting));
    let end = scene.look_at::<Job>(Some("j")).await.unwrap();
    assert!(
        matches!(
            &end,
            ChildState::Ended(End::Failed(failure)) if failure.reached == Reached::Nothing
        ),
        "{end:?}"
    );
}

#[tokio::test]
async fn the_pods_of_a_job_that_is_gone_are_read_live_whatever_memory_says_of_them() {
    let scene = Scene::with_job();
    let owner = json!({
        "apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "j", "controller": true,
    });
    let mut running = pod_of_job("Running", None);
    running["metadata"]["ownerReferences"] = json!([owner]);
    scene.context.memory.job_pods.saw(&serde_json::from_value(running).unwrap());
    scene.context.memory.job_pods.job_went(&serde_json::from_value(job(&json!({}))).unwrap());
    scene.lists(&[pod_of_job("Running", None)]);
    let awaited = scene.look_at::<Job>(Some("j")).await.unwrap();
    assert!(
        matches!(&awaited, ChildState::Active { detail, .. } if detail.contains("the end of its \
            pods is awaited")),
        "{awaited:?}"
    );
    scene.lists(&[pod_of_job("Succeeded", Some(0))]);
    let end = scene.look_at::<Job>(Some("j")).await.unwrap();
    assert_eq!(end, ChildState::Ended(End::Succeeded(None)));
    // One that went unseen stays nobody's for ever neither.
    let unseen = Scene::with_job();
    unseen
        .context
        .memory
        .job_pods
        .saw(&serde_json::from_value(pod_of_job("Running", None)).unwrap());
    unseen.lists(&[]);
    let vanished = unseen.look_at::<Job>(Some("j")).await.unwrap();
    assert!(matches!(vanished, ChildState::Absent(_)), "{vanished:?}");
}

#[tokio::test]
async fn what_a_look_learned_before_a_read_failed_is_noted_after_it_and_not_by_it() {
    let scene = Scene::with_job();
    let mut failed = job(&json!({"deletionTimestamp": "2026-03-01T10:00:00Z"}));
    failed["status"] = json!({
        "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}],
        "failed": 1,
    });
    scene.answers(scene.job_path(), 200, failed);
    let no = json!({
        "kind": "Status", "status": "Failure", "code": 500, "reason": "", "message": "no",
    });
    scene.answers("/api/v1/namespaces/shop/pods", 500, no);
    let known = || {
        let known = scene.context.memory.attempts.known(&scene.key);
        (known.child.map(|(_, uid)| uid), known.deleting_since.is_some())
    };
    let sources = scene.context.sources();
    let mut view = AttemptView::new(sources.memory, &scene.key);
    let seen = child::<Job>(&sources, &scene.saga, &mut view, &intent(Some("j"))).await;
    assert_eq!(known(), (None, false), "a look writes nothing");
    let observed = Observed { seen, learned: view.into_learned() };
    noted(&scene.context.memory, &scene.context.outbound, observed).unwrap_err();
    assert_eq!(known(), (Some("j".into()), true), "its deletion is waited for since then");
}
