//! The client of the Kubernetes API, with its own rules for repeats and time limits of calls.
//!
//! A call is a stream if it is a watch, the log of a Pod, or a session in a Pod. A stream has no
//! defined end. All other calls are finite.
//!
//! # Guarantees
//! - A call that may change something is sent exactly once. The caller knows the consequences and
//!   decides about a retry.
//! - Only a finite read is repeated, after 429, 502, 503, 504 or a lost connection. There are at
//!   most 4 tries, and the last try begins within 10 s.
//! - A finite call takes at most 15 s. This time includes the repeats and the body of the answer.
//!   [`timed_out`] recognises a call that took longer. If a write took longer, its outcome is
//!   unknown.
//! - The body of an answer is UTF-8: what is not, is replaced, in a stream chunk by chunk. One byte
//!   that a user wrote into one object does not make a list or a watch fail.
//! - An answer that is larger than its request allows ends the call: [`body_limit`].
//! - A watch on sagas that ends before its time ends with the error 410, so that the watcher lists
//!   the sagas anew.
//! - Streams are not repeated here, and only their beginning has a time limit: the head of the
//!   answer arrives within 15 s. For later silence, kube's watcher has its own idle limit.
//!
//! # Why not kube's own
//! kube repeats every verb by default, also `POST`, 15 times over minutes. These minutes are longer
//! than any Lease, and kube does not consider what the repeated call does.

pub mod body_limit;
mod early_end;
mod utf8;

use std::{
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode, Uri, header::RETRY_AFTER};
use http_body_util::{BodyExt, Either, Full, LengthLimitError, combinators::MapFrame};
use hyper::body::{Body as HttpBody, Bytes, Frame};
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

use self::{body_limit::BodyLimits, early_end::StreamBody};

/// The time limit for connecting.
const CONNECT: Duration = Duration::from_secs(5);
/// The time limit of a finite call. For a stream, the time limit until the head of the answer
/// arrives.
const LIMIT: Duration = Duration::from_secs(15);
/// The delay before each repeat, in order.
const DELAYS: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400)];
/// The longest `Retry-After` for which this client waits. An answer that asks for more time is
/// returned to the caller, because the caller can do other work during that time.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(2);
/// The latest start of a repeat, counted from the first try.
const REPEAT_WITHIN: Duration = Duration::from_secs(10);
/// The number of calls that can wait for the task of the connections. kube's own queue has the same
/// size.
const QUEUE: usize = 1024;

/// The network below the rules of this module: authentication, the base URL, connections. A layer
/// for [`client_with`] wraps the network. An error of the network counts as a lost connection.
pub type Network =
    Buffer<Request<Body>, BoxFuture<'static, Result<Response<Box<DynBody>>, BoxError>>>;

/// The error of a call that got no answer in time. If the call was a write, its outcome is unknown.
#[derive(Debug, thiserror::Error)]
#[error("no answer to {method} {path} within {} s", LIMIT.as_secs())]
pub struct TimedOut {
    method: Method,
    path: String,
}

/// Returns whether `error` is, or was caused by, a call that got no answer in time.
#[must_use]
pub fn timed_out(error: &kube::Error) -> bool {
    let chain = std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| {
        error.source()
    });
    chain.into_iter().any(<dyn std::error::Error>::is::<TimedOut>)
}

/// Returns whether a call may be sent again. Only a finite read may be sent again.
#[must_use]
pub fn may_repeat(method: &Method, uri: &Uri) -> bool {
    *method == Method::GET && !is_stream(uri)
}

/// Returns whether a call is a stream: a watch, the log of a Pod, or a session in a Pod.
fn is_stream(uri: &Uri) -> bool {
    // The API server reads every value except these two as true, and also a missing value.
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

/// Creates a client for the API server that `config` names.
///
/// # Errors
/// Fails if `config` has no usable credentials, certificates or proxy.
///
/// # Panics
/// Panics outside a Tokio runtime, like kube's own constructors.
pub fn client(config: Config) -> Result<Client, kube::Error> {
    client_with(config, Identity::new())
}

/// Creates a client like [`client`], with `layer` between the rules of this module and the
/// connections. The rules cannot distinguish the effects of `layer` from effects of the network.
///
/// # Errors
/// Fails in the same cases as [`client`].
///
/// # Panics
/// Panics in the same cases as [`client`].
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
    // Clones of the queue can be called repeatedly, so that a request can be sent again.
    let network = ClientBuilder::try_from(config)?.with_layer(&BufferLayer::new(QUEUE));
    Ok(network.with_layer(&layer).with_layer(&BodyLimits).with_layer(&CallRules).build())
}

/// The tower layer that applies the rules of this module.
#[derive(Clone, Copy, Debug)]
pub struct CallRules;

impl<S> Layer<S> for CallRules {
    type Service = Calls<S>;

    fn layer(&self, inner: S) -> Calls<S> {
        Calls { inner }
    }
}

/// The service that [`CallRules`] creates.
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
    type Response = Response<Either<Full<Bytes>, Streamed<B>>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // `poll_ready` reserved this instance, so this instance must take the call. A fresh clone
        // replaces it for the next call.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let late =
            TimedOut { method: request.method().clone(), path: request.uri().path().to_owned() };
        if is_stream(request.uri()) {
            let uri = request.uri().clone();
            let head = timeout(LIMIT, inner.call(request));
            return Box::pin(async move {
                let answer = head.await.map_err(|_| late)?.map_err(Into::into)?;
                Ok(answer.map(|body| Either::Right(streamed(StreamBody::of(&uri, body)))))
            });
        }
        Box::pin(async move {
            let answer =
                timeout(LIMIT, tries(inner, request)).await.unwrap_or_else(|_| Err(late.into()))?;
            Ok(answer.map(|body| Either::Left(Full::new(body))))
        })
    }
}

/// The body of a stream, as UTF-8.
type Streamed<B> = MapFrame<StreamBody<B>, Box<dyn FnMut(Frame<Bytes>) -> Frame<Bytes> + Send>>;

fn streamed<B: HttpBody<Data = Bytes>>(body: StreamBody<B>) -> Streamed<B> {
    let mut text = utf8::Unfinished::default();
    body.map_frame(Box::new(move |frame| frame.map_data(|chunk| text.pass(chunk))))
}

/// Sends a request. Repeats the request if a repeat is allowed and may help. Returns the last
/// answer.
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

/// Sends a request once and reads the whole answer. A connection that breaks during the body
/// therefore causes an error here.
async fn once<S, B>(service: &mut S, request: Request<Body>) -> Result<Response<Bytes>, BoxError>
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>>,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>>,
{
    let answer =
        service.ready().await.map_err(Into::into)?.call(request).await.map_err(Into::into)?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map_err(Into::into)?.to_bytes();
    Ok(Response::from_parts(head, utf8::lossy(body)))
}

/// Returns the delay before a read is sent again, at least `delay`. Returns `None` if a repeat
/// would not help.
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
        // A kube error means that no credentials were available and that nothing was sent. An
        // answer that is too large is too large the next time. All other errors come from the
        // connection.
        Err(error) => {
            (!error.is::<kube::Error>() && !error.is::<LengthLimitError>()).then_some(delay)
        }
    }
}

#[cfg(test)]
mod tests;
