#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::pending,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Method, Request};
use http_body_util::BodyExt;
use kube::{Client, client::Body, runtime::reflector::ObjectRef};
use serde_json::{Value, json};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::*;
use crate::{
    api::{
        limits::{FIRST_RECHECK, LAST_RECHECK, MAX_REFUSED_TRIALS, MAX_TRIALS},
        names::LABEL_SAGA,
    },
    controller::{context::fixture, reconcile::reconcile},
    model::saga::SagaName,
    validate::saga::validate_stored,
};

/// How long the API server takes to refuse a pod.
const ANSWERS: Duration = Duration::from_millis(10);

/// An API server that refuses every pod, does not answer in the namespace `slow`, and breaks the
/// process of a call in the namespace `broken`. It accepts pods in the namespace `fine`.
#[derive(Clone)]
struct Server(Arc<Calls>);

struct Calls {
    begun: Instant,
    sagas: Mutex<BTreeMap<String, Value>>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
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
    fn looks(&self, saga: &str) -> Vec<(Duration, usize)> {
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
fn saga(name: &str, namespace: &str, steps: usize) -> Value {
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
struct Stage {
    context: Arc<Context>,
    server: Server,
    enqueued: UnboundedReceiver<ObjectRef<StoredSaga>>,
}

impl Stage {
    fn with(sagas: &[Value]) -> Self {
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
    fn tried(&self, copy: &Value) -> Result<Precheck, Action> {
        let stored: StoredSaga = serde_json::from_value(copy.clone()).unwrap();
        let who = SagaName {
            name: name(&stored).to_owned(),
            namespace: namespace(&stored).to_owned(),
            uid: stored.metadata.uid.clone().unwrap(),
        };
        tried(&self.context, &stored, &validate_stored(&who, &stored.spec))
    }

    /// Reconciles this copy until its trial has ended.
    async fn ends(&mut self, copy: &Value) -> Precheck {
        loop {
            match self.tried(copy) {
                Ok(result) => return result,
                Err(again) => assert_eq!(again, Action::await_change()),
            }
            self.enqueued.recv().await.unwrap();
        }
    }

    /// Reconciles the sagas for so long, whenever one is enqueued or its plan asked for it.
    async fn run(&mut self, sagas: &[Value], length: Duration) {
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

#[tokio::test(start_paused = true)]
async fn refused_sagas_are_tried_ever_less_often_each_with_few_calls_and_few_at_once() {
    let sagas: Vec<_> = (0..10)
        .map(|number| saga(&format!("order-{number}"), &format!("shop-{}", number % 5), 128))
        .collect();
    let mut stage = Stage::with(&sagas);
    stage.run(&sagas, Duration::from_secs(1000)).await;
    assert_eq!(stage.server.0.most_in_flight.load(Ordering::SeqCst), MAX_TRIALS);
    for saga in &sagas {
        let looks = stage.server.looks(saga["metadata"]["name"].as_str().unwrap());
        assert!(looks.iter().all(|(_, calls)| *calls == MAX_REFUSED_TRIALS), "{looks:?}");
        let waits: Vec<_> = looks.windows(2).map(|two| (two[1].0 - two[0].0).as_secs()).collect();
        // The first refusal is met again before it counts.
        assert_eq!(waits, [1, 5, 10, 20, 40, 80, 160, 300, 300], "{looks:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_between_two_trials_costs_no_call_and_a_request_is_met_at_once() {
    let mut order = saga("order", "shop", 30);
    let mut stage = Stage::with(&[order.clone()]);
    for wait in [5, 10, 20] {
        let result = stage.ends(&order).await;
        assert_eq!((result.refused.len(), result.untried), (20, 10));
        assert_eq!(result.again, Some(Duration::from_secs(wait)));
        let looks = stage.server.looks("order");
        assert_eq!(stage.tried(&order), Ok(result));
        sleep(Duration::from_secs(wait) - ANSWERS).await;
        assert_eq!(stage.tried(&order).unwrap().again, Some(ANSWERS));
        assert_eq!(stage.server.looks("order"), looks);
        sleep(ANSWERS).await;
        let meanwhile = stage.tried(&order).unwrap();
        assert_eq!((meanwhile.refused.len(), meanwhile.again), (20, None));
        stage.enqueued.recv().await.unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    let looks = stage.server.looks("order").len();
    order["metadata"]["annotations"] = json!({"saga.dev/retry": "*"});
    // The waits begin anew.
    assert_eq!(stage.ends(&order).await.again, Some(FIRST_RECHECK));
    assert_eq!(stage.ends(&order).await.again, Some(FIRST_RECHECK));
    assert_eq!(stage.server.looks("order").len(), looks + 1, "one request is met once");
    order["metadata"]["annotations"]["saga.dev/handled"] = json!("1");
    assert_eq!(stage.tried(&order), Err(Action::await_change()), "this is the next request");
    order["metadata"]["annotations"] = json!({"saga.dev/cancel": "a mistake"});
    assert_eq!(stage.tried(&order), Ok(Precheck::default()), "a cancel waits for no trial");
}

#[tokio::test(start_paused = true)]
async fn another_spec_is_tried_at_once_and_a_trial_of_the_spec_before_it_is_called_off() {
    let mut order = saga("order", "shop", 1);
    let mut stage = Stage::with(&[order.clone()]);
    for wait in [5, 10] {
        assert_eq!(stage.ends(&order).await.again, Some(Duration::from_secs(wait)));
        sleep(Duration::from_secs(wait)).await;
        assert!(stage.tried(&order).is_ok());
        stage.enqueued.recv().await.unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    let looks = stage.server.looks("order").len();
    order["metadata"]["generation"] = json!(2);
    order["spec"]["steps"][0]["pod"]["image"] = json!("order:other");
    stage.server.0.sagas.lock().unwrap().insert("order".into(), order.clone());
    assert_eq!(stage.tried(&order), Err(Action::await_change()));
    order["metadata"]["generation"] = json!(3);
    order["spec"]["steps"][0]["pod"]["image"] = json!("order:third");
    stage.server.0.sagas.lock().unwrap().insert("order".into(), order.clone());
    assert_eq!(stage.ends(&order).await.again, Some(FIRST_RECHECK));
    assert_eq!(stage.server.looks("order").len(), looks + 2, "the second spec was not tried");
}

#[tokio::test(start_paused = true)]
async fn a_new_process_tries_a_saga_that_was_refused_long_ago_as_rarely_as_the_one_before() {
    let mut order = saga("order", "shop", 1);
    order["status"] = json!({"phase": "Pending", "conditions": [{
        "type": "Accepted", "status": "False", "reason": "Refused", "message": "",
        "observedGeneration": 1, "lastTransitionTime": "2026-03-01T12:00:00Z",
    }]});
    let mut stage = Stage::with(&[order.clone()]);
    assert_eq!(stage.ends(&order).await.again, Some(LAST_RECHECK));
}

#[tokio::test(start_paused = true)]
async fn no_reconcile_waits_for_a_trial_and_no_namespace_for_the_trials_of_another() {
    let mut sagas: Vec<_> =
        (0..20).map(|number| saga(&format!("slow-{number}"), "slow", 128)).collect();
    let fine = saga("fine", "fine", 20);
    sagas.push(fine.clone());
    let mut stage = Stage::with(&sagas);
    for slow in &sagas[..20] {
        let copy: Arc<StoredSaga> = Arc::new(serde_json::from_value(slow.clone()).unwrap());
        let reconciled = reconcile(copy, Arc::clone(&stage.context)).await.unwrap();
        assert_eq!(reconciled, Action::await_change());
    }
    let told = |stage: &Stage, line: &str| {
        let text = stage.context.metrics.text().unwrap();
        assert!(text.lines().any(|told| told == line), "{line} is missing in\n{text}");
    };
    sleep(ANSWERS).await;
    told(&stage, "saga_trials_in_flight 12");
    told(&stage, "saga_trials_waiting 16");
    assert_eq!(stage.server.0.begun.elapsed(), ANSWERS, "no reconcile took any time");
    assert_eq!(stage.ends(&fine).await, Precheck::default());
    assert_eq!(stage.server.0.begun.elapsed(), ANSWERS, "it waited for none of the others");
    // Each slow saga has its turns, and each of its operations is tried in one of them.
    let last = sagas[19].clone();
    let accepted = timeout(Duration::from_secs(1500), async {
        loop {
            match stage.tried(&last) {
                Ok(result) => break result,
                Err(_) => _ = stage.enqueued.recv().await,
            }
        }
    })
    .await
    .unwrap();
    assert_eq!((accepted.refused.len(), accepted.unchecked.len()), (0, 128));
    assert!(stage.server.looks("slow-19")[0].0 < Duration::from_secs(100), "it had a turn soon");
    assert!(stage.server.0.most_in_flight.load(Ordering::SeqCst) <= MAX_TRIALS);
}

#[tokio::test(start_paused = true)]
async fn the_trials_of_a_saga_that_is_gone_end_and_free_their_places() {
    let (slow, other) = (saga("slow", "slow", 16), saga("order", "shop", 1));
    let mut stage = Stage::with(&[slow.clone(), other.clone()]);
    stage.tried(&slow).unwrap_err();
    sleep(ANSWERS).await;
    assert_eq!(stage.server.0.in_flight.load(Ordering::SeqCst), 4);
    stage.context.memory.trials.forget(|uid| uid != "uid of slow");
    sleep(ANSWERS).await;
    assert_eq!(stage.server.0.in_flight.load(Ordering::SeqCst), 0);
    assert!(stage.context.metrics.text().unwrap().contains("saga_trials_in_flight 0"));
    assert_eq!(stage.ends(&other).await.refused.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_panics_harms_its_saga_only_and_begins_again_later() {
    let (broken, other) = (saga("broken", "broken", 1), saga("order", "shop", 1));
    let mut stage = Stage::with(&[broken.clone(), other.clone()]);
    for wait in [5, 10] {
        stage.tried(&broken).unwrap_err();
        stage.enqueued.recv().await.unwrap();
        let wait = Duration::from_secs(wait);
        assert_eq!(stage.tried(&broken), Err(Action::requeue(wait)));
        sleep(wait).await;
    }
    assert_eq!(stage.ends(&other).await.refused.len(), 1);
    let text = stage.context.metrics.text().unwrap();
    assert!(text.contains("saga_controller_reconcile_total{result=\"panic\"} 2"), "{text}");
    assert!(text.contains("saga_trials_in_flight 0"), "{text}");
}
