//! The service that steps call: it answers at once, and remembers when.

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

/// The calls of each chain's step: when they came.
pub type Calls = BTreeMap<(String, String), Vec<Instant>>;

/// A service of its own for each run. It ends with the process.
#[derive(Clone, Default)]
pub struct Service(Arc<Mutex<Calls>>);

impl Service {
    /// Starts one, and says where it is.
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
