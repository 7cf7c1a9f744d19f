//! The bound on the body of an answer, for the calls that ask for one.
//!
//! # Guarantees
//! If a request carries a [`MaxBody`], reading its answer stops at that bound, and nothing beyond
//! it is held. The call is not sent again. [`is_too_large`] recognises its error.

use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{LengthLimitError, Limited};
use hyper::body::{Body as HttpBody, Bytes};
use kube::client::Body;
use tower::{BoxError, Layer, Service};

/// The most bytes of the body of the answer to a request. An extension of the request.
#[derive(Clone, Copy, Debug)]
pub struct MaxBody(pub usize);

/// Returns whether a call failed because the body of its answer has more bytes than the request
/// allows. If the call was a write, its outcome is unknown.
#[must_use]
pub fn is_too_large(error: &kube::Error) -> bool {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source())
        .any(<dyn std::error::Error>::is::<LengthLimitError>)
}

/// The tower layer that keeps the bounds.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits;

impl<S> Layer<S> for BodyLimits {
    type Service = LimitedBodies<S>;

    fn layer(&self, inner: S) -> LimitedBodies<S> {
        LimitedBodies { inner }
    }
}

/// The service that [`BodyLimits`] creates.
#[derive(Clone, Debug)]
pub struct LimitedBodies<S> {
    inner: S,
}

impl<S, B> Service<Request<Body>> for LimitedBodies<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>>,
    S::Future: Send + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Limited<B>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let most = request.extensions().get().map_or(usize::MAX, |MaxBody(most)| *most);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await.map_err(Into::into)?;
            Ok(answer.map(|body| Limited::new(body, most)))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::{
        convert::Infallible,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use futures::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use kube::Client;
    use tower::service_fn;

    use super::*;
    use crate::service::client::CallRules;

    const FRAME: usize = 16 * 1024;

    /// Returns a client of an API server whose answers have this many frames, and the number of
    /// calls and of frames that were read.
    fn client(frames: usize) -> (Client, Arc<[AtomicUsize; 2]>) {
        let counts = Arc::<[AtomicUsize; 2]>::default();
        let service = service_fn({
            let counts = Arc::clone(&counts);
            move |_: Request<Body>| {
                let counts = Arc::clone(&counts);
                counts[0].fetch_add(1, Ordering::Relaxed);
                let frames = stream::iter((0..frames).map(move |_| {
                    counts[1].fetch_add(1, Ordering::Relaxed);
                    Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b' '; FRAME])))
                }));
                std::future::ready(Ok::<_, Infallible>(Response::new(StreamBody::new(frames))))
            }
        });
        (Client::new(CallRules.layer(BodyLimits.layer(service)), "default"), counts)
    }

    fn get(most: Option<usize>) -> Request<Vec<u8>> {
        let mut request =
            Request::get("/api/v1/namespaces/shop/configmaps/a").body(vec![]).unwrap();
        if let Some(most) = most {
            request.extensions_mut().insert(MaxBody(most));
        }
        request
    }

    #[tokio::test]
    async fn reading_stops_at_the_bound_and_is_not_repeated() {
        let (client, counts) = client(1000);
        let error = client.request_text(get(Some(4 * FRAME))).await.unwrap_err();
        assert!(is_too_large(&error), "{error:?}");
        assert_eq!(counts.each_ref().map(|count| count.load(Ordering::Relaxed)), [1, 5]);
    }

    #[tokio::test]
    async fn what_fits_is_read_and_so_is_what_has_no_bound() {
        let (client, _) = client(5);
        for most in [Some(5 * FRAME), None] {
            assert_eq!(client.request_text(get(most)).await.unwrap().len(), 5 * FRAME);
        }
    }
}
