#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::{Client, client::Body};
use serde_json::{Value, json};

use super::*;
use crate::{
    api::{
        Direction,
        names::{ANNOTATION_ATTEMPT, AttemptId},
    },
    controller::context::fixture,
    model::saga::SagaName,
    validate::saga::validate_stored,
};

fn intent(child_uid: Option<&str>) -> ActiveAttempt {
    ActiveAttempt {
        started_at: MicroTime(now()),
        executor: None,
        ends_by: None,
        clock_ahead_seconds: 0,
        clock_behind_seconds: 0,
        child_uid: child_uid.map(Into::into),
        trouble: None,
    }
}

#[test]
fn who_may_not_look_any_more_cannot_tell_whether_another_process_wrote() {
    let known = Known::new();
    assert!(
        !may_be_applied(&known, &intent(None), now()),
        "this process wrote the intent, and nothing since"
    );
    assert!(may_be_applied(&known, &intent(Some("uid")), now()));
    assert!(
        may_be_applied(&known, &intent(None), now() + Duration::from_mins(1)),
        "an intent that was read a minute later"
    );
    let mut asked = Known::new();
    asked.unanswered = true;
    assert!(may_be_applied(&asked, &intent(None), now()));
}

/// An API server with one ConfigMap, or none, that answers deletions, or what is applied, in this
/// way.
#[derive(Default)]
struct Server {
    object: Option<Value>,
    answer: (u16, &'static str),
    /// What it says of its kinds where it does not list this one: 200 for a list without it.
    kinds: Option<u16>,
    /// The only kind of the group example.com, which stands in its version v2; without one there is
    /// no such group.
    other: Option<&'static str>,
    /// What it says to who looks at the object, where it does not show it.
    looks: Option<u16>,
    /// The bodies of the deletions, and of what was to be applied.
    asked: Vec<Value>,
}

impl Server {
    fn answer(&mut self, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
        let status = |code: u16, message: &str| {
            (
                code,
                json!({
                    "kind": "Status", "status": "Failure", "code": code, "message": message,
                    "reason": "",
                }),
            )
        };
        let list = |version: &str, kinds: Value| {
            (200, json!({"kind": "APIResourceList", "groupVersion": version, "resources": kinds}))
        };
        match (path, self.other) {
            ("/apis", None) => return (200, json!({"kind": "APIGroupList", "groups": []})),
            ("/apis", Some(_)) => {
                let v2 = json!({"groupVersion": "example.com/v2", "version": "v2"});
                let group =
                    json!({"name": "example.com", "versions": [v2], "preferredVersion": v2});
                return (200, json!({"kind": "APIGroupList", "groups": [group]}));
            }
            ("/apis/example.com/v2", Some(kind)) => {
                let kind = json!({
                    "name": kind.to_lowercase(), "singularName": "", "namespaced": true,
                    "kind": kind, "verbs": ["get"],
                });
                return list("example.com/v2", json!([kind]));
            }
            ("/apis/example.com/v1", _) => return status(404, "no such version"),
            _ => {}
        }
        if path == "/api/v1" {
            let kind = json!({
                "name": "configmaps", "singularName": "configmap", "namespaced": true,
                "kind": "ConfigMap", "verbs": ["get", "delete"],
            });
            return match self.kinds {
                None => list("v1", json!([kind])),
                Some(200) => list("v1", json!([])),
                Some(code) => status(code, "no kinds"),
            };
        }
        if [Method::DELETE, Method::PATCH].contains(method) {
            self.asked.push(serde_json::from_slice(body).unwrap());
            let (code, message) = self.answer;
            return if code == 200 {
                (200, json!({"kind": "Status", "status": "Success"}))
            } else {
                status(code, message)
            };
        }
        if let Some(code) = self.looks {
            return status(code, "no looks");
        }
        self.object.clone().map_or_else(|| status(404, "not found"), |object| (200, object))
    }
}

fn config_map(uid: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "old", "uid": uid}})
}

