//! The specs that most tests apply.

use serde_json::{Value, json};

/// Returns an HTTP request to the shop.
pub fn post(path: &str) -> Value {
    json!({"method": "POST", "url": format!("SHOP{path}"), "body": {"order": "7"}})
}

/// Returns the same HTTP request by the gate: its answer is kept back until the gate is opened.
pub fn post_by_gate(path: &str) -> Value {
    json!({"method": "POST", "url": format!("GATE{path}"), "body": {"order": "7"}})
}

/// Returns a checkout: three HTTP requests, one after the other. Each has a compensation, and each
/// is retried after a short backoff, which no floor raises.
pub fn checkout() -> Value {
    let backoff = json!({"initialDelay": "250ms", "maxDelay": "1s"});
    json!({
        "defaults": {
            "retry": {"maxAttempts": 5, "backoff": backoff},
            "compensationRetry": {"backoff": backoff},
        },
        "steps": [
            {
                "name": "reserve-stock", "http": post("/stock/reservations"),
                "compensation": {"http": post("/stock/releases")},
            },
            {
                "name": "charge-card", "dependsOn": ["reserve-stock"],
                "http": post("/payments/charges"),
                "compensation": {"http": post("/payments/refunds")},
            },
            {"name": "ship", "dependsOn": ["charge-card"], "http": post("/shipping/shipments"),
             "compensation": {"http": post("/shipping/cancellations")}},
        ],
    })
}

/// Returns the checkout with more in its spec.
pub fn checkout_with(more: &Value) -> Value {
    let mut spec = checkout();
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}
