//! Objects that cannot be read, before the first list is whole and in the watch that follows.

use super::{
    told::{of_attempt, told_of, with_news},
    *,
};
use crate::objects::unreadable::why_unreadable;

/// An object of either kind that nobody but its name and this status tells apart.
fn object(name: &str, version: &str, status: &serde_json::Value) -> serde_json::Value {
    json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": name, "resourceVersion": version,
            "labels": {LABEL_MANAGED_BY: MANAGER},
        },
        "spec": {"containers": [], "template": {"spec": {"containers": []}}}, "status": status,
    })
}

/// The same with managed fields that the parser refuses.
fn deep(name: &str) -> serde_json::Value {
    let mut deep = object(name, "1", &json!({}));
    deep["metadata"]["managedFields"] = fixture::deep_managed_fields();
    deep
}

/// The same with an instant that the parser does not know.
fn late(name: &str, version: &str) -> serde_json::Value {
    object(name, version, &json!({"startTime": "9999-12-31T23:59:59Z"}))
}

/// What a watch of this list brings, with whether each object could be read, and what was counted.
/// The clock is paused: a watch that begins again takes time.
async fn brought_of<K, S>(
    kind: &str,
    (items, events): (Vec<serde_json::Value>, Vec<serde_json::Value>),
    watched: impl FnOnce(Client, Writer<K>, Listeners) -> S,
) -> (Vec<(String, bool)>, Vec<String>)
where
    K: Resource<DynamicType = ()> + Clone + 'static,
    S: Stream<Item = Result<K, watcher::Error>>,
{
    let expected = items.len() + events.len();
    let client = with_news(items, events);
    let (context, _announced) = fixture::context(client.clone(), None);
    let (_store, writer) = reflector::store();
    let begun = tokio::time::Instant::now();
    let brought = watched(client, writer, context.listeners()).take(expected);
    let brought = brought.map(|object| {
        let object = object.unwrap();
        (object.name_any(), why_unreadable(&object).is_none())
    });
    let brought: Vec<_> =
        brought.take_until(tokio::time::sleep(Duration::from_hours(1))).collect().await;
    assert_eq!(begun.elapsed(), Duration::ZERO, "the watch of {kind}s goes on at once");
    let text = context.metrics.text().unwrap();
    let counted = text.lines().filter(|line| {
        line.starts_with("saga_unreadable_objects_total") || line.contains("watch_errors_total{")
    });
    (brought, counted.map(str::to_owned).collect())
}

#[tokio::test(start_paused = true)]
async fn one_object_that_cannot_be_read_holds_up_neither_the_first_list_nor_the_watch() {
    let event = |object: serde_json::Value| json!({"type": "MODIFIED", "object": object});
    let items = vec![deep("deep"), late("late", "1"), object("fine", "1", &json!({}))];
    let events = vec![
        event(late("late", "1")),
        event(late("late", "2")),
        event(deep("deep")),
        event(object("fine", "2", &json!({}))),
    ];
    let news = || (items.clone(), events.clone());
    let (listed, whole) = watch::channel(false);
    let pods = brought_of("Pod", news(), |client, writer, listeners| {
        pod_stream(Api::all(client), writer, listed, listeners)
    });
    let of_jobs = |client: Client, writer: Writer<Job>, listeners: Listeners| {
        job_stream(Api::all(client), writer, listeners)
    };
    for (kind, (mut brought, counted)) in
        [("Pod", pods.await), ("Job", brought_of("Job", news(), of_jobs).await)]
    {
        let watched = brought.split_off(items.len());
        brought.sort();
        let named = |all: &[(&str, bool)]| {
            all.iter().map(|(name, read)| ((*name).to_owned(), *read)).collect::<Vec<_>>()
        };
        assert_eq!(brought, named(&[("deep", true), ("fine", true), ("late", false)]), "{kind}");
        let after = [("late", false), ("late", false), ("deep", true), ("fine", true)];
        assert_eq!(watched, named(&after), "{kind}");
        let once_a_version = format!("saga_unreadable_objects_total{{kind=\"{kind}\"}} 2");
        assert_eq!(counted, [once_a_version], "{kind}");
    }
    assert!(*whole.borrow(), "the first list of Pods is whole");
}

#[tokio::test(start_paused = true)]
async fn a_child_that_cannot_be_read_is_there_until_it_goes_and_then_nobody_knows_its_end() {
    let event = |kind: &str, object: serde_json::Value| json!({"type": kind, "object": object});
    let unread = || {
        let mut pod = of_attempt("Pending");
        // A Pod without a node that can be read never started.
        pod["spec"] = json!({"containers": []});
        pod["status"]["startTime"] = json!("9999-12-31T23:59:59Z");
        pod
    };
    let first = vec![of_attempt("Running")];
    let (_, end) = told_of(first.clone(), vec![event("MODIFIED", unread())], 2).await;
    assert_eq!(end, None, "it did not vanish");
    let gone = vec![event("MODIFIED", unread()), event("DELETED", unread())];
    let (_, end) = told_of(first.clone(), gone.clone(), 3).await;
    assert!(matches!(end, Some(End::Unknown { .. })), "{end:?}");
    let done = [vec![event("MODIFIED", of_attempt("Succeeded"))], gone].concat();
    let (_, end) = told_of(first, done, 4).await;
    assert_eq!(end, Some(End::Succeeded(None)), "it was seen to succeed before");
}
