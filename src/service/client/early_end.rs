//! The early end of a watch on sagas.
//!
//! The API server ends a watch after the time that its request names. It ends all watches on sagas
//! earlier when their definition changes. The last events of such a watch may lack fields that only
//! the new definition has. kube's watcher would begin the next watch behind these events, and the
//! cache would keep the copies without the fields: a write from such a copy would delete them.
//!
//! # Guarantees
//! A watch on sagas that ends early ends with the error that its version has expired. kube's
//! watcher then lists the sagas anew.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::Uri;
use hyper::body::{Body as HttpBody, Bytes, Frame};
use tokio::time::Instant;

/// The last line of a watch that ended early.
const EXPIRED: &str = concat!(
    r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"#,
    r#""status":"Failure","message":"the watch ended before its time","reason":"Expired","#,
    r#""code":410}}"#,
    "\n"
);

/// The share of its time after which the end of a watch is not early: the clocks of both sides run
/// at different speeds.
const IN_TIME: f64 = 0.9;

/// The body of a stream. The early end of a watch on sagas becomes an error.
pub struct StreamBody<B> {
    inner: Pin<Box<B>>,
    /// The instant before which the end is early. `None` if no end is early.
    early_before: Option<Instant>,
    ended: bool,
}

impl<B> StreamBody<B> {
    /// Creates the body of the answer to a request that was just made for `uri`.
    pub(super) fn of(uri: &Uri, inner: B) -> Self {
        let early_before = watch_time(uri).map(|time| Instant::now() + time.mul_f64(IN_TIME));
        Self { inner: Box::pin(inner), early_before, ended: false }
    }
}

/// Returns the time that a watch on sagas asks for. Returns `None` for every other stream.
fn watch_time(uri: &Uri) -> Option<Duration> {
    uri.path().starts_with("/apis/saga.dev/").then_some(())?;
    let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    let seconds = pairs.into_iter().find(|(key, _)| *key == "timeoutSeconds")?.1;
    seconds.parse().ok().map(Duration::from_secs)
}

impl<B: HttpBody<Data = Bytes>> HttpBody for StreamBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let frame = ready!(this.inner.as_mut().poll_frame(context));
        if frame.is_some() {
            return Poll::Ready(frame);
        }
        this.ended = true;
        let is_early = this.early_before.is_some_and(|before| Instant::now() < before);
        Poll::Ready(is_early.then(|| Ok(Frame::data(Bytes::from_static(EXPIRED.as_bytes())))))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use http_body_util::{BodyExt, Full};
    use kube::core::WatchEvent;
    use serde_json::Value;
    use tokio::time::advance;

    use super::*;

    /// Returns what a stream of this request holds that ends after this time.
    async fn text(uri: &'static str, after: Duration) -> String {
        let body = StreamBody::of(&Uri::from_static(uri), Full::new(Bytes::from_static(b"line\n")));
        advance(after).await;
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_on_sagas_that_ends_early_says_that_its_version_has_expired() {
        let sagas = "/apis/saga.dev/v1alpha1/sagas?&watch=true&timeoutSeconds=290";
        let early = text(sagas, Duration::from_mins(1)).await;
        let last = early.strip_prefix("line\n").unwrap().trim_end();
        let WatchEvent::<Value>::Error(error) = serde_json::from_str(last).unwrap() else {
            unreachable!("{last}")
        };
        assert_eq!(error.code, 410);
        assert_eq!(text(sagas, Duration::from_secs(290)).await, "line\n", "it ends in time");
        let pods = "/api/v1/pods?watch=true&timeoutSeconds=290";
        assert_eq!(text(pods, Duration::ZERO).await, "line\n", "Pods have no such definition");
    }
}
