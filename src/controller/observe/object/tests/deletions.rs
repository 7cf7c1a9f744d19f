//! Objects that are deleted, whatever the API server answers.

use super::*;

#[tokio::test]
async fn a_look_deletes_nothing_and_a_deletion_names_the_uid() {
    let scene = Scene::new(Some(config_map("first")), (200, ""));
    assert!(matches!(
        scene.look(None).await,
        ChildState::Present(Present::Standing { uid, .. }) if uid == "first"
    ));
    assert!(scene.server.lock().unwrap().asked.is_empty());
    let gone = scene.delete("first").await;
    assert!(
        matches!(&gone, ChildState::Active { uid: Some(uid), .. } if uid == "first"),
        "accepted, and not gone: {gone:?}"
    );
    assert_eq!(scene.server.lock().unwrap().asked[0]["preconditions"], json!({"uid": "first"}));
    scene.stands(None);
    assert_eq!(scene.look(Some("first")).await, ChildState::Ended(End::Succeeded(None)));
}

#[tokio::test]
async fn without_a_uid_nothing_is_asked_for() {
    let scene = Scene::new(Some(config_map("first")), (200, ""));
    assert_eq!(scene.begun(None).await, Next::Later);
    assert!(scene.server.lock().unwrap().asked.is_empty());
}

#[tokio::test]
async fn a_conflict_is_tried_again_where_the_object_stands_and_says_nothing_where_another_one_does()
{
    let scene = Scene::new(Some(config_map("first")), (409, "the object has been modified"));
    let refused = scene.delete("first").await;
    assert!(
        matches!(
            &refused,
            ChildState::Unavailable(Unavailable::Refused { message, .. })
                if message == "the object has been modified"
        ),
        "{refused:?}"
    );
    scene.stands(Some(config_map("second")));
    let other = scene.look(Some("first")).await;
    assert!(
        matches!(&other, ChildState::Present(Present::Standing { uid, .. }) if uid == "second"),
        "{other:?}"
    );
    scene.stands(None);
    assert_eq!(
        scene.look(Some("first")).await,
        ChildState::Ended(End::Succeeded(None)),
        "somebody else deleted it meanwhile"
    );
}

#[tokio::test]
async fn what_passes_waits_what_is_refused_ends_the_attempt_and_what_is_lost_proves_nothing() {
    for (code, message) in [
        (409, "a controller is at work"),
        (429, "too many requests"),
        (401, "Unauthorized"),
        (403, "exceeded quota: q"),
    ] {
        let seen = Scene::new(Some(config_map("first")), (code, message)).delete("first").await;
        assert!(
            matches!(seen, ChildState::Unavailable(Unavailable::Refused { .. })),
            "{code}: {seen:?}"
        );
    }
    for (code, message) in
        [(403, "configmaps is forbidden"), (422, "invalid"), (400, "bad"), (405, "not allowed")]
    {
        let seen = Scene::new(Some(config_map("first")), (code, message)).delete("first").await;
        assert!(
            matches!(&seen, ChildState::Ended(End::Failed(failure)) if failure.permanent),
            "{code}: {seen:?}"
        );
    }
    for code in [500, 503, 504] {
        let scene = Scene::new(Some(config_map("first")), (code, "etcdserver: request timed out"));
        let seen = scene.delete("first").await;
        assert!(
            matches!(
                &seen,
                ChildState::Active { uid: None, detail, .. } if detail.contains("timed out")
            ),
            "{code}: {seen:?}"
        );
        scene.server.lock().unwrap().answer = (403, "configmaps is forbidden");
        let seen = scene.delete("first").await;
        assert!(
            matches!(seen, ChildState::Ended(End::Unknown { .. })),
            "{code}: the first one may yet be carried out: {seen:?}"
        );
    }
}

#[tokio::test]
async fn one_that_is_gone_when_it_is_to_be_deleted_is_deleted() {
    let scene = Scene::new(None, (404, "not found"));
    assert_eq!(scene.delete("first").await, ChildState::Ended(End::Succeeded(None)));
}

#[tokio::test]
async fn an_object_whose_kind_the_api_server_does_not_know_in_any_version_is_gone() {
    let widget =
        json!({"delete": {"apiVersion": "example.com/v1", "kind": "Widget", "name": "old"}});
    for other in [None, Some("Gadget")] {
        let scene =
            Scene::of(widget.clone(), Server { other, answer: (200, ""), ..Server::default() });
        assert_eq!(scene.look(None).await, ChildState::Ended(End::Succeeded(None)), "{other:?}");
        assert_eq!(
            scene.delete("first").await,
            ChildState::Ended(End::Succeeded(None)),
            "its definition went after its UID was written: {other:?}"
        );
        assert_eq!(scene.asked(), 0);
    }
    // It may stand under another version, or was misspelt.
    for other in ["Widget", "widget"] {
        let scene = Scene::of(widget.clone(), Server { other: Some(other), ..Server::default() });
        let seen = scene.look(None).await;
        let told = format!(
            "the cluster has no kind Widget in example.com/v1 yet, but {other} in example.com/v2: \
             write that"
        );
        assert!(
            matches!(&seen, ChildState::Active { uid: None, detail, .. } if detail.contains(&told)),
            "{seen:?}"
        );
    }
    for kinds in [401, 404, 200, 429, 500, 503] {
        let scene = Scene::new(Some(config_map("first")), (200, ""));
        scene.server.lock().unwrap().kinds = Some(kinds);
        let seen = scene.look(None).await;
        assert!(
            matches!(seen, ChildState::Active { uid: None, .. }),
            "whether it knows the kind is not said: {kinds}: {seen:?}"
        );
    }
}
