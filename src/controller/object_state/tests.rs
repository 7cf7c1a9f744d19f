#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

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
    api::{Direction, names::AttemptId},
    controller::context::fixture,
    engine::valid::{SagaName, validate_stored},
};

fn intent(child_uid: Option<&str>) -> ActiveAttempt {
    ActiveAttempt { started_at: MicroTime(now()), executor: None, child_uid: child_uid.map(Into::into), trouble: None }
}

#[test]
fn who_may_not_look_any_more_cannot_tell_whether_another_process_wrote() {
    let known = Known::new();
    assert!(!may_be_applied(&known, &intent(None), now()), "this process wrote the intent, and nothing since");
    assert!(may_be_applied(&known, &intent(Some("uid")), now()));
    assert!(may_be_applied(&known, &intent(None), now() + Duration::from_mins(1)), "an intent that was read a minute later");
    let mut asked = Known::new();
    asked.unanswered = true;
    assert!(may_be_applied(&asked, &intent(None), now()));
}

/// An API server with one ConfigMap, or none, that answers deletions in this way.
#[derive(Default)]
struct Server {
    object: Option<Value>,
    deletion: (u16, &'static str),
    /// The bodies of the deletions that it was asked for.
    asked: Vec<Value>,
}

impl Server {
    fn answer(&mut self, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
        let status = |code: u16, message: &str| {
            (code, json!({"kind": "Status", "status": "Failure", "code": code, "message": message, "reason": ""}))
        };
        if path == "/api/v1" {
            let kind = json!({"name": "configmaps", "singularName": "configmap", "namespaced": true, "kind": "ConfigMap", "verbs": ["get", "delete"]});
            return (200, json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [kind]}));
        }
        if *method == Method::DELETE {
            self.asked.push(serde_json::from_slice(body).unwrap());
            let (code, message) = self.deletion;
            return if code == 200 { (200, json!({"kind": "Status", "status": "Success"})) } else { status(code, message) };
        }
        self.object.clone().map_or_else(|| status(404, "not found"), |object| (200, object))
    }
}

fn config_map(uid: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "old", "uid": uid}})
}

/// A deletion of the ConfigMap, as one process sees it.
struct Scene {
    context: Arc<Context>,
    saga: ValidSaga,
    key: AttemptKey,
    server: Arc<Mutex<Server>>,
}

impl Scene {
    /// The object that stands there, and how deletions are answered.
    fn new(object: Option<Value>, deletion: (u16, &'static str)) -> Self {
        let server = Arc::new(Mutex::new(Server { object, deletion, asked: Vec::new() }));
        let service = {
            let server = Arc::clone(&server);
            tower::service_fn(move |request: Request<Body>| {
                let server = Arc::clone(&server);
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    let (code, answer) = server.lock().unwrap().answer(&parts.method, parts.uri.path(), &body);
                    let body = Body::from(answer.to_string().into_bytes());
                    Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap())
                }
            })
        };
        let (context, _) = fixture::context(Client::new(service, "default"), None);
        let named = SagaName { name: "order".into(), namespace: "shop".into(), uid: "1".into() };
        let steps = json!([{"name": "clear", "delete": {"apiVersion": "v1", "kind": "ConfigMap", "name": "old"}}]);
        let saga = validate_stored(&named, &serde_json::from_value(json!({"steps": steps})).map_err(|_| String::new())).unwrap();
        let key = ("1".to_owned(), AttemptId { step: "clear".into(), direction: Direction::Action, number: 1 });
        Self { context, saga, key, server }
    }

    /// One look, with what the status names.
    async fn look(&self, written: Option<&str>) -> ChildState {
        let attempt = Attempt { context: &self.context, saga: &self.saga, key: &self.key };
        attempt.state(&self.saga.steps[0].action.work, &intent(written)).await.0
    }

    /// Asks for the deletion, and looks.
    async fn delete(&self, uid: &str) -> ChildState {
        Attempt { context: &self.context, saga: &self.saga, key: &self.key }.begin(&self.saga.steps[0].action.work, Some(uid)).await;
        self.look(Some(uid)).await
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
    assert!(matches!(&gone, ChildState::Active { uid: Some(uid), .. } if uid == "first"), "accepted, and not gone: {gone:?}");
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
async fn a_conflict_is_tried_again_where_the_object_stands_and_says_nothing_where_another_one_does() {
    let scene = Scene::new(Some(config_map("first")), (409, "the object has been modified"));
    let refused = scene.delete("first").await;
    assert!(matches!(&refused, ChildState::Refused { message, .. } if message == "the object has been modified"), "{refused:?}");
    scene.stands(Some(config_map("second")));
    let other = scene.look(Some("first")).await;
    assert!(matches!(&other, ChildState::Standing { uid, .. } if uid == "second"), "{other:?}");
    scene.stands(None);
    assert_eq!(scene.look(Some("first")).await, ChildState::Succeeded(None), "somebody else deleted it meanwhile");
}

#[tokio::test]
async fn what_passes_waits_what_is_refused_ends_the_attempt_and_what_is_lost_proves_nothing() {
    for (code, message) in [(409, "a controller is at work"), (429, "too many requests"), (401, "Unauthorized"), (403, "exceeded quota: q")]
    {
        let seen = Scene::new(Some(config_map("first")), (code, message)).delete("first").await;
        assert!(matches!(seen, ChildState::Refused { .. }), "{code}: {seen:?}");
    }
    for (code, message) in [(403, "configmaps is forbidden"), (422, "invalid"), (400, "bad"), (405, "not allowed")] {
        let seen = Scene::new(Some(config_map("first")), (code, message)).delete("first").await;
        assert!(matches!(&seen, ChildState::Failed(failure) if failure.last), "{code}: {seen:?}");
    }
    for code in [500, 503, 504] {
        let scene = Scene::new(Some(config_map("first")), (code, "etcdserver: request timed out"));
        let seen = scene.delete("first").await;
        assert!(matches!(&seen, ChildState::Active { uid: None, detail, .. } if detail.contains("timed out")), "{code}: {seen:?}");
        scene.server.lock().unwrap().deletion = (403, "configmaps is forbidden");
        let seen = scene.delete("first").await;
        assert!(matches!(seen, ChildState::Unknown { .. }), "{code}: the first one may yet be carried out: {seen:?}");
    }
}

#[tokio::test]
async fn one_that_is_gone_when_it_is_to_be_deleted_is_deleted() {
    let scene = Scene::new(None, (404, "not found"));
    assert_eq!(scene.delete("first").await, ChildState::Succeeded(None));
}
