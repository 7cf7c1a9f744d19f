//! The shop over HTTP/1.1.
//!
//! | | |
//! |---|---|
//! | `POST` on a path of [`SERVICES`] | the services; need `Idempotency-Key`, take any body |
//! | `GET /ledger?scope=` | all entries, or those of one scope |
//! | `GET /ledger/summary?scope=` | what is done, undone, in effect, done twice, refused, wrong |
//! | `DELETE /ledger?scope=` | forgets all, or one scope |
//! | `PUT /behaviour` | the rules of [`super::behaviour`]; `[]` removes them |
//! | `GET /healthz` | 200 |

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write as _},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use saga_operator::api::Direction;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tower::ServiceExt as _;

use super::{
    behaviour::{Behaviours, Conduct},
    call::{Call, Key, SERVICES, Service, hash},
    ledger::{Answer, Entry, Ledger, Summary},
};

/// A shop. Clones share everything.
#[derive(Clone, Default)]
pub struct Shop(Arc<Inside>);

#[derive(Default)]
struct Inside {
    state: Mutex<Books>,
    /// Notified after every new entry.
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Books {
    ledger: Ledger,
    behaviours: Behaviours,
    file: Option<File>,
}

impl Shop {
    /// Returns a shop that also appends each entry to a file, as one line of JSON.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn with_ledger_file(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        let shop = Self::default();
        shop.books().file = Some(file);
        Ok(shop)
    }

    /// Returns the entries of one scope, or all entries, oldest first.
    #[must_use]
    pub fn entries(&self, scope: Option<&str>) -> Vec<Entry> {
        self.books()
            .ledger
            .entries()
            .iter()
            .filter(|entry| scope.is_none_or(|scope| entry.scope == scope))
            .cloned()
            .collect()
    }

    /// Returns what happened in one scope.
    #[must_use]
    pub fn summary(&self, scope: &str) -> Summary {
        self.books().ledger.summaries(Some(scope)).remove(scope).unwrap_or_default()
    }

    /// Replaces the rules, as `PUT /behaviour` does.
    ///
    /// # Errors
    /// A sentence that says where the rules are wrong.
    pub fn behave(&self, rules: &Value) -> Result<(), String> {
        self.books().behaviours.put(rules.to_string().as_bytes())
    }

    /// Forgets one scope, or all scopes, as `DELETE /ledger` does.
    pub fn forget(&self, scope: Option<&str>) {
        let mut books = self.books();
        books.ledger.forget(scope);
        books.behaviours.forget(scope);
    }

