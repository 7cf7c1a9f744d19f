#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    convert::Infallible,
    sync::{Mutex, PoisonError},
};

use http::{Request, Response};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::{Client, client::Body};
use serde_json::{Value, json};

use super::*;
use crate::{
    controller::{
        clock::now, cluster::watch_health::Watched, context::fixture, effects::perform::never_begun,
    },
    model::{observation::Reached, saga::SagaName},
    objects::{child::STUCK_SINCE, pod},
    validate::saga::validate_stored,
};

/// What an API server holds: answers by path, 404 for any other.
type Server = Arc<Mutex<Vec<(&'static str, u16, Value)>>>;

/// A saga with one step that runs a Pod, the key of its first attempt, and a process that knows
/// nothing of it yet.
struct Scene {
    context: Arc<Context>,
    saga: ValidSaga,
    key: AttemptKey,
    server: Server,
}

impl Scene {
    fn new(action: &Value) -> Self {
        let server = Server::default();
        let service = {
            let server = Arc::clone(&server);
            tower::service_fn(move |request: Request<Body>| {
                let held = server.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let found = held.into_iter().find(|(path, _, _)| *path == request.uri().path());
                let missing = json!({
                    "kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound",
                    "message": "not found",
                });
                let (code, body) = found.map_or((404, missing), |(_, code, body)| (code, body));
                let response = Response::builder()
                    .status(code)
                    .body(Body::from(body.to_string().into_bytes()))
                    .unwrap();
                std::future::ready(Ok::<_, Infallible>(response))
            })
        };
        let (context, _announced) = fixture::context(Client::new(service, "default"), None);
        let named = SagaName { name: "order".into(), namespace: "shop".into(), uid: "1".into() };
        let mut step = json!({"name": "ship"});
        step.as_object_mut().unwrap().extend(action.as_object().unwrap().clone());
        let saga = validate_stored(
            &named,
            &serde_json::from_value(json!({"steps": [step]})).map_err(|_| String::new()),
        )
        .unwrap();
        let key = (
            "1".to_owned(),
            AttemptId { step: "ship".into(), direction: Direction::Action, number: 1 },
        );
        Self { context, saga, key, server }
    }

    fn with_pod() -> Self {
        Self::new(&json!({"pod": {"image": "ship"}}))
    }

    /// From now on the API server answers so there.
    fn answers(&self, path: &'static str, code: u16, body: Value) {
        let mut server = self.server.lock().unwrap();
        server.retain(|(known, _, _)| *known != path);
        server.push((path, code, body));
    }

    /// The Pod of the attempt as the API server holds it.
    fn pod(&self, uid: &str, phase: &str) -> Value {
        let identity = crate::model::saga::Identity {
            saga: "order".into(),
            namespace: "shop".into(),
            uid: self.key.0.clone(),
            attempt: self.key.1.clone(),
            key: "1/ship/action/0".into(),
        };
        let Work::Pod(action) = &self.saga.steps.first().unwrap().action.work else {
            unreachable!()
        };
        let mut pod = serde_json::to_value(
            pod::build::pod(&self.saga, &identity, action, Duration::from_mins(1)).unwrap(),
        )
        .unwrap();
        pod["metadata"]["uid"] = json!(uid);
        pod["spec"]["nodeName"] = json!("n");
        pod["status"] = json!({"phase": phase});
        pod
    }

    fn path(&self) -> &'static str {
        let name = Pod::name_of("order", "1", &self.key.1);
        format!("/api/v1/namespaces/shop/pods/{name}").leak()
    }

    /// The state of the Pod, where the status names this one.
    async fn look(&self, written: Option<&str>) -> Result<ChildState, Error> {
        self.look_at::<Pod>(written).await
    }

    /// The same of a child of this kind.
    async fn look_at<K: Child>(&self, written: Option<&str>) -> Result<ChildState, Error> {
        let intent = ActiveAttempt {
            started_at: MicroTime(now()),
            executor: None,
            ends_by: None,
            clock_ahead_seconds: 0,
            clock_behind_seconds: 0,
            child_uid: written.map(Into::into),
            trouble: None,
        };
        child::<K>(&self.context, &self.saga, &self.key, &intent).await.map(|(state, _)| state)
    }
}

#[tokio::test]
async fn what_one_process_was_refused_and_another_one_created_goes_on() {
    let scene = Scene::with_pod();
    scene.context.attempts.ended(&scene.key, never_begun("forbidden".into(), true));
    let refused = scene.look(None).await.unwrap();
    assert!(
        matches!(&refused, ChildState::Failed(failure) if failure.reached == Reached::Nothing),
        "{refused:?}"
    );
    scene.answers(scene.path(), 200, scene.pod("p", "Running"));
    let seen = scene.look(Some("p")).await.unwrap();
    assert!(matches!(&seen, ChildState::Active { uid: Some(uid), .. } if uid == "p"), "{seen:?}");
}

