//! The client of the Kubernetes API, with its own rules for what is repeated and how long a call
//! may take.
//!
//! # Guarantees
//! - A call that may change something leaves exactly once: whether it is repeated is decided where
//!   the consequences are known.
//! - Only a read that ends is repeated, after 429, 502, 503, 504 or a lost connection: at most 4
//!   tries, the last begun within 10 s.
//! - A call that ends takes at most 15 s, its repeats and the body of its answer included.
//!   [`timed_out`] recognises what took longer: of a write, nobody knows whether it happened.
//! - Watches, logs and sessions in a pod are not repeated here, and only their beginning is
//!   limited: the head of the answer comes within 15 s. (For what comes later kube's watcher has an
//!   idle limit of its own.)
//!
//! # Why not kube's own
//! kube repeats every verb by default, `POST` included, 15 times over minutes: far beyond any
//! lease, and with no regard to what the repeated call does.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode, Uri, header::RETRY_AFTER};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body as HttpBody, Bytes};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, DynBody},
};
use tokio::time::{Instant, sleep, timeout};
use tower::{
    BoxError, Layer, Service, ServiceExt,
    buffer::{Buffer, BufferLayer},
    layer::util::Identity,
};

/// The longest time to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest time of a call that ends, and that until the head of the answer to any other.
const LIMIT: Duration = Duration::from_secs(15);
/// The time before each repeat, in order.
const DELAYS: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400)];
/// The longest `Retry-After` that is waited for here. One that asks for more time goes to the
/// caller, who can do something else meanwhile.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(2);
/// No repeat begins later than this after the first try.
const REPEAT_WITHIN: Duration = Duration::from_secs(10);
/// Calls that wait for the connections' task; as many as kube's own queue.
const QUEUE: usize = 1024;

/// What is below the rules of this module, as a layer for [`client_with`] meets it: authentication,
/// the base URL, connections. An error of it is a lost connection.
pub type Network =
    Buffer<Request<Body>, BoxFuture<'static, Result<Response<Box<DynBody>>, BoxError>>>;

/// A call that got no answer in time. Of a write, nobody knows whether it happened.
#[derive(Debug, thiserror::Error)]
#[error("no answer to {method} {path} within {} s", LIMIT.as_secs())]
pub struct TimedOut {
    method: Method,
    path: String,
}

/// Whether `error` is, or came from, a call that got no answer in time.
#[must_use]
pub fn timed_out(error: &kube::Error) -> bool {
    let chain = std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| {
        error.source()
    });
    chain.into_iter().any(<dyn std::error::Error>::is::<TimedOut>)
}

/// Whether a call may be sent again: a read that ends.
#[must_use]
pub fn may_repeat(method: &Method, uri: &Uri) -> bool {
    *method == Method::GET && !is_stream(uri)
}

/// Whether a call goes on until somebody ends it: a watch, or the log of or a session in a pod.
fn is_stream(uri: &Uri) -> bool {
    // The API server takes every value but these two for true, none included.
    let watch = |(key, value): (&str, &str)| {
        key == "watch" && value != "0" && !value.eq_ignore_ascii_case("false")
    };
    let pairs = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut path = uri.path().rsplit('/');
    let session = matches!(path.next(), Some("log" | "exec" | "attach" | "portforward"))
        && path.nth(1) == Some("pods");
    pairs.into_iter().any(watch) || session
}

/// A client for the API server that `config` names.
///
/// # Errors
/// Where `config` names no usable credentials, certificates or proxy.
///
/// # Panics
/// Outside a Tokio runtime, as kube's own constructors.
pub fn client(config: Config) -> Result<Client, kube::Error> {
    client_with(config, Identity::new())
}

