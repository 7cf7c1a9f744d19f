//! Bodies that are not UTF-8.

use super::*;

/// The beginning of an object that has an annotation `a`, and the end of it.
const OPEN: &[u8] = br#"{"metadata": {"name": "a", "annotations": {"a": ""#;
const CLOSE: &[u8] = br#""}}}"#;
/// An object without an annotation.
const OTHER: &[u8] = br#"{"metadata": {"name": "b"}}"#;
/// The beginning of a list, and of an event of a watch.
const LIST: &[u8] = br#"{"metadata": {}, "items": ["#;
const ADDED: &[u8] = br#"{"type": "ADDED", "object": "#;

/// Creates a client whose network answers every call with these chunks.
fn with_chunks(chunks: &'static [&'static [u8]]) -> Client {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let network = layer_fn(move |_: Network| {
        service_fn(move |_: Request<Body>| {
            let frames = chunks.iter().map(|chunk| Ok(Frame::data(Bytes::from_static(chunk))));
            let answer: Scripted = Response::new(StreamBody::new(stream::iter(frames).boxed()));
            std::future::ready(Ok::<_, BoxError>(answer))
        })
    });
    client_with(Config::new("http://127.0.0.1:9".parse().unwrap()), network).unwrap()
}

/// Returns the name of an object and its annotation `a`.
fn annotated(object: &ConfigMap) -> (String, String) {
    let metadata = object.metadata.clone();
    let annotation = metadata.annotations.and_then(|mut annotations| annotations.remove("a"));
    (metadata.name.unwrap_or_default(), annotation.unwrap_or_default())
}

#[tokio::test]
async fn bytes_that_are_not_utf8_in_one_object_fail_neither_a_read_nor_a_list_nor_a_watch() {
    let api = |chunks: &'static [&'static [u8]]| {
        Api::<ConfigMap>::namespaced(with_chunks(chunks), "shop")
    };
    let named = |name: &str, annotation: &str| (name.to_owned(), annotation.to_owned());
    let one = api(&[OPEN, b"\xff", CLOSE]);
    assert_eq!(annotated(&one.get("a").await.unwrap()), named("a", "\u{fffd}"));

    let list = api(&[LIST, OPEN, b"\xe2", b"\x82\xac\xe2", CLOSE, b",", OTHER, b"]}"]);
    let listed = list.list(&ListParams::default()).await.unwrap();
    let listed: Vec<_> = listed.iter().map(annotated).collect();
    assert_eq!(listed, [named("a", "\u{20ac}\u{fffd}"), named("b", "")]);

    let watch =
        api(&[ADDED, OPEN, b"\xe2", b"\x82", b"\xac\xe2", CLOSE, b"}\n", ADDED, OTHER, b"}\n"]);
    let events = watch.watch(&WatchParams::default(), "0").await.unwrap();
    let events = events.map(|event| match event {
        Ok(kube::api::WatchEvent::Added(object)) => annotated(&object),
        other => panic!("{other:?}"),
    });
    let events: Vec<_> = events.collect().await;
    assert_eq!(events, [named("a", "\u{20ac}\u{fffd}"), named("b", "")]);
}
