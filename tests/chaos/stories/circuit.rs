//! A host that gives no useful answer until its breaker is open. The host works again when the
//! breaker tests it.

use saga_operator::api::{Saga, reason::CIRCUIT_OPEN};
use serde_json::{Value, json};

use super::{Costs, Doing, PLAIN, Scene, Story, USUAL, actions};
use crate::stand::checkout_with;

pub static STORY: Story = Story {
    name: "circuit",
    arguments: &["--http-circuit-calls=3", "--http-circuit-open=3s"],
    stage: |scene| {
        Box::pin(async {
            scene.shop(&json!([actions("payments", &json!([{"answer": 503, "forever": true}]))]));
        })
    },
    spec,
    told,
    done: &["reserve-stock", "charge-card", "ship"],
    // Another operator has its own breakers, which are closed. A breaker opens after three calls.
    costs: Costs { per_loss: 5, spare: 1, blur: 2, ..USUAL },
    ..PLAIN
};

fn spec(_: &Scene<'_>) -> Value {
    let retry =
        json!({"maxAttempts": 30, "backoff": {"initialDelay": "100ms", "maxDelay": "200ms"}});
    checkout_with(&json!({"defaults": {"retry": retry}}))
}

fn told<'a>(scene: &'a Scene<'a>) -> Doing<'a> {
    Box::pin(async {
        let is_open = |saga: &Saga| {
            let steps = saga.status.iter().flat_map(|status| &status.steps);
            steps
                .filter_map(|step| step.throttled.as_ref())
                .any(|throttled| throttled.reason == CIRCUIT_OPEN)
        };
        scene.stand.until(scene.name, "held back by an open circuit", is_open).await;
        scene.shop(&json!([]));
    })
}
