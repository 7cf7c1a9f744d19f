#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod told;
mod unreadable;

use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use http::{Request, Response};
use k8s_openapi::NamespaceResourceScope;
use kube::{Client, ResourceExt, client::Body, runtime::reflector};
use serde_json::json;

use super::*;
use crate::controller::{context::fixture, watch::sagas::saga_stream};

fn pod(name: &str, uid: &str) -> Pod {
    let labels = json!({LABEL_SAGA: format!("saga-of-{name}")});
    serde_json::from_value(
        json!({"metadata": {"name": name, "namespace": "shop", "uid": uid, "labels": labels}}),
    )
    .unwrap()
}

/// Lets a list go by as the watch brings it, and says which sagas it makes look again.
fn list(listing: &mut Listing<Pod>, writer: &mut Writer<Pod>, pods: &[Pod]) -> Vec<String> {
    let items = pods.iter().cloned().map(Event::InitApply);
    let events = std::iter::once(Event::Init).chain(items).chain([Event::InitDone]);
    let mut missing = Vec::new();
    for event in events {
        missing.extend(
            listing
                .missing(&event)
                .into_iter()
                .map(|pod| format!("{}/{}", pod.namespace().unwrap(), pod.labels()[LABEL_SAGA])),
        );
        writer.apply_watcher_event(&event);
    }
    missing.sort();
    missing
}

#[test]
fn a_pod_that_went_while_nobody_watched_makes_its_saga_look_again() {
    let (_, mut writer) = reflector::store();
    let mut listing = Listing::before(&writer);
    let nothing: [&str; 0] = [];
    assert_eq!(
        list(&mut listing, &mut writer, &[pod("a", "1"), pod("b", "2"), pod("c", "3")]),
        nothing
    );
    // b went, c was made anew.
    assert_eq!(
        list(&mut listing, &mut writer, &[pod("a", "1"), pod("c", "4")]),
        ["shop/saga-of-b", "shop/saga-of-c"]
    );
    assert_eq!(list(&mut listing, &mut writer, &[pod("a", "1"), pod("c", "4")]), nothing);
}

/// An API server with the objects a and b, each on a page of its own. The first watch has a gap at
/// once: every object has changed when the list is read again.
fn with_a_gap() -> Client {
    let lists = AtomicUsize::new(0);
    let answer = move |request: Request<Body>| {
        let query = request.uri().query().unwrap_or_default();
        let object = |name: &str, version: usize| {
            json!({
                "metadata": {
                    "name": name, "namespace": "shop", "uid": name,
                    "resourceVersion": version.to_string(),
                },
                "spec": {"steps": []},
            })
        };
        let list = |next: &str, name: &str, version: usize| {
            json!({
                "kind": "List", "apiVersion": "v1",
                "metadata": {"resourceVersion": "9", "continue": next},
                "items": [object(name, version)],
            })
        };
        let answer = if query.contains("watch=true") {
            let gone = json!({
                "kind": "Status", "status": "Failure", "code": 410, "reason": "Expired",
                "message": "too old",
            });
            (lists.load(Ordering::SeqCst) == 1).then(|| json!({"type": "ERROR", "object": gone}))
        } else if query.contains("continue=") {
            Some(list("", "b", lists.load(Ordering::SeqCst)))
        } else {
            Some(list("more", "a", lists.fetch_add(1, Ordering::SeqCst) + 1))
        };
        async move {
            let Some(answer) = answer else { return std::future::pending().await };
            Ok::<_, Infallible>(Response::new(Body::from(format!("{answer}\n").into_bytes())))
        }
    };
    Client::new(tower::service_fn(answer), "default")
}

/// What a watch brings over a list and another one after a gap: each object, its version, and the
/// version in the store at that time.
async fn brought<K, S>(
    watched: impl FnOnce(Client, Writer<K>, Listeners) -> S,
) -> Vec<(String, Option<String>, Option<String>)>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + 'static,
    S: Stream<Item = Result<K, watcher::Error>>,
{
    let client = with_a_gap();
    let (context, _announced) = fixture::context(client.clone(), None);
    let (store, writer) = reflector::store();
    let seen = watched(client, writer, context.listeners()).take(4).map(|object| {
        let object = object.unwrap();
        let stands =
            store.get(&ObjectRef::from_obj(&object)).and_then(|stored| stored.resource_version());
        (object.name_any(), object.resource_version(), stands)
    });
    // Of the paused clock: what is not brought by then never is.
    let mut seen: Vec<_> =
        seen.take_until(tokio::time::sleep(Duration::from_hours(1))).collect().await;
    seen.sort_by_key(|(name, version, _)| (version.clone(), name.clone()));
    seen
}

