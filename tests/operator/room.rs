//! Tests that at most the allowed number of HTTP requests to one host are in flight at once, and
//! that the others wait without an attempt.

use saga_operator::api::SagaPhase;
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    shop::serve,
    stand::{Stand, message, outcomes, post_by_gate},
};

/// The most HTTP requests of one namespace that may be in flight to one host.
const MAX_CALLS_PER_HOST: usize = 32;
/// The number of sagas, and the number of HTTP requests that each saga wants to send at once.
/// Together they exceed the capacity, and one saga gets only a part of its requests.
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
        .shop_sees("as many calls as may be in flight", |entries| {
            entries.len() >= MAX_CALLS_PER_HOST
        })
        .await;
    // There is capacity for another host.
    let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, stand.shop.clone()));
    let url = format!("http://{address}/mail/messages");
    let http = json!({"method": "POST", "url": url, "body": {"order": "7"}});
    stand.apply("elsewhere", &json!({"steps": [{"name": "one", "http": http}]})).await;
    stand.reaches("elsewhere", SagaPhase::Completed).await;
    let elsewhere = 1;
    assert_eq!(stand.shop.entries(None).len(), MAX_CALLS_PER_HOST + elsewhere);
    let mut waiting = 0;
    for nth in 0..SAGAS {
        let said = |saga: &saga_operator::api::Saga| !message(saga).is_empty();
        let saga = stand.until(&format!("order-{nth}"), "looked at", said).await;
        waiting += usize::from(
            message(&saga)
                .contains("waits: 32 calls to 127.0.0.1 from this namespace are in flight"),
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
