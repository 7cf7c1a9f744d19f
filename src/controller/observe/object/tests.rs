#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod applied;
mod deletions;
mod large;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Method, Request};
use http_body_util::BodyExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tower::Layer;

use super::*;
use crate::{
    controller::{
        context::{Context, fixture},
        effects::{self, performance::Next},
        observe::children::Observed,
        reconcile::observed::noted,
    },
    service::client::body_limit::BodyLimits,
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
    let known = KnownAttempt::new();
    assert!(
        !may_be_applied(&known, &intent(None), now()),
        "this process wrote the intent, and nothing since"
    );
    assert!(may_be_applied(&known, &intent(Some("uid")), now()));
    assert!(
        may_be_applied(&known, &intent(None), now() + Duration::from_mins(1)),
        "an intent that was read a minute later"
    );
    let mut asked = KnownAttempt::new();
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
    /// Whether what is applied is stored, and answered with the object.
    stores: bool,
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
            if let (true, Some(object)) = (self.stores, self.object.clone()) {
                return (200, object);
            }
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

    fn of(step: Value, server: Server) -> Self {
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
                    Ok::<_, Infallible>(fixture::answer(code, &answer))
                }
            })
        };
        let client = Client::new(BodyLimits.layer(service), "default");
        let (context, _) = fixture::context(client, None);
        let (saga, key) = fixture::one_step("clear", step);
        Self { context, saga, key, server }
    }

    /// One look, with what the status names.
    async fn look(&self, written: Option<&str>) -> ChildState {
        self.look_at(&intent(written)).await
    }

    /// One look, by the intent that the status holds.
    async fn look_at(&self, intent: &ActiveAttempt) -> ChildState {
        let sources = self.context.sources();
        let mut view = AttemptView::new(sources.memory, &self.key);
        let values = Values { saga: &self.saga, steps: &[] };
        let mut attempt = Attempt { sources: &sources, values, view: &mut view };
        let seen = Ok(attempt.state(&self.saga.steps[0].action.work, intent).await);
        let observed = Observed { seen, learned: view.into_learned() };
        noted(&self.context.memory, &self.context.outbound, observed).unwrap().0
    }

    /// Does what the step is to do.
    async fn begin(&self, uid: Option<&str>) {
        self.begun(uid).await;
    }

    /// Does what the step is to do, and says when the saga is looked at again.
    async fn begun(&self, uid: Option<&str>) -> Next {
        let stored = serde_json::from_value(json!({"metadata": {}})).unwrap();
        let performance = fixture::performance(&self.context, &stored, &self.saga, "");
        effects::object::begin(
            &performance,
            &self.saga,
            &self.key,
            &self.saga.steps[0].action.work,
            uid,
        )
        .await
    }

    /// Asks for the deletion, and looks.
    async fn delete(&self, uid: &str) -> ChildState {
        self.begin(Some(uid)).await;
        self.look(Some(uid)).await
    }

    /// What comes after the wait that follows a refusal.
    fn wait_is_over(&self) {
        self.context.memory.attempts.look(&self.key, |known| {
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
