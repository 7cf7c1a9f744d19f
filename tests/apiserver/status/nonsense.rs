//! Nonsense in the status. The API server refuses each case.

use serde_json::{Value, json};

use super::{replace, sample::full, with_saga};
use crate::support::Effect;

/// A place in the status, a nonsensical value, and the text of the refusal.
type Nonsense = (&'static str, Value, &'static str);

/// Returns nonsense about the saga as a whole.
fn about_the_saga() -> Vec<Nonsense> {
    vec![
        ("/phase", json!("x".repeat(64)), "status.phase: Too long: may not be more than 63 bytes"),
        ("/observedGeneration", json!(-2), "status.observedGeneration: Invalid value: -2"),
        ("/retries", json!(-1), "retries in body should be greater than or equal to 0"),
        (
            "/progress",
            json!("1/2".repeat(20)),
            "status.progress: Too long: may not be more than 32 bytes",
        ),
        ("/startedAt", json!("yesterday"), "startedAt in body must be of type date-time"),
        (
            "/conditions/0/status",
            json!("x".repeat(64)),
            "status.conditions[0].status: Too long: may not be more than 63 bytes",
        ),
        (
            "/conditions/0/reason",
            json!("not one word"),
            "conditions[0].reason in body should match",
        ),
        (
            "/stillInEffect",
            json!(["a".repeat(64)]),
            "status.stillInEffect[0]: Too long: may not be more than 63 bytes",
        ),
    ]
}

/// Returns nonsense about the steps.
fn about_the_steps() -> Vec<Nonsense> {
    vec![
        (
            "/steps/0/phase",
            json!("x".repeat(64)),
            "status.steps[0].phase: Too long: may not be more than 63 bytes",
        ),
        ("/steps/0/name", json!("ship"), "status.steps[1]: Duplicate value: {\"name\":\"ship\"}"),
        (
            "/steps/0/action/attempt",
            json!(-1),
            "steps[0].action.attempt in body should be greater than or equal to 0",
        ),
        (
            "/steps/0/action/budgetUsed",
            json!(-1),
            "steps[0].action.budgetUsed in body should be greater than or equal to 0",
        ),
        (
            "/steps/0/action/lastOutcome",
            json!("x".repeat(64)),
            "action.lastOutcome: Too long: may not be more than 63 bytes",
        ),
        (
            "/steps/0/action/attempts/0/attempt",
            json!(0),
            "attempts[0].attempt in body should be greater than or equal to 1",
        ),
        (
            "/steps/0/action/attempt",
            json!("one"),
            "steps[0].action.attempt in body must be of type integer",
        ),
    ]
}

/// Returns nonsense about the requests, and about the rest.
fn about_requests_and_the_rest() -> Vec<Nonsense> {
    vec![
        ("/requests/0/number", json!(0), "status.requests[0].number: Invalid value: 0"),
        (
            "/requests/0/action",
            json!("x".repeat(64)),
            "status.requests[0].action: Too long: may not be more than 63 bytes",
        ),
        (
            "/requests/0/value",
            json!("v".repeat(129)),
            "status.requests[0].value: Too long: may not be more than 128 bytes",
        ),
        (
            "/handledTokens/0",
            json!("t".repeat(65)),
            "status.handledTokens[0]: Too long: may not be more than 64 bytes",
        ),
        ("/paused/at", json!("now"), "paused.at in body must be of type date-time"),
        (
            "/paused/reason",
            json!("r".repeat(257)),
            "status.paused.reason: Too long: may not be more than 256 bytes",
        ),
        (
            "/cancelRequested",
            json!("r".repeat(257)),
            "status.cancelRequested: Too long: may not be more than 256 bytes",
        ),
        ("/steps/1/outputs", json!([1]), "steps[1].outputs in body must be of type object"),
        ("/retryRequests", json!(-1), "retryRequests in body should be greater than or equal to 0"),
        ("/mood", json!("good"), "unknown field \"status.mood\""),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_in_the_status_is_refused() {
    let namespace = with_saga("nonsense", &json!({})).await;
    namespace.patch_status("order", &replace("", &full()), Effect::Real).await.unwrap();
    for (path, value, words) in
        [about_the_saga(), about_the_steps(), about_requests_and_the_rest()].into_iter().flatten()
    {
        let change = json!([{"op": "add", "path": format!("/status{path}"), "value": value}]);
        let refusal = namespace.patch_status("order", &change, Effect::DryRun).await.err();
        let refusal = refusal.unwrap_or_else(|| panic!("{path}: {value} is accepted"));
        assert!(
            (400..500).contains(&refusal.code) && refusal.message.contains(words),
            "{path}: {refusal}"
        );
    }
}
