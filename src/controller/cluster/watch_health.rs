//! The watches in a namespace that the API server answers with 403 or 404. The caches of such a
//! barred watch may be out of date, and may stay so for ever.
//!
//! # Guarantees
//! No decision rests on a barred watch alone: it only says which objects need a live read. The
//! deletion of a namespace removes the operator's rights there before the sagas are gone. From then
//! on no watch in the namespace reports anything.
//!
//! # Caveats
//! A watch that is permitted again counts as barred until it delivers something. Until then the
//! operator reads more than it needs, and misses nothing.

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

use super::error::{chain, code};
use crate::{controller::queue::Queue, service::metrics::Metrics};

/// How long the operator waits for a barred watch before it gives up waiting.
const PATIENCE: Duration = Duration::from_secs(30);
/// The kinds whose watches every saga needs in order to be reconciled.
const NEEDED: [WatchedKind; 2] = [WatchedKind::Saga, WatchedKind::Pod];

/// A kind of object that the operator watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WatchedKind {
    /// The sagas.
    Saga,
    /// The Pods of attempts.
    Pod,
    /// The Jobs of attempts.
    Job,
}

impl WatchedKind {
    /// Returns the word that `kind` of a manifest has: `Saga`, `Pod` or `Job`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Saga => "Saga",
            Self::Pod => "Pod",
            Self::Job => "Job",
        }
    }
}

/// The instants since which watches are barred, by namespace and kind. Watches of the whole cluster
/// are never in the table.
#[derive(Debug, Default)]
pub struct WatchHealth(Mutex<BTreeMap<String, BTreeMap<WatchedKind, Instant>>>);

impl WatchHealth {
    /// Records that a watch failed. `code` is the HTTP status, if the API server answered. Returns
    /// whether the watch is now barred and was not barred before.
    pub fn failed(&self, namespace: &str, kind: WatchedKind, code: Option<u16>) -> bool {
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

    /// Records that a watch delivered something: the watch is no longer barred.
    pub fn works(&self, namespace: &str, kind: WatchedKind) {
        let mut barred = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kinds) = barred.get_mut(namespace) {
            kinds.remove(&kind);
        }
    }

    /// Returns whether this watch is barred.
    #[must_use]
    pub fn is(&self, namespace: &str, kind: WatchedKind) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(namespace)
            .is_some_and(|kinds| kinds.contains_key(&kind))
    }

    /// Returns whether a watch is barred that all work in this namespace needs: that of sagas or
    /// that of Pods. If only the watch of Jobs is barred, everything else is still done there.
    #[must_use]
    pub fn blinds(&self, namespace: &str) -> bool {
        NEEDED.iter().any(|kind| self.is(namespace, *kind))
    }

    /// Returns whether the watch of sagas or of Pods in this namespace has been barred for at least
    /// 30 seconds, so that nothing should wait for it any more.
    #[must_use]
    pub fn is_given_up(&self, namespace: &str) -> bool {
        let barred = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |kinds: &BTreeMap<_, Instant>| {
            NEEDED.iter().filter_map(|kind| kinds.get(kind).copied()).min()
        };
        barred.get(namespace).and_then(since).is_some_and(|since| since.elapsed() >= PATIENCE)
    }
}

/// The health of one watch.
pub(in crate::controller) struct WatchReporter {
    barred: Arc<WatchHealth>,
    queue: Queue,
    metrics: Arc<Metrics>,
    kind: WatchedKind,
    namespace: Option<String>,
}

impl WatchReporter {
    /// Creates the health of a watch of `api`.
    pub(in crate::controller) fn of<K>(
        api: &Api<K>,
        kind: WatchedKind,
        barred: &Arc<WatchHealth>,
        queue: &Queue,
        metrics: &Arc<Metrics>,
    ) -> Self
    where
        K: Resource,
    {
        Self {
            barred: Arc::clone(barred),
            queue: queue.clone(),
            metrics: Arc::clone(metrics),
            kind,
            namespace: api.namespace().map(str::to_owned),
        }
    }

    /// Counts and logs a failure, and records a delivery. If the watch of a namespace becomes
    /// barred, all sagas of the namespace are enqueued, because its deletion may have removed the
    /// operator's rights.
    pub(in crate::controller) fn note<K>(&self, event: &Result<Event<K>, watcher::Error>) {
        let Self { barred, queue, metrics, kind, namespace } = self;
        let kind = *kind;
        match (event, namespace) {
            // `Init` comes before the first call, which may fail.
            (Ok(Event::Init), _) | (Ok(_), None) => {}
            (Ok(_), Some(namespace)) => barred.works(namespace, kind),
            (Err(error), namespace) => {
                metrics.watch_failed(kind.as_str());
                let namespace = namespace.as_deref();
                tracing::warn!(
                    kind = kind.as_str(),
                    namespace,
                    error = chain(error),
                    "a watch failed and begins again"
                );
                if let Some(namespace) =
                    namespace.filter(|namespace| barred.failed(namespace, kind, answered(error)))
                {
                    queue.enqueue_where(|saga| {
                        saga.metadata.namespace.as_deref() == Some(namespace)
                    });
                }
            }
        }
    }
}

