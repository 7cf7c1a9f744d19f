//! Tests of what an on-call user sees of a stopped saga with kubectl alone: the step, the attempt,
//! the message of the shop, and the command to type.

use saga_operator::api::SagaPhase;
use serde_json::json;

use crate::stand::{Stand, checkout};

/// The rows of `kubectl describe` whose values differ in every run.
const VARYING: [&str; 14] = [
    "Creation Timestamp",
    "Resource Version",
    "UID",
    "Last Transition Time",
    "Clock Stopped At",
    "Started At",
    "Settled At",
    "Completed At",
    "Budget Started At",
    "Timeout Started At",
    "Timed Out At",
    "Spec Hash",
    "Request Hash",
    "Executor",
];

/// Returns the text in a form that is the same in every run: varying values become `…`, and runs of
/// blanks within a line become one blank.
fn golden(stand: &Stand, text: &str) -> String {
    let text = text
        .replace(&stand.namespace, "NAMESPACE")
        .replace(&stand.shop_address.to_string(), "SHOP");
    let line = |line: &str| {
        let indent: String = line.chars().take_while(|letter| *letter == ' ').collect();
        let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let varying = VARYING.iter().find(|key| words.starts_with(&format!("{key}:")));
        indent + &varying.map_or_else(|| without_age(&words), |key| format!("{key}: …"))
    };
    let (mut events, others): (Vec<_>, Vec<_>) =
        text.lines().map(line).partition(|line| is_event(line));
    // Events are listed in the order of their names, which are hashes.
    events.sort();
    [others, events].concat().join("\n") + "\n"
}

fn is_event(line: &str) -> bool {
    ["Warning ", "Normal "].iter().any(|kind| line.trim_start().starts_with(kind))
}

/// Returns an event, or a row of the list, without its age.
fn without_age(line: &str) -> String {
    let place = if is_event(line) { 2 } else { 5 };
    let row = is_event(line) || line.starts_with("order-");
    let words =
        line.split(' ').enumerate().map(|(nth, word)| if row && nth == place { "…" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_look_at_a_held_saga_says_what_failed_why_and_what_to_type() {
    let mut stand = Stand::new("look").await;
    stand.start();
    // The payment service is unavailable first, and then declines the card permanently.
    let then = json!([{"answer": 503}, {"answer": 402, "forever": true}]);
    stand.shop.behave(&json!([{"match": {"service": "payments"}, "then": then}])).unwrap();
    stand.apply("order-1043", &checkout()).await;
    stand.reaches("order-1043", SagaPhase::Failed).await;
    stand.event("order-1043", "StepFailed").await;
    stand.event("order-1043", "Failed").await;

    insta::assert_snapshot!(
        "get_wide",
        golden(&stand, &stand.kubectl(&["get", "saga", "-o", "wide"]))
    );
    insta::assert_snapshot!(
        "describe",
        golden(&stand, &stand.kubectl(&["describe", "saga", "order-1043"]))
    );
    // The saga is also found by its short name and by its category. The server selects by phase.
    assert!(
        stand.kubectl(&["get", "sg"]).contains("order-1043")
            && stand.kubectl(&["get", "sagas.saga.dev"]).contains("order-1043")
    );
    assert!(
        stand.kubectl(&["get", "sagas", "--field-selector", "status.phase=Completed"]).is_empty()
    );
}