/// A deletion of the ConfigMap, or its application, as one process sees it.
struct Scene {
    context: Arc<Context>,
    saga: ValidSaga,
    key: AttemptKey,
    server: Arc<Mutex<Server>>,
}

impl Scene {
    /// The object that stands there, and how deletions are answered.
    fn new(object: Option<Value>, answer: (u16, &'static str)) -> Self {
        let action = json!({"delete": {"apiVersion": "v1", "kind": "ConfigMap", "name": "old"}});
        Self::of(action, Server { object, answer, ..Server::default() })
    }

    /// A step that applies the object.
    fn applying(server: Server) -> Self {
        Self::of(
            json!({
                "apply": {
                    "manifest": {
                        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "old"},
                    },
                },
            }),
            server,
        )
    }

    fn of(mut step: Value, server: Server) -> Self {
        let server = Arc::new(Mutex::new(server));
        let service = {
            let server = Arc::clone(&server);
            tower::service_fn(move |request: Request<Body>| {
                let server = Arc::clone(&server);
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    let (code, answer) =
                        server.lock().unwrap().answer(&parts.method, parts.uri.path(), &body);
                    let body = Body::from(answer.to_string().into_bytes());
                    Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap())
                }
            })
        };
        let (context, _) = fixture::context(Client::new(service, "default"), None);
        let named = SagaName { name: "order".into(), namespace: "shop".into(), uid: "1".into() };
        step["name"] = json!("clear");
        let saga = validate_stored(
            &named,
            &serde_json::from_value(json!({"steps": [step]})).map_err(|_| String::new()),
        )
        .unwrap();
        let key = (
            "1".to_owned(),
            AttemptId { step: "clear".into(), direction: Direction::Action, number: 1 },
        );
        Self { context, saga, key, server }
    }

    /// One look, with what the status names.
    async fn look(&self, written: Option<&str>) -> ChildState {
        self.look_at(&intent(written)).await
    }

    /// One look, by the intent that the status holds.
    async fn look_at(&self, intent: &ActiveAttempt) -> ChildState {
        let attempt = Attempt { context: &self.context, saga: &self.saga, key: &self.key };
        attempt.state(&self.saga.steps[0].action.work, intent).await.0
    }

    /// Does what the step is to do.
    async fn begin(&self, uid: Option<&str>) {
        Attempt { context: &self.context, saga: &self.saga, key: &self.key }
            .begin(&self.saga.steps[0].action.work, uid)
            .await;
    }

    /// Asks for the deletion, and looks.
    async fn delete(&self, uid: &str) -> ChildState {
        self.begin(Some(uid)).await;
        self.look(Some(uid)).await
    }

    /// What comes after the wait that follows a refusal.
    fn wait_is_over(&self) {
        self.context.attempts.look(&self.key, |known| {
            if let Some(refusal) = &mut known.refusal {
                refusal.until = Instant::now();
            }
        });
    }

    fn asked(&self) -> usize {
        self.server.lock().unwrap().asked.len()
    }

    /// From now on the server lists its kinds, and shows its object.
    fn can_be_seen(&self) {
        let mut server = self.server.lock().unwrap();
        (server.kinds, server.looks) = (None, None);
    }

    fn stands(&self, object: Option<Value>) {
        self.server.lock().unwrap().object = object;
    }
}

#[tokio::test]
async fn a_look_deletes_nothing_and_a_deletion_names_the_uid() {
    let scene = Scene::new(Some(config_map("first")), (200, ""));
    assert!(matches!(scene.look(None).await, ChildState::Standing { uid, .. } if uid == "first"));
    assert!(scene.server.lock().unwrap().asked.is_empty());
    let gone = scene.delete("first").await;
    assert!(
        matches!(&gone, ChildState::Active { uid: Some(uid), .. } if uid == "first"),
        "accepted, and not gone: {gone:?}"
    );
    assert_eq!(scene.server.lock().unwrap().asked[0]["preconditions"], json!({"uid": "first"}));
    scene.stands(None);
    assert_eq!(scene.look(Some("first")).await, ChildState::Succeeded(None));
}