/// Returns the HTTP status of a watch failure, or `None` if the API server did not answer.
fn answered(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => code(error),
        watcher::Error::WatchError(status) => Some(status.code),
        watcher::Error::NoResourceVersion => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use http::{Request, Response};
    use kube::{Client, client::Body};
    use serde_json::json;

    use super::*;
    use crate::controller::{
        context::fixture,
        reconcile::{
            reconcile,
            requeue::{Action, unwatched},
        },
    };

    #[tokio::test]
    async fn a_saga_is_read_live_where_its_watch_may_have_missed_its_deletion() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let client = Client::new(
            tower::service_fn(move |request: Request<Body>| {
                log.lock().unwrap().push(request.uri().path().to_owned());
                let body = json!({
                    "kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound",
                    "message": "not found",
                });
                let response = fixture::answer(404, &body);
                std::future::ready(Ok::<_, std::convert::Infallible>(response))
            }),
            "default",
        );
        let (context, _announced) = fixture::context(client, None);
        context.cluster.watch_health.failed("shop", WatchedKind::Saga, Some(403));
        let metadata =
            json!({"name": "order", "namespace": "shop", "uid": "1", "resourceVersion": "7"});
        let steps = json!([{"name": "ship", "pod": {"image": "ship"}}]);
        let saga = serde_json::from_value(json!({"metadata": metadata, "spec": {"steps": steps}}))
            .unwrap();
        let action = reconcile(Arc::new(saga), context).await.unwrap();
        assert_eq!(action, Action::requeue(Duration::from_mins(1)), "it may be there all the same");
        assert_eq!(*asked.lock().unwrap(), ["/apis/saga.dev/v1alpha1/namespaces/shop/sagas/order"]);
    }

    #[tokio::test]
    async fn every_saga_that_does_not_rest_is_polled_where_a_watch_is_barred() {
        let nobody = tower::service_fn(|_: Request<Body>| {
            std::future::pending::<Result<Response<Body>, std::convert::Infallible>>()
        });
        let (context, _announced) = fixture::context(Client::new(nobody, "default"), None);
        let saga = |phase: &str, more: serde_json::Value| {
            let mut metadata = json!({"name": "order", "namespace": "shop", "uid": "1"});
            metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value(
                json!({"metadata": metadata, "spec": {"steps": []}, "status": {"phase": phase}}),
            )
            .unwrap()
        };
        let rests = saga("Completed", json!({}));
        let others = [
            saga("Running", json!({})),
            saga("Completed", json!({"finalizers": ["saga.dev/undo"]})),
            saga("Completed", json!({"deletionTimestamp": "2030-01-01T00:00:00Z"})),
        ];
        assert!(
            others.iter().chain([&rests]).all(|saga| unwatched(saga, &context.cluster).is_none()),
            "the watches tell"
        );
        context.cluster.watch_health.failed("shop", WatchedKind::Pod, Some(403));
        assert!(
            unwatched(&rests, &context.cluster).is_none()
                && others.iter().all(|saga| unwatched(saga, &context.cluster).is_some())
        );
    }

    #[test]
    fn a_watch_is_barred_by_what_says_no_until_it_brings_something() {
        let barred = WatchHealth::default();
        for passing in [None, Some(410), Some(429), Some(500)] {
            assert!(
                !barred.failed("shop", WatchedKind::Pod, passing)
                    && !barred.is("shop", WatchedKind::Pod)
            );
        }
        assert!(
            barred.failed("shop", WatchedKind::Pod, Some(403))
                && !barred.failed("shop", WatchedKind::Pod, Some(404)),
            "it is news once"
        );
        assert!(
            barred.is("shop", WatchedKind::Pod)
                && !barred.is("shop", WatchedKind::Saga)
                && !barred.is("billing", WatchedKind::Pod)
        );
        barred.works("shop", WatchedKind::Pod);
        assert!(
            !barred.is("shop", WatchedKind::Pod)
                && barred.failed("shop", WatchedKind::Pod, Some(403))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_is_waited_for_half_a_minute() {
        let barred = WatchHealth::default();
        barred.failed("shop", WatchedKind::Saga, Some(403));
        assert!(!barred.is_given_up("shop"));
        tokio::time::advance(PATIENCE).await;
        assert!(barred.is_given_up("shop") && !barred.is_given_up("billing"));
        barred.works("shop", WatchedKind::Saga);
        barred.failed("shop", WatchedKind::Job, Some(403));
        tokio::time::advance(PATIENCE).await;
        assert!(
            !barred.is_given_up("shop") && !barred.blinds("shop"),
            "an operator without rights on Jobs does everything else"
        );
    }
}