/// As [`client`], with `layer` between the rules of this module and the connections: to the rules,
/// what it does is the network's doing.
///
/// # Errors
/// As [`client`].
///
/// # Panics
/// As [`client`].
pub fn client_with<L, B>(mut config: Config, layer: L) -> Result<Client, kube::Error>
where
    L: Layer<Network>,
    L::Service: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    // The queue makes the stack one that can be called again for the same request.
    let network = ClientBuilder::try_from(config)?.with_layer(&BufferLayer::new(QUEUE));
    Ok(network.with_layer(&layer).with_layer(&CallRules).build())
}

/// The rules of this module as a layer.
#[derive(Clone, Copy, Debug)]
pub struct CallRules;

impl<S> Layer<S> for CallRules {
    type Service = Calls<S>;

    fn layer(&self, inner: S) -> Calls<S> {
        Calls { inner }
    }
}

/// The service of [`CallRules`].
#[derive(Clone, Debug)]
pub struct Calls<S> {
    inner: S,
}

impl<S, B> Service<Request<Body>> for Calls<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Either<Full<Bytes>, B>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The service that was polled ready takes the call; a fresh clone stays for the next one.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let late =
            TimedOut { method: request.method().clone(), path: request.uri().path().to_owned() };
        if is_stream(request.uri()) {
            let head = timeout(LIMIT, inner.call(request));
            return Box::pin(async move {
                let answer = head.await.map_err(|_| late)?.map_err(Into::into)?;
                Ok(answer.map(Either::Right))
            });
        }
        Box::pin(async move {
            let answer =
                timeout(LIMIT, tries(inner, request)).await.unwrap_or_else(|_| Err(late.into()))?;
            Ok(answer.map(|body| Either::Left(Full::new(body))))
        })
    }
}

/// Sends a request, and again where that is allowed and may help. The answer is the last one's.
async fn tries<S, B>(mut service: S, request: Request<Body>) -> Result<Response<Bytes>, BoxError>
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>>,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
{
    let begun = Instant::now();
    let (head, body) = request.into_parts();
    let again = (may_repeat(&head.method, &head.uri) && body.is_end_stream()).then(|| head.clone());
    let mut answer = once(&mut service, Request::from_parts(head, body)).await;
    let Some(head) = again else { return answer };
    for delay in DELAYS {
        let Some(wait) =
            repeat_after(&answer, delay).filter(|wait| begun.elapsed() + *wait <= REPEAT_WITHIN)
        else {
            break;
        };
        let why =
            answer.as_ref().map_or_else(ToString::to_string, |answer| answer.status().to_string());
        tracing::debug!(path = head.uri.path(), why, "reading again from the API server");
        sleep(wait).await;
        answer = once(&mut service, Request::from_parts(head.clone(), Body::empty())).await;
    }
    answer
}

/// Sends a request once and reads the whole answer, so that a connection lost on the way is noticed
/// here.
async fn once<S, B>(service: &mut S, request: Request<Body>) -> Result<Response<Bytes>, BoxError>
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>>,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
{
    let answer =
        service.ready().await.map_err(Into::into)?.call(request).await.map_err(Into::into)?;
    let (head, body) = answer.into_parts();
    Ok(Response::from_parts(head, body.collect().await.map_err(Into::into)?.to_bytes()))
}

/// How long to wait before a read is sent again, at least `delay`; `None` where that would not
/// help.
fn repeat_after(answer: &Result<Response<Bytes>, BoxError>, delay: Duration) -> Option<Duration> {
    match answer {
        Ok(answer) => {
            let passing = [
                StatusCode::TOO_MANY_REQUESTS,
                StatusCode::BAD_GATEWAY,
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::GATEWAY_TIMEOUT,
            ];
            let seconds = answer
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.parse().ok());
            let asked = seconds.map(Duration::from_secs).unwrap_or_default();
            (passing.contains(&answer.status()) && asked <= MAX_RETRY_AFTER)
                .then(|| asked.max(delay))
        }
        // kube's own errors come from credentials that cannot be had, before anything was sent; all
        // others are the connection's.
        Err(error) => (!error.is::<kube::Error>()).then_some(delay),
    }
}

#[cfg(test)]
mod tests;
