//! Objects that are too large to be read.

use super::*;
use crate::{api::limits::MAX_OBJECT, model::observation::Failure};

/// Returns a ConfigMap of 1.1 MiB.
fn big(uid: &str) -> Value {
    let mut object = config_map(uid);
    object["data"] = json!({"a": "x".repeat(MAX_OBJECT / 10 * 11)});
    object
}

fn waiting(object: Value) -> Scene {
    let reference = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "old"});
    let wait = json!({"wait": {"until": "has(object.data)", "object": reference}});
    Scene::of(wait, Server { object: Some(object), ..Server::default() })
}

const SAYS: &str = "ConfigMap \"old\" is too large: at most 1048576 bytes are read of one object";

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_an_object_that_is_too_large_fails_for_good() {
    let seen = waiting(big("first")).look(None).await;
    let ChildState::Ended(End::Failed(Failure { permanent: true, message, .. })) = &seen else {
        panic!("{seen:?}")
    };
    assert_eq!(message, SAYS);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_read_is_dropped_once_it_is_judged() {
    // Expressions read at most 72 KiB.
    for (bytes, missing) in [(64 * 1024, ""), (MAX_OBJECT / 10 * 9, "expressions read at most")] {
        let mut object = big("first");
        object["data"] = json!({"a": "x".repeat(bytes)});
        let seen = waiting(object).look(None).await;
        let ChildState::Present(Present::Object { judged, .. }) = &seen else { panic!("{seen:?}") };
        assert_eq!(judged.uid.as_deref(), Some("first"));
        assert!(judged.missing.as_deref().unwrap_or_default().contains(missing), "{judged:?}");
        assert_eq!(judged.missing.is_none(), missing.is_empty());
        assert!(format!("{judged:?}").len() < 1024, "{bytes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_applied_to_an_object_that_is_too_large_stays_unknown() {
    let scene =
        Scene::applying(Server { object: Some(big("first")), stores: true, ..Server::default() });
    // Nothing was applied yet, and nothing is applied to an object that cannot be read afterwards.
    let before = scene.look(None).await;
    assert!(
        matches!(&before, ChildState::Ended(End::Failed(failure)) if failure.permanent),
        "{before:?}"
    );
    let scene =
        Scene::applying(Server { object: Some(big("first")), stores: true, ..Server::default() });
    scene.begin(None).await;
    scene.wait_is_over();
    for written in [None, Some("first")] {
        let seen = scene.look(written).await;
        let ChildState::Ended(End::UnknownForGood { message }) = &seen else { panic!("{seen:?}") };
        assert_eq!(message, SAYS);
    }
    assert_eq!(scene.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_of_an_object_that_is_too_large_is_not_begun_or_stays_unknown() {
    let scene = Scene::new(Some(big("first")), (200, ""));
    let before = scene.look(None).await;
    let ChildState::Ended(End::Failed(Failure { permanent: true, message, .. })) = &before else {
        panic!("{before:?}")
    };
    assert_eq!((message.as_str(), scene.asked()), (SAYS, 0));
    let after = scene.delete("first").await;
    let ChildState::Ended(End::UnknownForGood { message }) = &after else { panic!("{after:?}") };
    assert_eq!(message, SAYS);
}
