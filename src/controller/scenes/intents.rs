//! Intents of HTTP requests that are not under way. This process knows the intents since before
//! they were written, and its Lease may have lapsed.

use super::*;
use crate::{
    controller::{
        memory::attempt::never_sent,
        reconcile::{observed::observed, reconcile},
    },
    model::observation::{ChildState, End},
};

/// Returns the state of an HTTP request of which this process, whose Lease lapsed, has nothing
/// under way. `intended`: whether this process noted the intent before it was written.
async fn told(intended: bool) -> ChildState {
    let scene = Scene::new();
    let (executor, lease) = scene.with_a_lease().await;
    scene.context.outbound.own.release().await;
    lease.abort();
    let action = json!({"http": {"method": "POST", "url": "http://127.0.0.1:9/charges"}});
    let saga = saga(&action, &under_way(&json!({"executor": executor})));
    if intended {
        scene.context.memory.attempts.intend(&key());
        // A copy from before the write. The answer to the write was lost.
        scene.context.memory.attempts.keep_only("1", &[]);
    }
    let (stored, valid) = (stored(&saga), valid(&saga));
    let status = stored.status.as_ref().unwrap();
    let (mut seen, _) = observed(&scene.context, &valid, status, None, None).await.unwrap();
    seen.remove(&attempt()).unwrap()
}

#[tokio::test]
async fn a_request_was_never_sent_only_where_it_was_known_here_before_its_intent_was_written() {
    assert_eq!(told(true).await, never_sent().into());
    let forgotten = told(false).await;
    assert!(
        matches!(forgotten, ChildState::Ended(End::Unknown { .. })),
        "it was settled before the status was restored from a backup: {forgotten:?}"
    );
}

#[tokio::test]
async fn the_intent_of_a_request_is_known_here_although_the_answer_to_its_write_is_lost() {
    let scene = Scene::new();
    let (_, lease) = scene.with_a_lease().await;
    scene.server.refuses(&Method::PUT, &format!("{SAGA}/status"), 504);
    let saga =
        saga(&json!({"http": {"method": "GET", "url": "http://127.0.0.1:9/stock"}}), &json!({}));
    reconcile(Arc::new(stored(&saga)), Arc::clone(&scene.context)).await.unwrap_err();
    assert_eq!(
        scene
            .server
            .asked(&Method::PUT)
            .iter()
            .filter(|asked| asked.path.ends_with("/status"))
            .count(),
        1
    );
    assert!(scene.context.memory.attempts.look(&key(), |known| known.is_intended_here()));
    lease.abort();
}
