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
                let (code, answer) = server.answer(&parts.method, serde_json::from_slice(&body).ok());
                Ok::<_, Infallible>(Response::builder().status(code).body(Body::from(answer.to_string().into_bytes())).unwrap())
            }
        });
        Client::new(service, "default")
    }

    fn answer(&self, method: &Method, body: Option<Value>) -> (u16, Value) {
        let refused = |code: u16, reason: &str| {
            (code, json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason}))
        };
        let mut held = self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        let version = |lease: &Value| lease["metadata"]["resourceVersion"].as_str().and_then(|version| version.parse::<u32>().ok());
        match (body.filter(|_| *method != Method::GET), held.as_ref()) {
            (None, None) => refused(404, "NotFound"),
            (None, Some(lease)) => (200, lease.clone()),
            (Some(new), Some(old)) if version(&new) != version(old) => refused(409, "Conflict"),
            (Some(mut new), old) => {
                new["metadata"]["resourceVersion"] = json!((old.and_then(version).unwrap_or_default() + 1).to_string());
                *held = Some(new.clone());
                (200, new)
            }
        }
    }

    fn candidacy(&self) -> Candidacy {
        Candidacy::new(Api::namespaced(self.client(), "default"), Candidate::new("leader".into(), "me".into()))
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_takes_more_than_a_second_for_each_call_has_a_leader() {
    let server = Server::new(None, Duration::from_millis(1900));
    let (context, _announced) = fixture::context(server.client(), None);
    context.lead(false);
    let (_warms, warmth) = watch::channel(Warmth::Warm);
    let mut candidacy = server.candidacy();
    let leads = async {
        while !context.leads() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = candidacy.stand(&context, warmth) => {}
        led = timeout(Duration::from_mins(1), leads) => led.unwrap(),
    }
}
