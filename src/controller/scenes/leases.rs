//! Leases of executors that ended long ago.

use super::*;
use crate::controller::lease::old_leases::delete_old_leases;

#[tokio::test]
async fn an_old_lease_is_deleted_as_it_was_read_so_that_one_that_was_renewed_since_stays() {
    let scene = Scene::new();
    let lease = |name: &str, renewed: &str| {
        let metadata = json!({
            "name": name, "namespace": "default", "uid": format!("uid-{name}"),
            "resourceVersion": "70",
        });
        json!({"metadata": metadata, "spec": {"holderIdentity": name, "renewTime": renewed}})
    };
    let items =
        [lease("old", "2020-01-01T00:00:00.000000Z"), lease("new", "2100-01-01T00:00:00.000000Z")];
    scene.server.holds(
        "/apis/coordination.k8s.io/v1/namespaces/default/leases",
        json!({"kind": "LeaseList", "metadata": {}, "items": items}),
    );
    tokio::select! {
        () = delete_old_leases(&scene.context.outbound.leases) => {}
        () = async {
            while scene.server.asked(&Method::DELETE).is_empty() {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    let deleted: Vec<_> = scene
        .server
        .asked(&Method::DELETE)
        .into_iter()
        .map(|asked| (asked.path, asked.body["preconditions"].clone()))
        .collect();
    let path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/old".to_owned();
    assert_eq!(deleted, [(path, json!({"uid": "uid-old", "resourceVersion": "70"}))]);
}