    /// Returns once the entries satisfy `wanted`. If they never do, it waits without end, so the
    /// caller must set a time limit.
    pub async fn until(&self, wanted: impl Fn(&[Entry]) -> bool) {
        let mut changed = self.0.changed.subscribe();
        while !wanted(self.books().ledger.entries()) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the ledger by one call, adds a remark to the entry, and notifies those who wait.
    fn enter<T>(&self, remark: &str, change: impl FnOnce(&mut Ledger, Timestamp) -> T) -> T {
        let mut books = self.books();
        let Books { ledger, file, .. } = &mut *books;
        let before = ledger.entries().len();
        let result = change(ledger, now());
        if ledger.entries().len() > before {
            if !remark.is_empty() {
                ledger.annotate(remark);
            }
            if let (Some(file), Some(entry)) = (file, ledger.entries().last())
                && let Err(error) = append(file, entry)
            {
                eprintln!("the ledger file misses entry {}: {error}", entry.sequence);
            }
        }
        drop(books);
        self.0.changed.send_replace(());
        result
    }

    /// Handles one call. `None` means no answer at all.
    async fn handle(&self, call: Call, body: Bytes) -> Option<Response> {
        let conduct = {
            let mut books = self.books();
            if let Some(full) = books.ledger.full() {
                return Some(full.into_response());
            }
            match books.behaviours.next(&call, &body) {
                Ok(conduct) => conduct,
                Err(sentence) => {
                    return Some(refusal(StatusCode::BAD_REQUEST, &sentence).into_response());
                }
            }
        };
        let refuse = |note: String| self.enter("", |ledger, now| ledger.refuse(&call, note, now));
        match conduct {
            Conduct::Work(delay) => {
                if !delay.is_zero() {
                    self.books().ledger.arrives(&call);
                    tokio::time::sleep(delay).await;
                    if !self.books().ledger.awaits(&call) {
                        return None;
                    }
                }
                Some(self.enter("", |ledger, now| ledger.work(&call, now)).into_response())
            }
            Conduct::Say(body) => {
                let answer = self.enter("", |ledger, now| ledger.work(&call, now));
                let good = answer.status < 300;
                let json = [(header::CONTENT_TYPE, "application/json")];
                Some(if good { (json, body).into_response() } else { answer.into_response() })
            }
            Conduct::Answer(status, retry_after) => {
                refuse(format!("answered {status}"));
                let mut response =
                    refusal(status, "the shop was told to answer so").into_response();
                response
                    .headers_mut()
                    .extend(retry_after.map(|value| (header::RETRY_AFTER, value)));
                Some(response)
            }
            Conduct::Decline => {
                refuse("declined".into());
                Some(Json(json!({"status": "declined"})).into_response())
            }
            Conduct::Hang(wait) => {
                refuse(format!("silent for {wait:?}, then closed without an answer"));
                tokio::time::sleep(wait).await;
                None
            }
            Conduct::CloseAfterWork => {
                self.enter("closed without an answer", |ledger, now| ledger.work(&call, now));
                None
            }
            Conduct::CloseBeforeWork => {
                refuse("closed without an answer".into());
                None
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the shop's only look at the clock; the ledger takes the instant as a value"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

fn append(file: &mut File, entry: &Entry) -> io::Result<()> {
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    file.write_all(&line)
}

/// Serves the shop on this listener without end.
///
/// # Errors
/// None at present: a failed accept is reported and retried.
pub async fn serve(listener: TcpListener, shop: Shop) -> io::Result<()> {
    let router = router(shop);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, router.clone()));
            }
            Err(error) => {
                eprintln!("the shop could not accept a connection: {error}");
                // If the process has no file descriptors left, some will be closed.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Marks a response that must not be sent.
#[derive(Clone)]
struct NoAnswer;

/// Serves one connection. If the service fails, hyper closes the connection without writing a byte.
/// axum alone cannot do that, since its handlers always have an answer.
async fn connection(stream: TcpStream, router: Router) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let router = router.clone();
        async move {
            let response = match router.oneshot(request.map(Body::new)).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            if response.extensions().get::<NoAnswer>().is_some() {
                Err("told to close the connection")
            } else {
                Ok(response)
            }
        }
    });
    // An error means that the client closed the connection, or that the shop followed its
    // instructions.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

fn router(shop: Shop) -> Router {
    let mut router = Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/ledger", get(entries).delete(forget))
        .route("/ledger/summary", get(summary))
        .route("/behaviour", put(behave));
    for service in SERVICES {
        for (path, direction) in
            [(service.act, Direction::Action), (service.undo, Direction::Compensation)]
        {
            router = router.route(
                path,
                post(async move |State(shop), headers, body| {
                    ask(shop, service, direction, &headers, body).await
                }),
            );
        }
    }
    router
        .fallback(async || refusal(StatusCode::NOT_FOUND, "the shop has no such path"))
        .with_state(shop)
}

async fn ask(
    shop: Shop,
    service: &'static Service,
    direction: Direction,
    headers: &HeaderMap,
    body: Bytes,
) -> Response {
    let text =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let Some(key) = text("idempotency-key") else {
        let sentence = "the header Idempotency-Key is missing: the shop does nothing that it \
            could not recognise again";
        return refusal(StatusCode::BAD_REQUEST, sentence).into_response();
    };
    let key = match Key::parse(&key) {
        Ok(key) => key,
        Err(sentence) => return refusal(StatusCode::BAD_REQUEST, &sentence).into_response(),
    };
    let attempt = text("saga-attempt").map(|attempt| attempt.chars().take(32).collect());
    let authorized = headers.contains_key(header::AUTHORIZATION);
    let call = Call { service, direction, key, attempt, authorized, body_hash: hash(&body) };
    // The call runs in its own task: hyper drops this future if the client closes the connection,
    // but the call must still be done.
    match tokio::spawn(async move { shop.handle(call, body).await }).await {
        Ok(Some(response)) => response,
        Ok(None) => (axum::Extension(NoAnswer), StatusCode::NO_CONTENT).into_response(),
        Err(error) => {
            refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()).into_response()
        }
    }
}

async fn entries(State(shop): State<Shop>, uri: Uri) -> Result<Json<Vec<Entry>>, Refusal> {
    Ok(Json(shop.entries(scope(&uri)?)))
}

async fn summary(
    State(shop): State<Shop>,
    uri: Uri,
) -> Result<Json<BTreeMap<String, Summary>>, Refusal> {
    let scope = scope(&uri)?;
    Ok(Json(shop.books().ledger.summaries(scope)))
}

async fn forget(State(shop): State<Shop>, uri: Uri) -> Result<StatusCode, Refusal> {
    shop.forget(scope(&uri)?);
    Ok(StatusCode::NO_CONTENT)
}

async fn behave(State(shop): State<Shop>, rules: Bytes) -> Result<StatusCode, Refusal> {
    let put = shop.books().behaviours.put(&rules);
    put.map(|()| StatusCode::NO_CONTENT)
        .map_err(|sentence| refusal(StatusCode::BAD_REQUEST, &sentence))
}

/// Returns the scope of the query; `None` means all scopes.
fn scope(uri: &Uri) -> Result<Option<&str>, Refusal> {
    match uri.query().unwrap_or_default() {
        "" => Ok(None),
        query => match query.strip_prefix("scope=") {
            Some(scope) if !scope.contains(['&', '%', '=']) => Ok(Some(scope)),
            _ => Err(refusal(
                StatusCode::BAD_REQUEST,
                "the only parameter is scope: write ?scope=order-1042",
            )),
        },
    }
}

/// An answer that says what is wrong.
type Refusal = (StatusCode, Json<Value>);

fn refusal(status: StatusCode, sentence: &str) -> Refusal {
    (status, Json(json!({"error": sentence})))
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.body)).into_response()
    }
}