#[tokio::test]
async fn who_leads_again_looks_whether_another_one_created_what_it_could_not() {
    let scene = Scene::with_pod();
    scene.context.attempts.ended(&scene.key, never_begun("forbidden".into(), true));
    scene.context.lead(false, false);
    let saga = json!({
        "metadata": {"name": "order", "namespace": "shop", "uid": "1"}, "spec": {"steps": []},
    });
    assert!(
        !scene.context.answers_for(&serde_json::from_value(saga).unwrap()),
        "it has nothing to tell that others cannot"
    );
    scene.context.lead(true, true);
    scene.answers(scene.path(), 200, scene.pod("p", "Running"));
    let seen = scene.look(None).await.unwrap();
    assert!(matches!(&seen, ChildState::Active { uid: Some(uid), .. } if uid == "p"), "{seen:?}");
}

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
        self.context.attempts.look(&self.key, |known| {
            known.child = Some((long_ago.unwrap(), "p".into()));
            known.deleting_since = long_ago;
        });
    }
}

#[tokio::test]
async fn what_the_watch_brought_of_a_pod_is_all_there_is_once_the_namespace_goes() {
    let scene = Scene::without_rights();
    let end = never_begun("was bound to no node".into(), false);
    scene.context.attempts.look(&scene.key, |known| known.gone = Some(end.clone()));
    let error = scene.look(Some("p")).await.unwrap_err();
    assert!(
        error.is_forbidden(),
        "while the namespace lives, the Pod may be there without its label: {error}"
    );
    scene.namespace_is_deleted();
    assert_eq!(scene.look(Some("p")).await.unwrap(), end);
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
        matches!(scene.look(None).await.unwrap(), ChildState::Unknown { .. }),
        "another process may have created it"
    );
    let awaited = scene.look(Some("p")).await.unwrap();
    assert!(
        matches!(&awaited, ChildState::Active { detail, .. } if detail.contains("nobody may look \
            at its Pod")),
        "{awaited:?}"
    );
    scene.waits();
    let unknown = scene.look(Some("p")).await.unwrap();
    assert!(
        matches!(&unknown, ChildState::Unknown { message, .. } if message.contains("it may still \
            run")),
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
    Arc::get_mut(&mut scene.context).unwrap().caches.pods.push(store);
    scene.context.barred.failed("shop", Watched::Pod, Some(403));
    scene.waits();
    assert!(matches!(scene.look(Some("p")).await.unwrap(), ChildState::Active { .. }));
    scene.namespace_is_deleted();
    assert!(matches!(scene.look(Some("p")).await.unwrap(), ChildState::Unknown { .. }));
    scene.context.barred.works("shop", Watched::Pod);
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
        job.state(&scene.context, Duration::ZERO).await.unwrap_err().is_forbidden(),
        "they may still run"
    );
    scene.namespace_is_deleted();
    let state = job.state(&scene.context, Duration::ZERO).await.unwrap();
    assert!(matches!(state, ChildState::Failed(_) | ChildState::Unknown { .. }), "{state:?}");
}

#[tokio::test]
async fn a_pod_that_lost_its_owner_is_known_by_the_uid_that_the_status_names_and_by_no_other() {
    let orphan = |scene: &Scene| {
        let mut pod = scene.pod("p", "Running");
        pod["metadata"]["ownerReferences"].take();
        scene.answers(scene.path(), 200, pod);
    };
    let conflict = |state: &ChildState| {
        matches!(
            state,
            ChildState::Failed(failure) if failure.message.starts_with("NameConflict")
        )
    };
    let scene = Scene::with_pod();
    orphan(&scene);
    let named = scene.look(Some("p")).await.unwrap();
    assert!(matches!(&named, ChildState::Active { uid: Some(uid), .. } if uid == "p"), "{named:?}");
    assert!(matches!(scene.look(None).await.unwrap(), ChildState::Active { .. }), "it was seen");
    let stranger = Scene::with_pod();
    orphan(&stranger);
    let foreign = stranger.look(None).await.unwrap();
    assert!(conflict(&foreign), "{foreign:?}");
    // The attempt's own Pod was there, and is gone: whoever has its name now, it may have acted.
    let vanished = stranger.look(Some("q")).await.unwrap();
    assert!(matches!(vanished, ChildState::Absent(_)), "{vanished:?}");
}

#[tokio::test]
async fn what_the_watch_saw_to_be_done_stays_so_although_it_lost_its_label_and_is_told_to_go_since()
{
    let scene = Scene::with_pod();
    let mut pod = scene.pod("p", "Succeeded");
    pod["metadata"]["deletionTimestamp"] = json!("2030-01-01T00:00:00Z");
    scene.answers(scene.path(), 200, pod);
    assert!(
        matches!(scene.look(Some("p")).await.unwrap(), ChildState::Unknown { .. }),
        "it may have ended because it was told to"
    );
    scene.context.attempts.look(&scene.key, |known| known.gone = Some(ChildState::Succeeded(None)));
    assert_eq!(scene.look(Some("p")).await.unwrap(), ChildState::Succeeded(None));
}