#[tokio::test]
async fn without_a_uid_nothing_is_asked_for() {
    let scene = Scene::new(Some(config_map("first")), (200, ""));
    let attempt = Attempt { context: &scene.context, saga: &scene.saga, key: &scene.key };
    assert!(!attempt.begin(&scene.saga.steps[0].action.work, None).await);
    assert!(scene.server.lock().unwrap().asked.is_empty());
}

#[tokio::test]
async fn a_conflict_is_tried_again_where_the_object_stands_and_says_nothing_where_another_one_does()
{
    let scene = Scene::new(Some(config_map("first")), (409, "the object has been modified"));
    let refused = scene.delete("first").await;
    assert!(
        matches!(&refused, ChildState::Refused { message, .. } if message == "the object has been \
            modified"),
        "{refused:?}"
    );
    scene.stands(Some(config_map("second")));
    let other = scene.look(Some("first")).await;
    assert!(matches!(&other, ChildState::Standing { uid, .. } if uid == "second"), "{other:?}");
    scene.stands(None);
    assert_eq!(
        scene.look(Some("first")).await,
        ChildState::Succeeded(None),
        "somebody else deleted it meanwhile"
    );
}

#[tokio::test]
async fn what_passes_waits_what_is_refused_ends_the_attempt_and_what_is_lost_proves_nothing() {
    for (code, message) in [
        (409, "a controller is at work"),
        (429, "too many requests"),
        (401, "Unauthorized"),
        (403, "exceeded quota: q"),
    ] {
        let seen = Scene::new(Some(config_map("first")), (code, message)).delete("first").await;
        assert!(matches!(seen, ChildState::Refused { .. }), "{code}: {seen:?}");
    }
    for (code, message) in
        [(403, "configmaps is forbidden"), (422, "invalid"), (400, "bad"), (405, "not allowed")]
    {
        let seen = Scene::new(Some(config_map("first")), (code, message)).delete("first").await;
        assert!(matches!(&seen, ChildState::Failed(failure) if failure.last), "{code}: {seen:?}");
    }
    for code in [500, 503, 504] {
        let scene = Scene::new(Some(config_map("first")), (code, "etcdserver: request timed out"));
        let seen = scene.delete("first").await;
        assert!(
            matches!(
                &seen,
                ChildState::Active { uid: None, detail, .. } if detail.contains("timed out")
            ),
            "{code}: {seen:?}"
        );
        scene.server.lock().unwrap().answer = (403, "configmaps is forbidden");
        let seen = scene.delete("first").await;
        assert!(
            matches!(seen, ChildState::Unknown { .. }),
            "{code}: the first one may yet be carried out: {seen:?}"
        );
    }
}

#[tokio::test]
async fn one_that_is_gone_when_it_is_to_be_deleted_is_deleted() {
    let scene = Scene::new(None, (404, "not found"));
    assert_eq!(scene.delete("first").await, ChildState::Succeeded(None));
}

#[tokio::test]
async fn an_object_whose_kind_the_api_server_does_not_know_in_any_version_is_gone() {
    let widget =
        json!({"delete": {"apiVersion": "example.com/v1", "kind": "Widget", "name": "old"}});
    for other in [None, Some("Gadget")] {
        let scene =
            Scene::of(widget.clone(), Server { other, answer: (200, ""), ..Server::default() });
        assert_eq!(scene.look(None).await, ChildState::Succeeded(None), "{other:?}");
        assert_eq!(
            scene.delete("first").await,
            ChildState::Succeeded(None),
            "its definition went after its UID was written: {other:?}"
        );
        assert_eq!(scene.asked(), 0);
    }
    // It may stand under another version, or was misspelt.
    for other in ["Widget", "widget"] {
        let scene = Scene::of(widget.clone(), Server { other: Some(other), ..Server::default() });
        let seen = scene.look(None).await;
        let told = format!(
            "the cluster has no kind Widget in example.com/v1 yet, but {other} in example.com/v2: \
             write that"
        );
        assert!(
            matches!(&seen, ChildState::Active { uid: None, detail, .. } if detail.contains(&told)),
            "{seen:?}"
        );
    }
    for kinds in [401, 404, 200, 429, 500, 503] {
        let scene = Scene::new(Some(config_map("first")), (200, ""));
        scene.server.lock().unwrap().kinds = Some(kinds);
        let seen = scene.look(None).await;
        assert!(
            matches!(seen, ChildState::Active { uid: None, .. }),
            "whether it knows the kind is not said: {kinds}: {seen:?}"
        );
    }
}

