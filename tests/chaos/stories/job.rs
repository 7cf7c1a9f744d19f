//! A Job that lives so long that its UID is written into the status, and then an HTTP request.

use serde_json::{Value, json};

use super::{PLAIN, Scene, Story};
use crate::{
    fault::Counter,
    stand::{checkout_with, post},
};

pub static STORY: Story = Story {
    name: "job",
    strikes: &[
        (Counter::Trial, 2),
        (Counter::Read, 2),
        (Counter::Noted, 1),
        (Counter::JobList, 1),
        (Counter::JobWatch, 1),
    ],
    needs_a_node: true,
    spec,
    done: &["ship", "thank"],
    ..PLAIN
};

fn spec(_: &Scene<'_>) -> Value {
    let work = "wget -q -O - --header \"Idempotency-Key: $SAGA_IDEMPOTENCY_KEY\" --post-data '{}' \
        SHOP/shipping/shipments; sleep 3";
    let container = json!({
        "name": "step", "image": "saga.dev/examples/busybox:1", "command": ["/bin/sh", "-c", work],
    });
    checkout_with(&json!({"steps": [
        {"name": "ship", "job": {"spec": {"template": {"spec": {"containers": [container]}}}}},
        {"name": "thank", "dependsOn": ["ship"], "http": post("/mail/messages")},
    ]}))
}
