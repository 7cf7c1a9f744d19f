//! HTTP requests that need something that is deleted with the namespace of their saga.

use std::time::Duration;

use super::{requests::flown, *};
use crate::model::observation::{End, Failure, Reached};

/// An HTTP request that cannot be sent.
#[derive(Clone, Copy)]
struct Unsendable<'a> {
    /// The metadata of the saga's namespace.
    namespace: &'a Value,
    /// Whether the saga is being deleted.
    deleted: bool,
    /// Whether the HTTP request needs a Secret, which does not exist.
    needs_secret: bool,
}

/// Returns how an HTTP request ends that cannot be sent.
async fn ended(request: Unsendable<'_>) -> Failure {
    let Unsendable { namespace, deleted, needs_secret } = request;
    let mut scene = Scene::new();
    scene.may_call_this_machine();
    scene.server.holds("/api/v1/namespaces/shop", json!({"metadata": namespace}));
    let mut action = json!({"http": {"method": "POST", "url": "http://127.0.0.1:9/refunds"}});
    if needs_secret {
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
    failure
}

#[tokio::test]
async fn a_secret_that_went_with_its_namespace_is_waited_for_no_more() {
    let (stays, goes) = (
        json!({"name": "shop"}),
        json!({"name": "shop", "deletionTimestamp": "2026-03-01T12:00:00Z"}),
    );
    let request = Unsendable { namespace: &goes, deleted: true, needs_secret: true };
    let Failure { permanent, message, .. } = ended(request).await;
    assert!(
        permanent
            && message.contains("\"bank\" does not exist")
            && message.contains("its namespace is being deleted"),
        "{message}"
    );
    let Failure { permanent, message, .. } =
        ended(Unsendable { namespace: &stays, ..request }).await;
    assert!(!permanent && !message.contains("being deleted"), "somebody may create it: {message}");
    assert!(
        !ended(Unsendable { deleted: false, ..request }).await.permanent,
        "its saga will be deleted, too, and is asked then"
    );
    assert!(
        !ended(Unsendable { needs_secret: false, ..request }).await.permanent,
        "who is elsewhere may answer the next time"
    );
}
