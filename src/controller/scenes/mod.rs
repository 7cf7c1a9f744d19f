//! Small tests against an API server that answers from a table. They check what the controller
//! reads, writes and leaves alone.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod begins;
mod children;
mod ends;
mod intents;
mod large;
mod leases;
mod looks;
mod namespaces;
mod parents;
mod records;
mod requests;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard},
};

use http::{Method, Request};
use http_body_util::BodyExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Client,
    client::Body,
    runtime::{reflector, watcher::Event},
};
use serde_json::{Value, json};
use tokio::{sync::mpsc::UnboundedReceiver, task::JoinHandle};

use super::{
    cluster::secrets::SecretReader,
    context::{Context, fixture},
    effects::performance::Performance,
    http::{call::HttpCaller, tls::tls_config},
    memory::attempt::AttemptKey,
    queue::SagaRef,
    workload::Workload,
};
use crate::{
    api::{Direction, StoredSaga, names::AttemptId},
    egress::policy::{EgressPolicy, EgressRules},
    model::saga::{Identity, SagaName, ValidSaga, Work},
    objects::pod,
    validate::saga::validate_stored,
};

/// The path of the saga of every scene.
const SAGA: &str = "/apis/saga.dev/v1alpha1/namespaces/shop/sagas/order";

/// One call to the API server.
#[derive(Clone, Debug)]
struct Asked {
    method: Method,
    path: String,
    body: Value,
}

/// An API server. It returns the objects that it holds. It accepts every write and every deletion
/// except those that it refuses, and stores none of them.
#[derive(Clone, Default)]
struct ApiServer(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    holds: BTreeMap<String, Value>,
    refuses: BTreeMap<(String, String), u16>,
    asked: Vec<Asked>,
}

impl ApiServer {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap()
    }

    fn holds(&self, path: &str, object: Value) {
        self.table().holds.insert(path.into(), object);
    }

    fn holds_no_more(&self, path: &str) {
        self.table().holds.remove(path);
    }

    fn refuses(&self, method: &Method, path: &str, code: u16) {
        self.table().refuses.insert((method.to_string(), path.into()), code);
    }

    /// Returns the calls of this method so far.
    fn asked(&self, method: &Method) -> Vec<Asked> {
        self.table().asked.iter().filter(|asked| asked.method == *method).cloned().collect()
    }

    fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = serde_json::from_slice(&body.collect().await.unwrap().to_bytes())
                    .unwrap_or_default();
                let (code, answer) = server.answer(Asked {
                    method: parts.method,
                    path: parts.uri.path().into(),
                    body,
                });
                Ok::<_, Infallible>(fixture::answer(code, &answer))
            }
        });
        Client::new(service, "default")
    }

    fn answer(&self, asked: Asked) -> (u16, Value) {
        let mut table = self.table();
        table.asked.push(asked.clone());
        let Asked { method, path, body } = asked;
        let status = |code: u16| {
            let reason = if code == 404 { "NotFound" } else { "" };
            (
                code,
                json!({
                    "kind": "Status", "status": "Failure", "code": code, "reason": reason,
                    "message": "no",
                }),
            )
        };
        if let Some(code) = table.refuses.get(&(method.to_string(), path.clone())) {
            return status(*code);
        }
        match (method, table.holds.get(&path)) {
            (Method::GET, Some(object)) => (200, object.clone()),
            (Method::GET, None) => status(404),
            (Method::DELETE, _) => (200, json!({"kind": "Status", "status": "Success"})),
            (_, _) => (200, body),
        }
    }
}

/// A process that uses that API server.
struct Scene {
    context: Arc<Context>,
    server: ApiServer,
    enqueued: UnboundedReceiver<SagaRef>,
}

impl Scene {
    fn new() -> Self {
        let server = ApiServer::default();
        let (context, enqueued) = fixture::context(server.client(), None);
        Self { context, server, enqueued }
    }

    /// Fills the caches with these sagas and pods.
    fn watches(&mut self, sagas: &[Value], pods: &[Value]) {
        let caches = fixture::caches(&mut self.context);
        let (store, mut writer) = reflector::store();
        for saga in sagas {
            writer
                .apply_watcher_event(&Event::Apply(serde_json::from_value(saga.clone()).unwrap()));
        }
        caches.sagas = vec![store];
        let (store, mut writer) = reflector::store();
        for pod in pods {
            writer.apply_watcher_event(&Event::Apply(
                serde_json::from_value::<Pod>(pod.clone()).unwrap(),
            ));
        }
        caches.pods = vec![store];
    }

