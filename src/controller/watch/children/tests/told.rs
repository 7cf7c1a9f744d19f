//! Who is told of the events of a Pod, and what is remembered of its end.

use super::*;

/// An API server with this list, and with these events in the watch that follows.
pub(super) fn with_news(items: Vec<serde_json::Value>, events: Vec<serde_json::Value>) -> Client {
    let told = AtomicUsize::new(0);
    let answer = move |request: Request<Body>| {
        let watched = request.uri().query().unwrap_or_default().contains("watch=true");
        let first = watched && told.fetch_add(1, Ordering::SeqCst) == 0;
        let list = json!({
            "kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "9"},
            "items": items,
        });
        // The type comes first, as from an API server.
        let line = |event: &serde_json::Value| {
            format!("{{\"type\":{},\"object\":{}}}\n", event["type"], event["object"])
        };
        let lines: Vec<_> =
            if watched { events.iter().map(line).collect() } else { vec![list.to_string()] };
        let text = lines.concat();
        async move {
            if watched && !first {
                return std::future::pending().await;
            }
            Ok::<_, Infallible>(Response::new(Body::from(text.into_bytes())))
        }
    };
    Client::new(tower::service_fn(answer), "default")
}

/// The attempt's Pod of the saga `order`, in a phase.
pub(super) fn of_attempt(phase: &str) -> serde_json::Value {
    let owner = json!({
        "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "name": "order", "uid": "s",
        "controller": true,
    });
    let labels = json!({
        LABEL_MANAGED_BY: MANAGER, LABEL_SAGA: "order", "saga.dev/step": "ship",
        "saga.dev/direction": "action", "saga.dev/attempt": "1",
    });
    json!({
        "metadata": {
            "name": "a", "namespace": "shop", "uid": "a", "resourceVersion": "9", "labels": labels,
            "ownerReferences": [owner],
        },
        "spec": {"nodeName": "n", "containers": []}, "status": {"phase": phase},
    })
}

fn without_owner(mut pod: serde_json::Value) -> serde_json::Value {
    if let Some(owners) = pod.pointer_mut("/metadata/ownerReferences") {
        owners.take();
    }
    pod
}

fn deleted(mut pod: serde_json::Value) -> serde_json::Value {
    if let Some(metadata) = pod.get_mut("metadata").and_then(serde_json::Value::as_object_mut) {
        metadata.insert("deletionTimestamp".into(), json!("2026-03-01T10:00:00Z"));
        metadata.insert("deletionGracePeriodSeconds".into(), json!(0));
    }
    pod
}

/// Lets this news of Pods go by, so many objects; returns the sagas that are told of it by their
/// label, and the end of the attempt as its memory has it.
pub(super) async fn told_of(
    items: Vec<serde_json::Value>,
    events: Vec<serde_json::Value>,
    news: usize,
) -> (Vec<String>, Option<End>) {
    let client = with_news(items, events);
    let (context, mut enqueued) = fixture::context(client.clone(), None);
    let attempt = crate::api::names::AttemptId {
        step: "ship".into(),
        direction: crate::api::Direction::Action,
        number: 1,
    };
    let key = AttemptKey::new("s", attempt);
    context.memory.attempts.child_seen(&key, "a");
    let (_store, writer) = reflector::store();
    let pods = pod_stream(Api::all(client), writer, watch::Sender::default(), context.listeners());
    let brought = pods
        .take(news)
        .take_until(tokio::time::sleep(Duration::from_hours(1)))
        .collect::<Vec<_>>()
        .await;
    assert_eq!(brought.len(), news);
    let mut told = Vec::new();
    while let Ok(saga) = enqueued.try_recv() {
        told.push(saga.name);
    }
    (told, context.memory.attempts.look(&key, |known| known.gone.clone()))
}

#[tokio::test(start_paused = true)]
async fn every_event_of_a_child_that_lost_its_owner_wakes_its_saga_and_its_uid_tells_of_its_end() {
    let event = |kind: &str, object: serde_json::Value| json!({"type": kind, "object": object});
    let owned = of_attempt("Running");
    let (told, end) =
        told_of(vec![owned.clone()], vec![event("MODIFIED", of_attempt("Succeeded"))], 2).await;
    assert_eq!((told, end), (vec![], None), "its owner is told without");
    let events = vec![
        event("MODIFIED", without_owner(of_attempt("Running"))),
        event("DELETED", without_owner(of_attempt("Succeeded"))),
    ];
    let (told, end) = told_of(vec![without_owner(owned)], events, 3).await;
    assert_eq!((told, end), (vec!["order".to_owned(); 3], Some(End::Succeeded(None))));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_was_seen_to_succeed_has_although_its_last_version_is_deleted() {
    let event = |kind: &str, object: serde_json::Value| json!({"type": kind, "object": object});
    let gone = event("DELETED", deleted(of_attempt("Succeeded")));
    let (_, end) = told_of(
        vec![of_attempt("Running")],
        vec![event("MODIFIED", of_attempt("Succeeded")), gone.clone()],
        3,
    )
    .await;
    assert_eq!(end, Some(End::Succeeded(None)));
    let (_, end) = told_of(vec![of_attempt("Running")], vec![gone], 2).await;
    assert!(matches!(end, Some(End::Unknown { .. })), "nobody saw it end before: {end:?}");
}
