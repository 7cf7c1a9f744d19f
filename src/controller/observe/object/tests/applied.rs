//! Objects that are applied: what a refusal says, and what it does not.

use super::*;
use crate::api::names::ANNOTATION_ATTEMPT;

#[tokio::test]
async fn what_was_refused_stays_refused_while_there_is_no_such_kind() {
    for server in [
        Server { kinds: Some(404), ..Server::default() },
        Server { kinds: Some(200), ..Server::default() },
    ] {
        let scene = Scene::applying(server);
        scene.begin(None).await;
        scene.wait_is_over();
        let seen = scene.look(None).await;
        assert!(
            matches!(
                &seen,
                ChildState::Unavailable(Unavailable::Refused { retry_in, .. })
                    if *retry_in > Duration::ZERO
            ),
            "{seen:?}"
        );
        scene.can_be_seen();
        let seen = scene.look(None).await;
        assert!(
            matches!(&seen, ChildState::Absent(absence) if absence.refused),
            "it is begun again: {seen:?}"
        );
    }
}

#[tokio::test]
async fn what_may_have_left_is_not_refused_while_nobody_can_look() {
    let blind =
        || Server { answer: (429, "too many requests"), looks: Some(503), ..Server::default() };
    let nobody_can_tell = |seen: &ChildState| matches!(seen, ChildState::Active { uid: None, .. });
    // Another process may have been let through where this one was not.
    let scene = Scene::applying(blind());
    scene.begin(None).await;
    scene.wait_is_over();
    let seen = scene.look(None).await;
    assert!(nobody_can_tell(&seen), "{seen:?}");
    // An answer was lost before the refusal came.
    let scene = Scene::applying(Server { answer: (504, "timeout"), ..blind() });
    scene.begin(None).await;
    scene.server.lock().unwrap().answer = (429, "too many requests");
    scene.begin(None).await;
    scene.wait_is_over();
    let seen = scene.look(None).await;
    assert!(nobody_can_tell(&seen), "{seen:?}");
    // Another process wrote the intent, and may have applied it before it died.
    let scene = Scene::applying(blind());
    let inherited =
        ActiveAttempt { started_at: MicroTime(now() - Duration::from_secs(20)), ..intent(None) };
    let seen = scene.look_at(&inherited).await;
    assert!(nobody_can_tell(&seen), "{seen:?}");
    scene.begin(None).await;
    scene.wait_is_over();
    let seen = scene.look_at(&inherited).await;
    assert!(nobody_can_tell(&seen), "{seen:?}");
    // The same of a kind that is not there any more: it may be known by another version.
    let scene = Scene::applying(Server { kinds: Some(404), ..Server::default() });
    let seen = scene.look_at(&inherited).await;
    assert!(nobody_can_tell(&seen), "{seen:?}");
    scene.begin(None).await;
    scene.wait_is_over();
    let seen = scene.look_at(&inherited).await;
    assert!(
        nobody_can_tell(&seen),
        "this process was refused, and the other one need not have been: {seen:?}"
    );
}

#[tokio::test]
async fn what_somebody_applied_is_not_refused_by_what_this_process_was_told() {
    let scene = Scene::applying(Server { answer: (429, "too many requests"), ..Server::default() });
    scene.begin(None).await;
    let refused = scene.look(None).await;
    assert!(matches!(refused, ChildState::Unavailable(Unavailable::Refused { .. })), "{refused:?}");
    let gone = scene.look(Some("first")).await;
    assert!(
        matches!(gone, ChildState::Absent(_)),
        "its UID is written, and it is not there: {gone:?}"
    );
    let mut object = config_map("first");
    object["metadata"]["annotations"] =
        json!({ANNOTATION_ATTEMPT: child_name("order", "1", &scene.key.attempt)});
    scene.stands(Some(object));
    let there = scene.look(Some("first")).await;
    assert!(matches!(there, ChildState::Present(Present::Object { .. })), "{there:?}");
}
