//! What the operator concludes from the children that the watch shows.

use std::time::Instant;

use super::*;
use crate::{
    controller::reconcile::observed::observed,
    model::observation::{ChildState, End},
    objects::child::STUCK_SINCE,
};

/// Returns the observed state of the only child.
async fn seen(scene: &Scene, saga: &Value) -> ChildState {
    let stored = stored(saga);
    let status = stored.status.as_ref().unwrap();
    let (mut seen, _) = observed(&scene.context, &valid(saga), status, None, None).await.unwrap();
    seen.remove(&attempt()).unwrap()
}

#[tokio::test]
async fn a_pod_counts_as_stuck_by_the_time_that_this_process_waited_and_not_by_another_clock() {
    let mut scene = Scene::new();
    let mut pod = bound("Running");
    // The instant is long past: the clock that set it may be years behind.
    pod["metadata"]["deletionTimestamp"] = json!("2020-01-01T00:00:00Z");
    scene.watches(&[], &[pod]);
    let saga = saga(&by_pod(), &under_way(&json!({"childUid": "p"})));
    assert!(
        matches!(seen(&scene, &saga).await, ChildState::Active { .. }),
        "it was told to go just now, as far as is known here"
    );
    scene
        .context
        .memory
        .attempts
        .look(&key(), |known| known.deleting_since = Instant::now().checked_sub(STUCK_SINCE));
    let stuck = seen(&scene, &saga).await;
    assert!(
        matches!(
            &stuck,
            ChildState::Ended(End::Unknown { message, .. })
                if message.contains("may still run on n")
        ),
        "{stuck:?}"
    );
}
