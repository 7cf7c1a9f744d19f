//! As many requests at once to one host as may be, and no more: the others wait without an attempt.

use saga_operator::api::{SagaPhase, limits::MAX_CALLS_PER_HOST};
use serde_json::json;

use crate::stand::{Stand, message, outcomes, post_by_gate};

/// Sagas, and requests that each wants to send at once: more than there is room for, and so many
/// that one saga gets a part of what it wants.
const SAGAS: usize = 6;
const EACH: usize = 7;

#[tokio::test(flavor = "multi_thread")]
async fn no_more_requests_are_under_way_to_one_host_than_may_be_and_the_others_follow() {
    let mut stand = Stand::new("room").await;
    stand.start();
    let steps: Vec<_> = (0..EACH)
        .map(|nth| json!({"name": format!("step-{nth}"), "http": post_by_gate("/mail/messages")}))
        .collect();
    for nth in 0..SAGAS {
        stand.apply(&format!("order-{nth}"), &json!({"maxParallel": EACH, "steps": steps})).await;
    }
    stand
        .shop_sees("as many requests as may be", |entries| entries.len() >= MAX_CALLS_PER_HOST)
        .await;
    // To another host there is room.
    stand.meanwhile("elsewhere").await;
    let elsewhere = 3;
    assert_eq!(stand.shop.entries(None).len(), MAX_CALLS_PER_HOST + elsewhere);
    let mut waiting = 0;
    for nth in 0..SAGAS {
        let said = |saga: &saga_operator::api::Saga| !message(saga).is_empty();
        let saga = stand.until(&format!("order-{nth}"), "looked at", said).await;
        waiting += usize::from(
            message(&saga).contains("waits: as many requests as may be are under way to its host"),
        );
    }
    assert_eq!(
        waiting,
        SAGAS - MAX_CALLS_PER_HOST / EACH,
        "all but those that got room for all of theirs"
    );
    stand.gate.open();
    for nth in 0..SAGAS {
        let saga = stand.reaches(&format!("order-{nth}"), SagaPhase::Completed).await;
        assert!(
            (0..EACH).all(|nth| outcomes(&saga, &format!("step-{nth}")).len() == 1),
            "{:?}",
            saga.status
        );
    }
    assert_eq!(stand.shop.entries(None).len(), SAGAS * EACH + elsewhere);
}
