//! What a person on call sees of a saga that stands still, with nothing but kubectl.

use saga_operator::api::SagaPhase;
use serde_json::json;

use crate::stand::{Stand, checkout};

#[tokio::test(flavor = "multi_thread")]
async fn one_look_at_a_held_saga_says_what_failed_why_and_what_to_do() {
    let mut stand = Stand::new("look").await;
    stand.start();
    // The card is not charged at once, and then not at all.
    let then = json!([{"answer": 503}, {"answer": 402, "forever": true}]);
    stand.shop.behave(&json!([{"match": {"service": "payments"}, "then": then}])).unwrap();
    stand.apply("order-1042", &checkout()).await;
    stand.reaches("order-1042", SagaPhase::Failed).await;
    stand.event("order-1042", "StepFailed").await;

    let list = stand.kubectl(&["get", "sagas", "-o", "wide"]);
    let lines: Vec<_> = list.lines().collect();
    let [headings, row] = lines.as_slice() else { panic!("{list}") };
    assert_eq!(headings.split_whitespace().collect::<Vec<_>>(), ["NAME", "PHASE", "PROGRESS", "STEP", "RETRIES", "AGE", "MESSAGE"]);
    let cells: Vec<_> = row.split_whitespace().collect();
    assert_eq!(cells[..5], ["order-1042", "Failed", "1/3", "charge-card", "1"], "{row}");
    for words in [
        "step charge-card failed: attempt 2 failed: the other side answered 402 Payment Required",
        "the shop was told to answer so",
        "set spec.onFailure to Compensate, or delete the saga, to undo what was done",
    ] {
        assert!(row.contains(words), "{words}: {row}");
    }
    // By its short name and its category, too; and by phase on the server.
    assert!(stand.kubectl(&["get", "sg"]).contains("order-1042") && stand.kubectl(&["get", "sagas.saga.dev"]).contains("order-1042"));
    assert!(stand.kubectl(&["get", "sagas", "--field-selector", "status.phase=Completed"]).is_empty());

    let description = stand.kubectl(&["describe", "saga", "order-1042"]);
    for words in [
        "Reason:                StepFailed",
        "Type:                  Stalled",
        "the other side answered 503 Service Unavailable",
        "the other side answered 402 Payment Required",
        "Outcome:     Unknown",
        "Outcome:     Failed",
        "Warning  StepFailed",
        "The saga waits: set spec.onFailure to Compensate",
    ] {
        let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(squeeze(&description).contains(&squeeze(words)), "{words}: {description}");
    }
}
