//! A checkout that waits for an approval before it ships. A user approves.

use saga_operator::api::{RequestAction, StepPhase};
use serde_json::{Value, json};

use super::{Doing, PLAIN, Scene, Story};
use crate::stand::checkout;

pub static STORY: Story = Story {
    name: "approval",
    spec: |_| checkout_that_asks(),
    told,
    done: &["reserve-stock", "charge-card", "ship"],
    asks: &[RequestAction::Approve],
    ..PLAIN
};

/// Returns the checkout with an approval before the shipment.
pub fn checkout_that_asks() -> Value {
    let mut spec = checkout();
    spec["steps"][2]["dependsOn"] = json!(["release"]);
    let release = json!({
        "name": "release", "dependsOn": ["charge-card"],
        "approval": {"message": "is the parcel packed?"},
    });
    spec["steps"].as_array_mut().unwrap().insert(2, release);
    spec
}

fn told<'a>(scene: &'a Scene<'a>) -> Doing<'a> {
    Box::pin(async {
        scene.stand.step_reaches(scene.name, "release", StepPhase::Waiting).await;
        scene.ask(RequestAction::Approve, "release", 1).await;
    })
}
