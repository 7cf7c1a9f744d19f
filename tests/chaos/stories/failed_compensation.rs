//! The shop refuses the compensation of the charge. The saga waits for a user. The user repairs the
//! shop and requests a retry.

use saga_operator::api::{RequestAction, SagaPhase};
use serde_json::{Value, json};

use super::{Costs, Doing, End, PLAIN, Scene, Story, USUAL, actions};
use crate::stand::checkout_with;

pub static STORY: Story = Story {
    name: "failed-compensation",
    stage: |scene| {
        Box::pin(async {
            let refund = json!({
                "match": {"service": "payments", "direction": "compensation"},
                "then": [{"answer": 422, "forever": true}],
            });
            scene.shop(&json!([no_shipment(), refund]));
        })
    },
    spec: |_| checkout_with(&json!({"onFailure": "Compensate"})),
    told,
    end: End::In(SagaPhase::Compensated),
    done: &["reserve-stock", "charge-card"],
    undone: &["charge-card", "reserve-stock"],
    asks: &[RequestAction::Retry],
    // If the outcome of the shipment is Unknown, the shipment is also compensated.
    costs: Costs { per_loss: 2, ..USUAL },
    ..PLAIN
};

fn no_shipment() -> Value {
    actions("shipping", &json!([{"answer": 422, "forever": true}]))
}

fn told<'a>(scene: &'a Scene<'a>) -> Doing<'a> {
    Box::pin(async {
        scene.stand.reaches(scene.name, SagaPhase::CompensationFailed).await;
        scene.shop(&json!([no_shipment()]));
        scene.ask(RequestAction::Retry, "charge-card", 1).await;
    })
}
