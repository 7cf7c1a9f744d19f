//! The watches in a namespace that the API server answers with 403 or 404: what their stores show may be old, and may stay so for ever.
//!
//! # Guarantees
//! Nothing is concluded from it alone: it says where to look live. The deletion of a namespace takes the operator's rights there before
//! the sagas are gone, and then no watch tells of anything any more.
//!
//! # Caveats
//! A watch that is let in again counts as barred until it brings something: too much is read, and nothing is missed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kube::{
    Api, Resource,
    runtime::watcher::{self, Event},
};
use tokio::time::Instant;

use super::{
    context::Context,
    error::{chain, code},
};

/// How long a watch is barred before nobody waits for it any more.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is watched without which no saga is looked at.
const NEEDED: [&str; 2] = ["Saga", "Pod"];

/// Since when the watch on a kind is barred, by namespace and kind. Those on the whole cluster are never in it.
#[derive(Debug, Default)]
pub struct Barred(Mutex<BTreeMap<String, BTreeMap<&'static str, Instant>>>);

impl Barred {
    /// Notes that a watch failed, with the HTTP status of the answer where there was one. Returns whether it is barred from now on, and was
    /// not before.
    pub fn failed(&self, namespace: &str, kind: &'static str, code: Option<u16>) -> bool {
        if !matches!(code, Some(403 | 404)) {
            return false;
        }
        let mut new = false;
        let mut barred = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        barred.entry(namespace.to_owned()).or_default().entry(kind).or_insert_with(|| {
            new = true;
            Instant::now()
        });
        new
    }

    /// Notes that a watch brought something.
    pub fn works(&self, namespace: &str, kind: &str) {
        let mut barred = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kinds) = barred.get_mut(namespace) {
            kinds.remove(kind);
        }
    }

    /// Whether this watch is barred.
    #[must_use]
    pub fn is(&self, namespace: &str, kind: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(namespace).is_some_and(|kinds| kinds.contains_key(kind))
    }

    /// Whether a watch in this namespace is barred without which nothing is done there. Without Jobs, all else is.
    #[must_use]
    pub fn blinds(&self, namespace: &str) -> bool {
        NEEDED.iter().any(|kind| self.is(namespace, kind))
    }

    /// Whether such a watch in this namespace has been barred for so long that nobody should wait for it any more.
    #[must_use]
    pub fn is_given_up(&self, namespace: &str) -> bool {
        let barred = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |kinds: &BTreeMap<_, Instant>| NEEDED.iter().filter_map(|kind| kinds.get(kind).copied()).min();
        barred.get(namespace).and_then(since).is_some_and(|since| since.elapsed() >= PATIENCE)
    }
}

/// Whether one watch is well.
pub(super) struct Health {
    context: Arc<Context>,
    kind: &'static str,
    namespace: Option<String>,
}

impl Health {
    pub(super) fn of<K>(api: &Api<K>, kind: &'static str, context: &Arc<Context>) -> Self
    where
        K: Resource,
    {
        Self { context: Arc::clone(context), kind, namespace: api.namespace().map(str::to_owned) }
    }

    /// Counts and tells a failure. Where the rights in a namespace went, all its sagas are looked at: its deletion may have taken them.
    pub(super) fn note<K>(&self, event: &Result<Event<K>, watcher::Error>) {
        let Self { context, kind, namespace } = self;
        match (event, namespace) {
            // It begins with the next call, which may fail.
            (Ok(Event::Init), _) | (Ok(_), None) => {}
            (Ok(_), Some(namespace)) => context.barred.works(namespace, kind),
            (Err(error), namespace) => {
                context.metrics.watch_failed(kind);
                let namespace = namespace.as_deref();
                tracing::warn!(kind, namespace, error = chain(error), "a watch failed and begins again");
                if let Some(namespace) = namespace.filter(|namespace| context.barred.failed(namespace, kind, answered(error))) {
                    context.announce_all(|saga| saga.metadata.namespace.as_deref() == Some(namespace));
                }
            }
        }
    }
}

/// The HTTP status that a watch failed with, where the API server answered.
fn answered(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) | watcher::Error::WatchFailed(error) => {
            code(error)
        }
        watcher::Error::WatchError(status) => Some(status.code),
        watcher::Error::NoResourceVersion => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use http::{Request, Response};
    use kube::{Client, client::Body, runtime::controller::Action};
    use serde_json::json;

    use super::*;
    use crate::controller::{context::fixture, reconcile::reconcile};

    #[tokio::test]
    async fn a_saga_is_read_live_where_its_watch_may_have_missed_its_deletion() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let client = Client::new(
            tower::service_fn(move |request: Request<Body>| {
                log.lock().unwrap().push(request.uri().path().to_owned());
                let body = json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "not found"});
                let response = Response::builder().status(404).body(Body::from(body.to_string().into_bytes())).unwrap();
                std::future::ready(Ok::<_, std::convert::Infallible>(response))
            }),
            "default",
        );
        let (context, _announced) = fixture::context(client, None);
        context.barred.failed("shop", "Saga", Some(403));
        let metadata = json!({"name": "order", "namespace": "shop", "uid": "1", "resourceVersion": "7"});
        let steps = json!([{"name": "ship", "pod": {"image": "ship"}}]);
        let saga = serde_json::from_value(json!({"metadata": metadata, "spec": {"steps": steps}})).unwrap();
        let action = reconcile(Arc::new(saga), context).await.unwrap();
        assert_eq!(action, Action::requeue(Duration::from_mins(1)), "it may be there all the same");
        assert_eq!(*asked.lock().unwrap(), ["/apis/saga.dev/v1alpha1/namespaces/shop/sagas/order"]);
    }

    #[test]
    fn a_watch_is_barred_by_what_says_no_until_it_brings_something() {
        let barred = Barred::default();
        for passing in [None, Some(410), Some(429), Some(500)] {
            assert!(!barred.failed("shop", "Pod", passing) && !barred.is("shop", "Pod"));
        }
        assert!(barred.failed("shop", "Pod", Some(403)) && !barred.failed("shop", "Pod", Some(404)), "it is news once");
        assert!(barred.is("shop", "Pod") && !barred.is("shop", "Saga") && !barred.is("billing", "Pod"));
        barred.works("shop", "Pod");
        assert!(!barred.is("shop", "Pod") && barred.failed("shop", "Pod", Some(403)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_is_waited_for_half_a_minute() {
        let barred = Barred::default();
        barred.failed("shop", "Saga", Some(403));
        assert!(!barred.is_given_up("shop"));
        tokio::time::advance(PATIENCE).await;
        assert!(barred.is_given_up("shop") && !barred.is_given_up("billing"));
        barred.works("shop", "Saga");
        barred.failed("shop", "Job", Some(403));
        tokio::time::advance(PATIENCE).await;
        assert!(!barred.is_given_up("shop") && !barred.blinds("shop"), "an operator without rights on Jobs does everything else");
    }
}