    /// Allows HTTP requests to this machine.
    fn may_call_this_machine(&mut self) {
        let rules = EgressRules {
            allow_cidrs: vec!["127.0.0.0/8".parse().unwrap()],
            ..EgressRules::default()
        };
        let (egress, secrets) =
            (EgressPolicy::new(rules, []), SecretReader::new(self.server.client()));
        let context = Arc::get_mut(&mut self.context).unwrap();
        Arc::get_mut(&mut context.outbound).unwrap().caller =
            HttpCaller::new(egress, tls_config().unwrap(), secrets);
    }

    /// Starts the executor. Returns its id and the task that renews its Lease.
    async fn with_a_lease(&self) -> (String, JoinHandle<()>) {
        let context = Arc::clone(&self.context);
        let lease =
            tokio::spawn(
                async move { context.outbound.own.run(&context.memory, &context.queue).await },
            );
        self.context.outbound.own.first().await;
        (self.context.outbound.own.id().unwrap(), lease)
    }

    fn performance<'a>(&'a self, stored: &'a StoredSaga, saga: &'a ValidSaga) -> Performance<'a> {
        fixture::performance(&self.context, stored, saga, "me")
    }
}

/// Returns the saga of the scene as the API server returns it. It has one step, named `ship`, with
/// this action.
fn saga(action: &Value, status: &Value) -> Value {
    let mut step = json!({"name": "ship"});
    step.as_object_mut().unwrap().extend(action.as_object().unwrap().clone());
    let metadata = json!({
        "name": "order", "namespace": "shop", "uid": "1", "resourceVersion": "7", "generation": 1,
    });
    json!({
        "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "metadata": metadata,
        "spec": {"steps": [step]}, "status": status,
    })
}

/// Returns an action that runs a pod.
fn by_pod() -> Value {
    json!({"pod": {"image": "ship:1"}})
}

/// Returns a status in which the first attempt of the step is active. `more`: further fields of the
/// intent.
fn under_way(more: &Value) -> Value {
    let mut active = json!({"startedAt": "2026-03-01T12:00:00.000000Z"});
    active.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({
        "phase": "Running",
        "steps": [
            {
                "name": "ship", "phase": "Running",
                "action": {"attempt": 1, "budgetUsed": 1, "active": active},
            },
        ],
    })
}

fn stored(saga: &Value) -> StoredSaga {
    serde_json::from_value(saga.clone()).unwrap()
}

fn valid(saga: &Value) -> ValidSaga {
    let named = SagaName { name: "order".into(), namespace: "shop".into(), uid: "1".into() };
    validate_stored(&named, &stored(saga).spec).unwrap()
}

/// Returns the attempt of the scene.
fn attempt() -> AttemptId {
    AttemptId { step: "ship".into(), direction: Direction::Action, number: 1 }
}

fn key() -> AttemptKey {
    AttemptKey::new("1", attempt())
}

fn identity() -> Identity {
    Identity {
        saga: "order".into(),
        namespace: "shop".into(),
        uid: "1".into(),
        attempt: attempt(),
        key: "1/ship/action/0".into(),
    }
}

/// Returns the path of the attempt's pod.
fn pod_path() -> String {
    format!("/api/v1/namespaces/shop/pods/{}", Pod::name_of("order", "1", &attempt()))
}

/// Returns the pod of the attempt, as it was created.
fn ships() -> Value {
    let valid = valid(&saga(&by_pod(), &Value::Null));
    let Work::Pod(action) = &valid.steps[0].action.work else { unreachable!() };
    let made =
        pod::build::pod(&valid, &identity(), action, std::time::Duration::from_mins(1)).unwrap();
    let mut pod = serde_json::to_value(made).unwrap();
    pod["metadata"]["uid"] = json!("p");
    pod["metadata"]["resourceVersion"] = json!("70");
    pod
}

/// Returns the same pod, bound to a node.
fn bound(phase: &str) -> Value {
    let mut pod = ships();
    pod["spec"]["nodeName"] = json!("n");
    pod["status"] = json!({"phase": phase});
    pod
}