/// As long ago as this.
fn ago(wanted: Duration) -> Instant {
    Instant::now().checked_sub(wanted).unwrap()
}

impl Scene {
    /// As if the child had been seen for the first time some time ago, and this, too.
    fn waited(&self, also: impl FnOnce(&mut crate::controller::memory::attempts::Known)) {
        self.context.attempts.look(&self.key, |known| {
            known.child.as_mut().unwrap().0 = ago(WATCH_LAG);
            also(known);
        });
    }
}

#[tokio::test]
async fn an_end_that_another_container_holds_up_is_taken_after_the_grace() {
    let scene = Scene::with_pod();
    let mut pod = scene.pod("p", "Running");
    let status = |name: &str, state: Value| {
        json!({
            "name": name, "image": "a", "imageID": "", "ready": false, "restartCount": 0,
            "state": state,
        })
    };
    let crashed = json!({
        "terminated": {"exitCode": 139, "reason": "Error", "startedAt": "2026-03-01T09:00:00Z"},
    });
    pod["status"]["containerStatuses"] =
        json!([status("step", crashed), status("proxy", json!({"running": {}}))]);
    scene.answers(scene.path(), 200, pod);
    assert!(matches!(scene.look(Some("p")).await.unwrap(), ChildState::Active { .. }));
    let since = |wanted| scene.waited(|known| known.held_up_since = Some(ago(wanted)));
    since(Duration::from_secs(59));
    assert!(matches!(scene.look(Some("p")).await.unwrap(), ChildState::Active { .. }));
    since(Duration::from_mins(1));
    let end = scene.look(Some("p")).await.unwrap();
    assert!(
        matches!(&end, ChildState::Failed(failure) if failure.exit_code == Some(139)),
        "{end:?}"
    );
}

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
fn pod_of_job(phase: &str, code: Option<i32>) -> Value {
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
    fn with_job() -> Self {
        Self::new(&json!({
            "job": {
                "spec": {
                    "template": {"spec": {"containers": [{"name": "step", "image": "ship"}]}},
                },
            },
        }))
    }

    fn job_path(&self) -> &'static str {
        format!("/apis/batch/v1/namespaces/shop/jobs/{}", Job::name_of("order", "1", &self.key.1))
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
    assert!(matches!(&end, ChildState::Failed(failure) if failure.exit_code == Some(3)), "{end:?}");
}

#[tokio::test]
async fn a_pod_that_only_the_watch_still_shows_is_waited_for_until_the_watch_brings_its_end() {
    let mut scene = Scene::with_job();
    let mut waiting = pod_of_job("Pending", None);
    (waiting["spec"]["nodeName"], waiting["status"]) = (Value::Null, json!({"phase": "Pending"}));
    let waiting: Pod = serde_json::from_value(waiting).unwrap();
    let (store, mut writer) = kube::runtime::reflector::store();
    writer.apply_watcher_event(&kube::runtime::watcher::Event::Apply(waiting.clone()));
    Arc::get_mut(&mut scene.context).unwrap().caches.pods = vec![store];
    scene.context.families.born("j");
    scene.context.families.saw(&waiting);
    scene.context.families.job_went(
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
    scene.context.families.went(&waiting);
    writer.apply_watcher_event(&kube::runtime::watcher::Event::Delete(waiting));
    let end = scene.look_at::<Job>(Some("j")).await.unwrap();
    assert!(
        matches!(&end, ChildState::Failed(failure) if failure.reached == Reached::Nothing),
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
    scene.context.families.saw(&serde_json::from_value(running).unwrap());
    scene.context.families.job_went(&serde_json::from_value(job(&json!({}))).unwrap());
    scene.lists(&[pod_of_job("Running", None)]);
    let awaited = scene.look_at::<Job>(Some("j")).await.unwrap();
    assert!(
        matches!(&awaited, ChildState::Active { detail, .. } if detail.contains("the end of its \
            pods is awaited")),
        "{awaited:?}"
    );
    scene.lists(&[pod_of_job("Succeeded", Some(0))]);
    let end = scene.look_at::<Job>(Some("j")).await.unwrap();
    assert_eq!(end, ChildState::Succeeded(None));
    // One that went unseen stays nobody's for ever neither.
    let unseen = Scene::with_job();
    unseen.context.families.saw(&serde_json::from_value(pod_of_job("Running", None)).unwrap());
    unseen.lists(&[]);
    let vanished = unseen.look_at::<Job>(Some("j")).await.unwrap();
    assert!(matches!(vanished, ChildState::Absent(_)), "{vanished:?}");
}
