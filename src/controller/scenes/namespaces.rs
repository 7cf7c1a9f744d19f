//! HTTP requests that need something that is deleted with the namespace of their saga.

use std::time::Duration;

use super::{requests::flown, *};
use crate::model::observation::{End, Reached};

/// Returns how an HTTP request ends that cannot be sent: whether the failure is permanent, and its
/// message. `namespace`: the metadata of the saga's namespace. `deleted`: whether the saga is being
/// deleted. `secret`: whether the HTTP request needs a Secret, which does not exist.
async fn without_its_secret(namespace: &Value, deleted: bool, secret: bool) -> (bool, String) {
    let mut scene = Scene::new();
    scene.may_call_this_machine();
    scene.server.holds("/api/v1/namespaces/shop", json!({"metadata": namespace}));
    let mut action = json!({"http": {"method": "POST", "url": "http://127.0.0.1:9/refunds"}});
    if secret {
        action["http"]["headers"] = json!([
            {
                "name": "Authorization",
                "valueFrom": {"secretKeyRef": {"name": "bank", "key": "token"}},
            },
        ]);
    }
    let (executor, lease) = scene.with_a_lease().await;
    let mut saga = saga(&action, &under_way(&json!({"executor": executor})));
    if deleted {
        saga["metadata"]["deletionTimestamp"] = json!("2026-03-01T12:00:00Z");
    }
    let end = flown(&mut scene, &saga, &executor, Duration::ZERO).await;
    lease.abort();
    let Some(End::Failed(failure)) = end else { panic!("{end:?}") };
    assert_eq!(failure.reached, Reached::Nothing);
    (failure.permanent, failure.message)
}

#[tokio::test]
async fn a_secret_that_went_with_its_namespace_is_waited_for_no_more() {
    let (stays, goes) = (
        json!({"name": "shop"}),
        json!({"name": "shop", "deletionTimestamp": "2026-03-01T12:00:00Z"}),
    );
    let (last, message) = without_its_secret(&goes, true, true).await;
    assert!(
        last && message.contains("\"bank\" does not exist")
            && message.contains("its namespace is being deleted"),
        "{message}"
    );
    let (last, message) = without_its_secret(&stays, true, true).await;
    assert!(!last && !message.contains("being deleted"), "somebody may create it: {message}");
    assert!(
        !without_its_secret(&goes, false, true).await.0,
        "its saga will be deleted, too, and is asked then"
    );
    assert!(
        !without_its_secret(&goes, true, false).await.0,
        "who is elsewhere may answer the next time"
    );
}
