#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    convert::Infallible,
    sync::{Mutex, PoisonError},
};

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::{sync::watch, time::sleep};

use super::*;
use crate::controller::context::fixture;

/// An API server with one Lease, which takes so long for each answer.
#[derive(Clone)]
struct Server {
    lease: Arc<Mutex<Option<Value>>>,
    slow: Duration,
}

impl Server {
    fn new(lease: Option<Value>, slow: Duration) -> Self {
        Self { lease: Arc::new(Mutex::new(lease)), slow }
    }

    fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                sleep(server.slow).await;
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let (code, answer) =
                    server.answer(&parts.method, serde_json::from_slice(&body).ok());
                Ok::<_, Infallible>(fixture::answer(code, &answer))
            }
        });
        Client::new(service, "default")
    }

    fn answer(&self, method: &Method, body: Option<Value>) -> (u16, Value) {
        let refused = |code: u16, reason: &str| {
            (
                code,
                json!({
                    "kind": "Status", "status": "Failure", "code": code, "reason": reason,
                    "message": reason,
                }),
            )
        };
        let mut held = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        let version = |lease: &Value| {
            lease["metadata"]["resourceVersion"]
                .as_str()
                .and_then(|version| version.parse::<u32>().ok())
        };
        match (body.filter(|_| *method != Method::GET), held.as_ref()) {
            (None, None) => refused(404, "NotFound"),
            (None, Some(lease)) => (200, lease.clone()),
            (Some(new), Some(old)) if version(&new) != version(old) => refused(409, "Conflict"),
            (Some(mut new), old) => {
                new["metadata"]["resourceVersion"] =
                    json!((old.and_then(version).unwrap_or_default() + 1).to_string());
                *held = Some(new.clone());
                (200, new)
            }
        }
    }

    fn candidacy(&self) -> Candidacy {
        Candidacy::new(
            Api::namespaced(self.client(), "default"),
            Candidate::new("leader".into(), "me".into()),
        )
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_takes_more_than_a_second_for_each_call_has_a_leader() {
    let server = Server::new(None, Duration::from_millis(1900));
    let (context, _announced) = fixture::context(server.client(), None);
    fixture::turn(&context, Role::Standby);
    let (_warms, cache_state) = watch::channel(CacheState::Warm);
    let mut candidacy = server.candidacy();
    let process = context.process();
    let leads = async {
        while !context.lifecycle.leads() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = candidacy.stand(&process, cache_state) => {}
        led = timeout(Duration::from_mins(1), leads) => led.unwrap(),
    }
}

/// The Lease as it is held by this process.
fn ours(version: u32) -> Value {
    let metadata =
        json!({"name": "leader", "namespace": "default", "resourceVersion": version.to_string()});
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata,
        "spec": {"holderIdentity": "me"},
    })
}

/// Who holds the Lease.
fn holder(server: &Server) -> Option<Value> {
    server.lease.lock().unwrap().as_ref().map(|lease| lease["spec"]["holderIdentity"].clone())
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_comes_in_while_the_lease_is_given_back_does_not_keep_it() {
    let server = Server::new(Some(ours(8)), Duration::ZERO);
    let mut candidacy = server.candidacy();
    candidacy.known = Some(serde_json::from_value(ours(7)).unwrap());
    candidacy.release().await;
    assert_eq!(holder(&server), Some(Value::Null));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_asked_for_in_the_last_moment_is_given_back_once_it_was_got() {
    let server = Server::new(None, Duration::from_millis(200));
    let (context, _announced) = fixture::context(server.client(), None);
    let (_warms, cache_state) = watch::channel(CacheState::Warm);
    let mut candidacy = server.candidacy();
    // After the read, before the answer to the write.
    assert!(
        timeout(Duration::from_millis(300), candidacy.stand(&context.process(), cache_state))
            .await
            .is_err()
    );
    let arrives = async {
        sleep(Duration::from_millis(250)).await;
        *server.lease.lock().unwrap() = Some(ours(1));
    };
    tokio::join!(candidacy.release(), arrives);
    assert_eq!(holder(&server), Some(Value::Null));
}

#[tokio::test(start_paused = true)]
async fn nobody_gives_back_what_another_one_holds() {
    let mut theirs = ours(1);
    theirs["spec"]["holderIdentity"] = json!("another one");
    let server = Server::new(Some(theirs), Duration::ZERO);
    server.candidacy().release().await;
    assert_eq!(holder(&server), Some(json!("another one")));
}

#[tokio::test]
async fn who_resigns_leads_no_more_before_anybody_can_see_that_the_lease_is_free() {
    let (context, _announced) = fixture::context(Server::new(None, Duration::ZERO).client(), None);
    let (freed, shared) = (Arc::new(Mutex::new(Vec::new())), Arc::clone(&context));
    let log = Arc::clone(&freed);
    let service = tower::service_fn(move |request: Request<Body>| {
        let (log, context) = (Arc::clone(&log), Arc::clone(&shared));
        async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let mut lease: Value = serde_json::from_slice(&body).unwrap_or_else(|_| ours(1));
            lease["metadata"]["resourceVersion"] = json!("2");
            if lease["spec"]["holderIdentity"].is_null() {
                log.lock().unwrap().push(context.lifecycle.leads());
            }
            Ok::<_, Infallible>(Response::new(Body::from(lease.to_string().into_bytes())))
        }
    });
    let candidacy = Candidacy::new(
        Api::namespaced(Client::new(service, "default"), "default"),
        Candidate::new("leader".into(), "me".into()),
    );
    fixture::turn(&context, Role::Standby);
    let (_warms, cache_state) = watch::channel(CacheState::Warm);
    let leading = Arc::clone(&context);
    let once_it_led = async move {
        while !leading.lifecycle.leads() {
            tokio::task::yield_now().await;
        }
    };
    timeout(
        Duration::from_secs(10),
        run(Some(candidacy), context.process(), cache_state, once_it_led),
    )
    .await
    .unwrap();
    assert_eq!(*freed.lock().unwrap(), [false]);
}
