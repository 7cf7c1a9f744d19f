//! The sagas, the process and the API server of these tests.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::pending,
    sync::{Mutex, atomic::AtomicUsize},
};

use http::{Method, Request};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use serde_json::Value;
use tokio::{sync::mpsc::UnboundedReceiver, time::sleep_until};

use super::*;
use crate::{
    api::names::LABEL_SAGA, controller::context::fixture, model::saga::SagaName,
    validate::saga::validate_stored,
};

/// How long the API server takes to refuse a pod.
pub(super) const ANSWERS: Duration = Duration::from_millis(10);

/// An API server that refuses every pod, does not answer in the namespace `slow`, and breaks the
/// process of a call in the namespace `broken`. It accepts pods in the namespace `fine`.
#[derive(Clone)]
pub(super) struct Server(pub(super) Arc<Calls>);

pub(super) struct Calls {
    pub(super) begun: Instant,
    pub(super) sagas: Mutex<BTreeMap<String, Value>>,
    pub(super) in_flight: AtomicUsize,
    pub(super) most_in_flight: AtomicUsize,
    /// When pods of which saga were tried.
    tried: Mutex<Vec<(String, Duration)>>,
}

/// A call in flight.
struct CallInFlight<'a>(&'a AtomicUsize);

impl Drop for CallInFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Server {
    fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let (code, answer) = match parts.method {
                    Method::GET => {
                        let name = parts.uri.path().rsplit('/').next().unwrap();
                        (200, server.0.sagas.lock().unwrap()[name].clone())
                    }
                    Method::POST => server.pod(&serde_json::from_slice(&body).unwrap()).await,
                    _ => (200, serde_json::from_slice(&body).unwrap_or_default()),
                };
                Ok::<_, Infallible>(fixture::answer(code, &answer))
            }
        });
        Client::new(service, "default")
    }

    async fn pod(&self, pod: &Value) -> (u16, Value) {
        let saga = pod["metadata"]["labels"][LABEL_SAGA].as_str().unwrap().to_owned();
        self.0.tried.lock().unwrap().push((saga, self.0.begun.elapsed()));
        let in_flight = self.0.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most_in_flight.fetch_max(in_flight, Ordering::SeqCst);
        let _in_flight = CallInFlight(&self.0.in_flight);
        match pod["metadata"]["namespace"].as_str() {
            Some("slow") => pending().await,
            Some("broken") => panic!("this call breaks"),
            Some("fine") => (201, pod.clone()),
            _ => {
                sleep(ANSWERS).await;
                let reason = json!({"kind": "Status", "status": "Failure", "code": 422,
                    "reason": "Invalid", "message": "no such pod"});
                (422, reason)
            }
        }
    }

    /// Returns when the pods of a saga were tried: the begin and the number of calls of each look.
    pub(super) fn looks(&self, saga: &str) -> Vec<(Duration, usize)> {
        let mut looks: Vec<(Duration, Duration, usize)> = Vec::new();
        let tried = self.0.tried.lock().unwrap();
        for (_, at) in tried.iter().filter(|(of, _)| of == saga) {
            match looks.last_mut() {
                Some((_, last, calls)) if *at < *last + Duration::from_millis(500) => {
                    (*last, *calls) = (*at, *calls + 1);
                }
                _ => looks.push((*at, *at, 1)),
            }
        }
        looks.into_iter().map(|(begun, _, calls)| (begun, calls)).collect()
    }
}

/// Returns a saga of so many steps that run different pods.
pub(super) fn saga(name: &str, namespace: &str, steps: usize) -> Value {
    let steps: Vec<_> = (0..steps)
        .map(|step| json!({"name": format!("s{step}"), "pod": {"image": format!("{name}:{step}")}}))
        .collect();
    json!({
        "apiVersion": "saga.dev/v1alpha1", "kind": "Saga",
        "metadata": {
            "name": name, "namespace": namespace, "uid": format!("uid of {name}"),
            "resourceVersion": "7", "generation": 1,
        },
        "spec": {"steps": steps},
    })
}

/// A process, the API server, and the sagas.
pub(super) struct Stage {
    pub(super) context: Arc<Context>,
    pub(super) server: Server,
    pub(super) enqueued: UnboundedReceiver<SagaRef>,
}

impl Stage {
    pub(super) fn with(sagas: &[Value]) -> Self {
        let name = |saga: &Value| saga["metadata"]["name"].as_str().unwrap().to_owned();
        let server = Server(Arc::new(Calls {
            begun: Instant::now(),
            sagas: Mutex::new(sagas.iter().map(|saga| (name(saga), saga.clone())).collect()),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
            tried: Mutex::default(),
        }));
        let (context, enqueued) = fixture::context(server.client(), None);
        Self { context, server, enqueued }
    }

    /// Returns what a reconcile of this copy learns.
    pub(super) fn tried(&self, copy: &Value) -> Result<Precheck, Action> {
        let stored: StoredSaga = serde_json::from_value(copy.clone()).unwrap();
        let who = SagaName {
            name: name(&stored).to_owned(),
            namespace: namespace(&stored).to_owned(),
            uid: stored.metadata.uid.clone().unwrap(),
        };
        tried(&self.context, &stored, &validate_stored(&who, &stored.spec))
    }

    /// Reconciles this copy until its trial has ended.
    pub(super) async fn ends(&mut self, copy: &Value) -> Precheck {
        loop {
            match self.tried(copy) {
                Ok(result) => return result,
                Err(again) => assert_eq!(again, Action::await_change()),
            }
            self.enqueued.recv().await.unwrap();
        }
    }

    /// Reconciles the sagas for so long, whenever one is enqueued or its plan asked for it.
    pub(super) async fn run(&mut self, sagas: &[Value], length: Duration) {
        let end = Instant::now() + length;
        let mut due: BTreeMap<_, _> = sagas
            .iter()
            .map(|saga| (saga["metadata"]["name"].as_str().unwrap(), Some(Instant::now())))
            .collect();
        while Instant::now() < end {
            for saga in sagas {
                let at = due.get_mut(saga["metadata"]["name"].as_str().unwrap()).unwrap();
                if at.is_some_and(|at| at <= Instant::now()) {
                    *at = match self.tried(saga) {
                        Ok(result) => {
                            assert_eq!((result.refused.len(), result.untried), (20, 108));
                            result.again.map(|again| Instant::now() + again)
                        }
                        Err(again) => {
                            assert_eq!(again, Action::await_change());
                            None
                        }
                    };
                }
            }
            let next = due.values().flatten().min().copied().unwrap_or(end).min(end);
            tokio::select! {
                Some(saga) = self.enqueued.recv() => {
                    *due.get_mut(saga.name.as_str()).unwrap() = Some(Instant::now());
                }
                () = sleep_until(next) => {}
            }
        }
    }
}
