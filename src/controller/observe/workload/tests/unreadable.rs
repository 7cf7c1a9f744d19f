//! Children that cannot be read: by a live read, before the watch shows them or without it.

use super::*;

/// Returns the same object with an instant that the parser does not know.
fn unread(mut object: Value) -> Value {
    object["status"]["startTime"] = json!("9999-12-31T23:59:59Z");
    object
}

/// Returns the UID and the detail of a child that is active.
fn active(state: ChildState) -> (Option<String>, String) {
    let ChildState::Active { uid, detail, .. } = state else { unreachable!("{state:?}") };
    (uid, detail)
}

#[tokio::test]
async fn a_child_that_cannot_be_read_is_neither_absent_nor_an_error() {
    let scene = Scene::with_pod();
    let mut pod = unread(scene.pod("p", "Pending"));
    pod["spec"]["nodeName"] = Value::Null;
    scene.answers(scene.path(), 200, pod.clone());
    let (uid, detail) = active(scene.look(None).await.unwrap());
    assert_eq!(uid.as_deref(), Some("p"));
    assert!(detail.starts_with("cannot be read: status: "), "{detail}");
    // Its deletion is recognised, although the rest of it is not.
    pod["metadata"]["deletionTimestamp"] = json!(now().to_string());
    let scene = Scene::with_pod();
    scene.answers(scene.path(), 200, pod);
    let (uid, detail) = active(scene.look(Some("p")).await.unwrap());
    assert_eq!((uid.as_deref(), detail.as_str()), (Some("p"), "is being deleted"));
}

#[tokio::test]
async fn managed_fields_of_any_depth_hide_nothing_of_a_child() {
    let scene = Scene::with_pod();
    let mut pod = scene.pod("p", "Succeeded");
    pod["metadata"]["managedFields"] = fixture::deep_managed_fields();
    scene.answers(scene.path(), 200, pod);
    assert_eq!(scene.look(None).await.unwrap(), End::Succeeded(None).into());
}

#[tokio::test]
async fn an_unreadable_object_of_somebody_else_is_left_alone_as_any_other() {
    let scene = Scene::with_pod();
    let mut pod = unread(scene.pod("p", "Running"));
    pod["metadata"]["ownerReferences"] = json!([]);
    scene.answers(scene.path(), 200, pod);
    let state = scene.look(None).await.unwrap();
    let ChildState::Ended(End::Failed(failure)) = state else { unreachable!("{state:?}") };
    assert!(failure.message.starts_with("NameConflict: "), "{failure:?}");
}

#[tokio::test]
async fn a_pod_of_a_job_that_is_gone_is_awaited_although_it_cannot_be_read() {
    let scene = Scene::with_job();
    scene.context.memory.attempts.child_seen(&scene.key, "j");
    scene.context.memory.attempts.child_gone(
        &scene.key,
        "j",
        End::Unknown { message: "its Job was deleted".into(), retry_after: None },
    );
    let list = json!({
        "kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "9"},
        "items": [unread(jobs::pod_of_job("Running", None))],
    });
    scene.answers("/api/v1/namespaces/shop/pods", 200, list);
    let (uid, detail) = active(scene.look_at::<Job>(Some("j")).await.unwrap());
    assert_eq!(uid.as_deref(), Some("j"));
    assert_eq!(detail, "its Job is gone; the end of its pods is awaited");
}
