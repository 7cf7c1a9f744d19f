#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod jobs;
mod unreadable;
mod without_rights;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use http::Request;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::{Client, client::Body};
use serde_json::{Value, json};

use super::*;
use crate::{
    controller::{
        clock::now,
        context::{Context, fixture},
        lifecycle::Role,
        memory::{
            attempt::AttemptKey,
            remembered::{not_started, refused_permanently},
        },
        observe::children::Observed,
        reconcile::{answers_for, observed::noted},
    },
    model::{observation::Reached, saga::Work},
    objects::pod,
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

/// The intent of the attempt, which names this child.
fn intent(written: Option<&str>) -> ActiveAttempt {
    ActiveAttempt {
        started_at: MicroTime(now()),
        executor: None,
        ends_by: None,
        clock_ahead_seconds: 0,
        clock_behind_seconds: 0,
        child_uid: written.map(Into::into),
        trouble: None,
    }
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
                std::future::ready(Ok::<_, Infallible>(fixture::answer(code, &body)))
            })
        };
        let (context, _announced) = fixture::context(Client::new(service, "default"), None);
        let (saga, key) = fixture::one_step("ship", action.clone());
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
            uid: self.key.saga_uid.clone(),
            attempt: self.key.attempt.clone(),
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
        let name = Pod::name_of("order", "1", &self.key.attempt);
        format!("/api/v1/namespaces/shop/pods/{name}").leak()
    }

    /// The state of the Pod, where the status names this one.
    async fn look(&self, written: Option<&str>) -> Result<ChildState, Error> {
        self.look_at::<Pod>(written).await
    }

    /// The same of a child of this kind.
    async fn look_at<K: Workload>(&self, written: Option<&str>) -> Result<ChildState, Error> {
        let sources = self.context.sources();
        let mut view = AttemptView::new(sources.memory, &self.key);
        let seen = child::<K>(&sources, &self.saga, &mut view, &intent(written)).await;
        let observed = Observed { seen, learned: view.into_learned() };
        noted(&self.context.memory, &self.context.outbound, observed).map(|(state, _)| state)
    }
}

#[tokio::test]
async fn what_one_process_was_refused_and_another_one_created_goes_on() {
    let scene = Scene::with_pod();
    scene.context.memory.attempts.ended(&scene.key, refused_permanently("forbidden".into()));
    let refused = scene.look(None).await.unwrap();
    assert!(
        matches!(
            &refused,
            ChildState::Ended(End::Failed(failure)) if failure.reached == Reached::Nothing
        ),
        "{refused:?}"
    );
    scene.answers(scene.path(), 200, scene.pod("p", "Running"));
    let seen = scene.look(Some("p")).await.unwrap();
    assert!(matches!(&seen, ChildState::Active { uid: Some(uid), .. } if uid == "p"), "{seen:?}");
}

#[tokio::test]
async fn who_leads_again_looks_whether_another_one_created_what_it_could_not() {
    let scene = Scene::with_pod();
    scene.context.memory.attempts.ended(&scene.key, refused_permanently("forbidden".into()));
    fixture::turn(&scene.context, Role::Standby);
    let saga = json!({
        "metadata": {"name": "order", "namespace": "shop", "uid": "1"}, "spec": {"steps": []},
    });
    assert!(
        !answers_for(&serde_json::from_value(saga).unwrap(), &scene.context),
        "it has nothing to tell that others cannot"
    );
    fixture::turn(&scene.context, Role::LeaderAfterOthers);
    scene.answers(scene.path(), 200, scene.pod("p", "Running"));
    let seen = scene.look(None).await.unwrap();
    assert!(matches!(&seen, ChildState::Active { uid: Some(uid), .. } if uid == "p"), "{seen:?}");
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
            ChildState::Ended(End::Failed(failure)) if failure.message.starts_with("NameConflict")
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
        matches!(scene.look(Some("p")).await.unwrap(), ChildState::Ended(End::Unknown { .. })),
        "it may have ended because it was told to"
    );
    scene.context.memory.attempts.look(&scene.key, |known| known.gone = Some(End::Succeeded(None)));
    assert_eq!(scene.look(Some("p")).await.unwrap(), ChildState::Ended(End::Succeeded(None)));
}

/// As long ago as this.
fn ago(wanted: Duration) -> Instant {
    Instant::now().checked_sub(wanted).unwrap()
}

impl Scene {
    /// As if the child had been seen for the first time some time ago, and this, too.
    fn waited(&self, also: impl FnOnce(&mut crate::controller::memory::attempt::KnownAttempt)) {
        self.context.memory.attempts.look(&self.key, |known| {
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
        matches!(&end, ChildState::Ended(End::Failed(failure)) if failure.exit_code == Some(139)),
        "{end:?}"
    );
}
