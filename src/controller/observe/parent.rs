//! Observes the parent of a child saga, and finds the children to enqueue when their parent
//! changes.
//!
//! # Guarantees
//! A child removes its finalizer only after a live read of its parent: a cached parent may be older
//! than the request to undo the parent. If no watch reports the deletion of the parent, a cached
//! parent alone does not make the child keep its finalizer.

use super::leftovers::remembered_attempts;
use crate::{
    api::{
        SagaPhase, StoredSaga,
        names::{FINALIZER, child_name},
        stored::{name, namespace},
    },
    controller::cluster::{connection::Cluster, error::Error, watch_health::WatchedKind},
    objects::{attempt::attempt_of, child_saga},
};

/// Returns whether the saga is a child of a saga that has the operator's finalizer. Such a child
/// may still have to be undone after it has ended.
///
/// # Errors
/// If the live read of the parent failed.
pub(in crate::controller) async fn holds(
    cluster: &Cluster,
    saga: &StoredSaga,
) -> Result<bool, Error> {
    let (Some(parent), Some((uid, _))) = (child_saga::parent(saga), attempt_of(saga)) else {
        return Ok(false);
    };
    // If the watch is barred, the cache may still show a parent that is gone.
    if !cluster.watch_health.is(namespace(saga), WatchedKind::Saga) {
        let cached = cluster.cached_saga(namespace(saga), parent);
        if cached.is_some_and(|parent| holds_on(&parent, &uid)) {
            return Ok(true);
        }
        if !has_finalizer(saga) {
            return Ok(false);
        }
    }
    let live = cluster
        .sagas(namespace(saga))
        .get_opt(parent)
        .await
        .map_err(Error::api("read the parent of a child saga"))?;
    Ok(live.is_some_and(|parent| holds_on(&parent, &uid)))
}

fn holds_on(parent: &StoredSaga, uid: &str) -> bool {
    parent.metadata.uid.as_deref() == Some(uid) && has_finalizer(parent)
}

fn has_finalizer(saga: &StoredSaga) -> bool {
    saga.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
}

/// Returns the names of the children to enqueue when their parent changed. The children remove
/// their finalizers after the parent has removed its own. They add them again if the parent is
/// undone after its end.
pub(in crate::controller) fn children_of_changed(parent: &StoredSaga) -> Vec<String> {
    let ended =
        parent.status.as_ref().is_ok_and(|status| status.phase.is_some_and(SagaPhase::is_terminal));
    if !ended && has_finalizer(parent) { Vec::new() } else { children_of_deleted(parent) }
}

/// Returns the names of the children to enqueue when their parent was deleted.
pub(in crate::controller) fn children_of_deleted(parent: &StoredSaga) -> Vec<String> {
    let uid = parent.metadata.uid.as_deref().unwrap_or_default();
    let status = parent.status.as_ref().ok().into_iter();
    let with_child = |step: &str| {
        let steps = parent.status.iter().flat_map(|status| &status.steps);
        steps.filter(|known| known.child.is_some()).any(|known| known.name == step)
    };
    let children = status.flat_map(remembered_attempts).filter(|attempt| with_child(&attempt.step));
    children.map(|attempt| child_name(name(parent), uid, &attempt)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::sync::Arc;

    use http::Request;
    use kube::{
        Client,
        client::Body,
        runtime::{reflector, watcher::Event},
    };
    use serde_json::json;

    use super::*;
    use crate::controller::context::{Context, fixture};

    /// Returns a process whose cache still shows a parent with its finalizer, in a cluster where
    /// the parent is gone.
    fn with_a_parent_that_went() -> Arc<Context> {
        let missing = tower::service_fn(|_: Request<Body>| {
            let body = json!({
                "kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound",
                "message": "not found",
            });
            let response = fixture::answer(404, &body);
            std::future::ready(Ok::<_, std::convert::Infallible>(response))
        });
        let (mut context, _announced) = fixture::context(Client::new(missing, "default"), None);
        let (sagas, mut writer) = reflector::store();
        let metadata =
            json!({"name": "order", "namespace": "shop", "uid": "1", "finalizers": [FINALIZER]});
        writer.apply_watcher_event(&Event::Apply(
            serde_json::from_value(json!({"metadata": metadata})).unwrap(),
        ));
        fixture::caches(&mut context).sagas.push(sagas);
        context
    }

    fn child(finalizers: &[&str]) -> StoredSaga {
        let owner = json!({
            "apiVersion": "saga.dev/v1alpha1", "kind": "Saga", "name": "order", "uid": "1",
            "controller": true,
        });
        let labels = json!({
            "saga.dev/step": "tenant", "saga.dev/direction": "action", "saga.dev/attempt": "1",
        });
        let metadata = json!({
            "name": "order-tenant-a1", "namespace": "shop", "uid": "2", "finalizers": finalizers,
            "labels": labels, "ownerReferences": [owner],
        });
        serde_json::from_value(json!({"metadata": metadata})).unwrap()
    }

    #[tokio::test]
    async fn a_child_lets_go_of_a_parent_of_whose_end_no_watch_can_tell() {
        let context = with_a_parent_that_went();
        assert!(holds(&context.cluster, &child(&[FINALIZER])).await.unwrap(), "the watch tells");
        context.cluster.watch_health.failed("shop", WatchedKind::Saga, Some(403));
        assert!(!holds(&context.cluster, &child(&[FINALIZER])).await.unwrap());
        assert!(
            !holds(&context.cluster, &child(&[])).await.unwrap(),
            "nor does it take hold again"
        );
    }
}
