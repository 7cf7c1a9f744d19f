//! Two HTTP requests and a Pod in parallel, and a fourth step after all of them. One HTTP request
//! is answered immediately. The Pod lives so long that its UID is written into the status. The
//! other HTTP request takes so long that Leases are renewed during that time.

use serde_json::{Value, json};

use super::{Costs, PLAIN, Scene, Seen, Story, USUAL, check};
use crate::{
    fault::Counter,
    shop::Kind,
    stand::{checkout_with, post},
};

pub static STORY: Story = Story {
    name: "parallel",
    strikes: &[
        (Counter::Trial, 1),
        (Counter::Noted, 1),
        (Counter::LeaseCreation, 1),
        (Counter::LeaseRenewal, 2),
    ],
    stage: |scene| {
        Box::pin(async {
            let late = |service: &str, delay: &str| {
                json!({
                    "match": {"service": service}, "then": [{"delay": delay}],
                })
            };
            let rules = if scene.node {
                json!([late("payments", "5s")])
            } else {
                json!([late("payments", "5s"), late("shipping", "3s")])
            };
            scene.shop(&rules);
        })
    },
    spec,
    done: &["charge-card", "reserve-stock", "ship", "thank"],
    costs: Costs { at_once: 3, blur: 2, ..USUAL },
    judge: last_of_all,
    ..PLAIN
};

fn spec(scene: &Scene<'_>) -> Value {
    let ship = "wget -q -O - --header \"Idempotency-Key: $SAGA_IDEMPOTENCY_KEY\" --post-data '{}' \
        SHOP/shipping/shipments; sleep 3";
    let ship = if scene.node {
        json!({
            "name": "ship",
            "pod": {"image": "saga.dev/examples/busybox:1", "command": ["/bin/sh", "-c", ship]},
        })
    } else {
        json!({"name": "ship", "http": post("/shipping/shipments")})
    };
    checkout_with(&json!({"maxParallel": 3, "steps": [
        {"name": "reserve-stock", "http": post("/stock/reservations")},
        {"name": "charge-card", "http": post("/payments/charges")},
        ship,
        {
            "name": "thank", "dependsOn": ["reserve-stock", "charge-card", "ship"],
            "http": post("/mail/messages"),
        },
    ]}))
}

fn last_of_all(seen: &Seen<'_>) -> Result<(), String> {
    let entries = seen.scene.stand.shop.entries(None);
    let last = entries
        .iter()
        .rev()
        .find(|entry| entry.kind == Kind::Done)
        .map(|entry| entry.step.as_str());
    check(last == Some("thank"), || {
        format!("{last:?} was done last, and not what depends on all others")
    })
}
