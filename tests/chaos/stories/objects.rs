//! A saga applies an object and deletes another object. Then the last step fails, and the applied
//! object is deleted again.

use saga_operator::api::{SagaPhase, StepPhase};
use serde_json::{Value, json};

use super::{ACCOUNT, Costs, Doing, End, PLAIN, Scene, Seen, Story, USUAL, actions, check};
use crate::{
    fault::Counter,
    stand::{checkout_with, post, still_in_effect},
};

pub static STORY: Story = Story {
    name: "apply-and-delete",
    // The UID of the object is written into the status before the object is deleted.
    strikes: &[(Counter::Trial, 2), (Counter::Read, 2), (Counter::Noted, 2)],
    stage,
    spec,
    end: End::In(SagaPhase::Compensated),
    // If the outcome of the mail is Unknown, the mail is also compensated.
    costs: Costs { per_loss: 2, blur: 2, ..USUAL },
    judge: deleted_and_taken_back,
    ..PLAIN
};

fn config_map(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
        "data": {"colour": "blue"},
    })
}

fn reference(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name})
}

fn stage<'a>(scene: &'a Scene<'a>) -> Doing<'a> {
    Box::pin(async {
        scene.stand.put(&config_map(&format!("{}-old", scene.name))).await;
        scene.shop(&json!([actions("mail", &json!([{"answer": 422, "forever": true}]))]));
    })
}

fn spec(scene: &Scene<'_>) -> Value {
    let (old, live) = (format!("{}-old", scene.name), format!("{}-live", scene.name));
    checkout_with(&json!({"serviceAccountName": ACCOUNT, "onFailure": "Compensate", "steps": [
        {
            "name": "switch", "apply": {"manifest": config_map(&live)},
            "compensation": {"delete": reference(&live)},
        },
        {"name": "clear", "dependsOn": ["switch"], "delete": reference(&old)},
        {
            "name": "tell", "dependsOn": ["clear"], "http": post("/mail/messages"),
            "compensation": {"http": post("/mail/retractions")},
        },
    ]}))
}

fn deleted_and_taken_back(seen: &Seen<'_>) -> Result<(), String> {
    let still = still_in_effect(seen.saga());
    check(still == ["clear"], || {
        format!("still in effect are {still:?}, and not what was deleted for good")
    })?;
    check(seen.step("switch").phase == StepPhase::Compensated, || {
        "what was applied is not undone".into()
    })?;
    check(seen.run.objects.is_empty(), || format!("there are {:?}", seen.run.objects))
}