#[tokio::test(start_paused = true)]
async fn a_list_of_several_pages_after_a_gap_is_looked_at_when_the_store_shows_all_of_it() {
    let expected = [("a", "1"), ("b", "1"), ("a", "2"), ("b", "2")].map(|(name, version)| {
        (name.to_owned(), Some(version.to_owned()), Some(version.to_owned()))
    });
    assert_eq!(
        brought(|client, writer, listeners| saga_stream(
            Api::all(client),
            writer,
            watch::Sender::default(),
            listeners
        ))
        .await,
        expected
    );
    assert_eq!(
        brought(|client, writer, listeners| pod_stream(
            Api::all(client),
            writer,
            watch::Sender::default(),
            listeners
        ))
        .await,
        expected
    );
    assert_eq!(
        brought(|client, writer, listeners| job_stream(Api::all(client), writer, listeners)).await,
        expected
    );
}

/// A Pod of the Job with this UID.
fn of_job(job: &str) -> serde_json::Value {
    let owner = json!({
        "apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": job, "controller": true,
    });
    let labels = json!({LABEL_MANAGED_BY: MANAGER});
    json!({
        "metadata": {
            "name": format!("of-{job}"), "namespace": "shop", "uid": format!("of-{job}"),
            "labels": labels, "ownerReferences": [owner],
        },
    })
}

/// An API server with a Pod of the Job `job` on the first page of a list, whose second page cannot
/// be had. When the list is read again that Pod is gone, and there is one of the Job `other`.
fn with_a_list_that_breaks_off() -> Client {
    let lists = AtomicUsize::new(0);
    let answer = move |request: Request<Body>| {
        let query = request.uri().query().unwrap_or_default();
        let page = |next: &str, items: Vec<serde_json::Value>| {
            json!({
                "kind": "List", "apiVersion": "v1",
                "metadata": {"resourceVersion": "9", "continue": next}, "items": items,
            })
        };
        let answer = if query.contains("watch=true") {
            None
        } else if query.contains("continue=") {
            Some((
                500,
                json!({
                    "kind": "Status", "status": "Failure", "code": 500, "reason": "InternalError",
                    "message": "no",
                }),
            ))
        } else if lists.fetch_add(1, Ordering::SeqCst) == 0 {
            Some((200, page("more", vec![of_job("job")])))
        } else {
            Some((200, page("", vec![of_job("other")])))
        };
        async move {
            let Some((code, answer)) = answer else { return std::future::pending().await };
            Ok::<_, Infallible>(fixture::answer(code, &answer))
        }
    };
    Client::new(tower::service_fn(answer), "default")
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_went_while_its_list_broke_off_runs_no_more_and_one_in_the_whole_list_does() {
    let client = with_a_list_that_breaks_off();
    let (context, _announced) = fixture::context(client.clone(), None);
    let (_store, writer) = reflector::store();
    let (listed, mut whole) = watch::channel(false);
    let pods = pod_stream(Api::all(client), writer, listed, context.listeners());
    tokio::select! {
        () = pods.for_each(|_| std::future::ready(())) => {}
        listed = whole.wait_for(|listed| *listed) => assert!(*listed.unwrap()),
        () = tokio::time::sleep(Duration::from_hours(1)) => unreachable!("the list was never \
            whole"),
    }
    assert!(context.memory.job_pods.of("job").0.pods.is_empty());
    assert_eq!(context.memory.job_pods.of("other").0.pods.len(), 1);
}

/// An API server with a Pod of the Job `job` in its first list. The watch has a gap at once, and
/// when the list is read again that Pod is gone.
fn with_a_pod_that_goes_unseen() -> Client {
    let lists = AtomicUsize::new(0);
    let answer = move |request: Request<Body>| {
        let list = |items: Vec<serde_json::Value>| {
            json!({
                "kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "9"},
                "items": items,
            })
        };
        let answer = if request.uri().query().unwrap_or_default().contains("watch=true") {
            let gone = json!({
                "kind": "Status", "status": "Failure", "code": 410, "reason": "Expired",
                "message": "too old",
            });
            (lists.load(Ordering::SeqCst) == 1).then(|| json!({"type": "ERROR", "object": gone}))
        } else {
            let first = lists.fetch_add(1, Ordering::SeqCst) == 0;
            Some(list(if first {
                vec![of_job("job"), of_job("other")]
            } else {
                vec![of_job("other")]
            }))
        };
        async move {
            let Some(answer) = answer else { return std::future::pending().await };
            Ok::<_, Infallible>(Response::new(Body::from(format!("{answer}\n").into_bytes())))
        }
    };
    Client::new(tower::service_fn(answer), "default")
}

#[tokio::test(start_paused = true)]
async fn of_a_pod_of_a_job_that_went_while_nobody_watched_nobody_claims_to_know_the_end() {
    let client = with_a_pod_that_goes_unseen();
    let (context, _announced) = fixture::context(client.clone(), None);
    let (_store, writer) = reflector::store();
    let pods = pod_stream(Api::all(client), writer, watch::Sender::default(), context.listeners());
    // Two Pods of the first list, one of the second.
    let brought = pods.take(3).count();
    assert_eq!(tokio::time::timeout(Duration::from_hours(1), brought).await.unwrap(), 3);
    let [gone, there] = ["job", "other"].map(|job| context.memory.job_pods.of(job).0);
    assert!(gone.lost && gone.pods.is_empty() && gone.gone.is_empty(), "{gone:?}");
    assert!(!there.lost && there.pods.len() == 1, "{there:?}");
}
