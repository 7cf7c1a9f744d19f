//! The service that the steps call. It answers immediately and records the time of each HTTP
//! request.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Instant,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::post,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// For each step of a chain, the times of its HTTP requests.
pub type Calls = BTreeMap<(String, String), Vec<Instant>>;

/// The service of one run. It ends with the process.
#[derive(Clone, Default)]
pub struct Service(Arc<Mutex<Calls>>);

impl Service {
    /// Starts a service. Returns the service and its address.
    pub async fn start() -> (Self, SocketAddr) {
        let service = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router =
            Router::new().route("/{chain}/{step}", post(answer)).with_state(service.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (service, address)
    }

    pub fn calls(&self) -> Calls {
        self.0.lock().unwrap().clone()
    }
}

async fn answer(State(service): State<Service>, Path(step): Path<(String, String)>) -> Json<Value> {
    service.0.lock().unwrap().entry(step).or_default().push(Instant::now());
    Json(json!({}))
}