#[tokio::test]
async fn what_was_refused_stays_refused_while_there_is_no_such_kind() {
    for server in [
        Server { kinds: Some(404), ..Server::default() },
        Server { kinds: Some(200), ..Server::default() },
    ] {
        let scene = Scene::applying(server);
        scene.begin(None).await;
        scene.wait_is_over();
        let seen = scene.look(None).await;
        assert!(
            matches!(&seen, ChildState::Refused { retry_in, .. } if *retry_in > Duration::ZERO),
            "{seen:?}"
        );
        scene.can_be_seen();
        let seen = scene.look(None).await;
        assert!(
            matches!(&seen, ChildState::Absent(absence) if absence.refused),
            "it is begun again: {seen:?}"
        );
    }
}

#[tokio::test]
async fn what_may_have_left_is_not_refused_while_nobody_can_look() {
    let blind =
        || Server { answer: (429, "too many requests"), looks: Some(503), ..Server::default() };
    let nobody_can_tell = |seen: &ChildState| matches!(seen, ChildState::Active { uid: None, .. });
    // Another process may have been let through where this one was not.
    let scene = Scene::applying(blind());
    scene.begin(None).await;
    scene.wait_is_over();
    let seen = scene.look(None).await;
    assert!(nobody_can_tell(&seen), "{seen:?}");
    // An answer was lost before the refusal came.
    let scene = Scene::applying(Server { answer: (504, "timeout"), ..blind() });
    scene.begin(None).await;
    scene.server.lock().unwrap().answer = (429, "too many requests");
    scene.begin(None).await;
    scene.wait_is_over();
    let seen = scene.look(None).await;
    assert!(nobody_can_tell(&seen), "{seen:?}");
    // Another process wrote the intent, and may have applied it before it died.
    let scene = Scene::applying(blind());
    let inherited =
        ActiveAttempt { started_at: MicroTime(now() - Duration::from_secs(20)), ..intent(None) };
    let seen = scene.look_at(&inherited).await;
    assert!(nobody_can_tell(&seen), "{seen:?}");
    scene.begin(None).await;
    scene.wait_is_over();
    let seen = scene.look_at(&inherited).await;
    assert!(nobody_can_tell(&seen), "{seen:?}");
    // The same of a kind that is not there any more: it may be known by another version.
    let scene = Scene::applying(Server { kinds: Some(404), ..Server::default() });
    let seen = scene.look_at(&inherited).await;
    assert!(nobody_can_tell(&seen), "{seen:?}");
    scene.begin(None).await;
    scene.wait_is_over();
    let seen = scene.look_at(&inherited).await;
    assert!(
        nobody_can_tell(&seen),
        "this process was refused, and the other one need not have been: {seen:?}"
    );
}

#[tokio::test]
async fn what_somebody_applied_is_not_refused_by_what_this_process_was_told() {
    let scene = Scene::applying(Server { answer: (429, "too many requests"), ..Server::default() });
    scene.begin(None).await;
    let refused = scene.look(None).await;
    assert!(matches!(refused, ChildState::Refused { .. }), "{refused:?}");
    let gone = scene.look(Some("first")).await;
    assert!(
        matches!(gone, ChildState::Absent(_)),
        "its UID is written, and it is not there: {gone:?}"
    );
    let mut object = config_map("first");
    object["metadata"]["annotations"] =
        json!({ANNOTATION_ATTEMPT: child_name("order", "1", &scene.key.1)});
    scene.stands(Some(object));
    let there = scene.look(Some("first")).await;
    assert!(matches!(there, ChildState::Object { .. }), "{there:?}");
}
