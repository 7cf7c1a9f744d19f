//! Two operators, of which one is the leader. The fault strikes the first leader. One HTTP request
//! takes so long that the Lease is renewed during that time.

use serde_json::json;

use super::{PLAIN, Story, actions};
use crate::{fault::Counter, stand::checkout};

pub static STORY: Story = Story {
    name: "leader",
    strikes: &[(Counter::LeaderRead, 1), (Counter::LeaderCreation, 1), (Counter::LeaderRenewal, 3)],
    elects: true,
    arguments: &["--leader-elect"],
    stage: |scene| {
        Box::pin(async { scene.shop(&json!([actions("payments", &json!([{"delay": "5s"}]))])) })
    },
    spec: |_| checkout(),
    done: &["reserve-stock", "charge-card", "ship"],
    ..PLAIN
};
