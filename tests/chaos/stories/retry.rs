//! The charge gets a first answer that does not show its outcome, and its second answer is lost
//! after the work. The shipment first gets an answer for which its own `answers` say Retry. Each
//! step is done once, under one key.

use std::collections::BTreeSet;

use serde_json::json;

use super::{PLAIN, Seen, Story, actions, check};
use crate::stand::checkout;

pub static STORY: Story = Story {
    name: "retry",
    stage: |scene| {
        Box::pin(async {
            let charge = actions("payments", &json!([{"answer": 503}, {"closeAfterWork": true}]));
            scene.shop(&json!([charge, actions("shipping", &json!([{"answer": 422}]))]));
        })
    },
    spec: |_| {
        let mut spec = checkout();
        // Without `answers`, a 422 is permanent.
        spec["steps"][2]["http"]["answers"] =
            json!([{"when": "response.status == 422", "outcome": "Retry"}]);
        spec
    },
    done: &["reserve-stock", "charge-card", "ship"],
    judge: one_key_each,
    ..PLAIN
};

fn one_key_each(seen: &Seen<'_>) -> Result<(), String> {
    let keys: BTreeSet<_> =
        seen.scene.stand.shop.entries(None).into_iter().map(|entry| entry.key).collect();
    check(keys.len() == 3, || {
        format!("nothing was refused for good, and yet the keys are {keys:?}")
    })
}
