//! A saga that is refused before its first step, because a Secret is missing. A user creates the
//! Secret and requests a retry, which repeats the trial.

use saga_operator::api::{RequestAction, Saga, SagaPhase};
use serde_json::{Value, json};

use super::{ACCOUNT, Costs, Doing, PLAIN, Scene, Seen, Story, USUAL, check};
use crate::{
    shop::Kind,
    stand::{checkout_with, condition, post},
};

pub static STORY: Story = Story {
    name: "refused",
    spec,
    told,
    done: &["reserve-stock", "charge-card"],
    asks: &[RequestAction::Retry],
    // If the trial gets no answer, the saga runs, and the step that needs the Secret fails. After
    // the Secret is created, the operator may find it before it reads the request.
    costs: Costs { spare: 5, blur: 10, late: 1, ..USUAL },
    judge: with_the_secret,
    ..PLAIN
};

fn spec(scene: &Scene<'_>) -> Value {
    let mut charge = post("/payments/charges");
    let key = json!({"name": format!("{}-token", scene.name), "key": "token"});
    charge["headers"] = json!([{"name": "Authorization", "valueFrom": {"secretKeyRef": key}}]);
    checkout_with(&json!({"serviceAccountName": ACCOUNT, "steps": [
        {"name": "reserve-stock", "http": post("/stock/reservations")},
        {"name": "charge-card", "dependsOn": ["reserve-stock"], "http": charge},
    ]}))
}

fn told<'a>(scene: &'a Scene<'a>) -> Doing<'a> {
    Box::pin(async {
        let Scene { stand, name, .. } = scene;
        let waits = |saga: &Saga| {
            let failed =
                saga.status.as_ref().and_then(|status| status.phase) == Some(SagaPhase::Failed);
            failed || condition(saga, "Accepted") == "False/Refused"
        };
        stand.until(name, "refused", waits).await;
        let metadata = json!({"name": format!("{name}-token")});
        stand
            .put(&json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": metadata,
                "stringData": {"token": "Bearer x"},
            }))
            .await;
        scene.ask(RequestAction::Retry, "*", 1).await;
    })
}

fn with_the_secret(seen: &Seen<'_>) -> Result<(), String> {
    let entries = seen.scene.stand.shop.entries(None);
    let charges =
        entries.iter().filter(|entry| entry.step == "charge-card" && entry.kind == Kind::Done);
    check(charges.clone().count() == 1 && charges.clone().all(|entry| entry.authorized), || {
        format!("the charge was {entries:?}")
    })
}
