//! A parent that fails after its child saga is completed. The child is undone as a whole, once, and
//! the finalizers of both sagas are removed.

use saga_operator::api::SagaPhase;
use serde_json::{Value, json};

use super::{ACCOUNT, Costs, End, PLAIN, Scene, Seen, Story, USUAL, actions, check};
use crate::stand::{condition, post, still_in_effect};

pub static STORY: Story = Story {
    name: "child",
    stage: |scene| {
        Box::pin(async {
            scene.shop(&json!([actions("mail", &json!([{"answer": 422, "forever": true}]))]));
        })
    },
    spec,
    end: End::In(SagaPhase::Compensated),
    done: &["database", "user"],
    undone: &["user", "database"],
    // If the outcome of the mail is Unknown, the mail is also compensated.
    costs: Costs { per_loss: 2, blur: 2, met: 1, ..USUAL },
    judge: one_child_undone,
    ..PLAIN
};

fn spec(_: &Scene<'_>) -> Value {
    let backoff = json!({"initialDelay": "50ms", "maxDelay": "200ms"});
    let defaults = json!({
        "retry": {"maxAttempts": 5, "backoff": backoff}, "compensationRetry": {"backoff": backoff},
    });
    let tenant = json!({
        "defaults": defaults,
        "steps": [
            {
                "name": "database", "http": post("/stock/reservations"),
                "compensation": {"http": post("/stock/releases")},
            },
            {"name": "user", "dependsOn": ["database"], "http": post("/payments/charges"),
             "compensation": {"http": post("/payments/refunds")}},
        ],
    });
    json!({
        "serviceAccountName": ACCOUNT, "onFailure": "Compensate", "defaults": defaults,
        "steps": [
            {"name": "tenant", "saga": {"spec": tenant}},
            {
                "name": "tell", "dependsOn": ["tenant"], "http": post("/mail/messages"),
                "compensation": {"http": post("/mail/retractions")},
            },
        ],
    })
}

fn one_child_undone(seen: &Seen<'_>) -> Result<(), String> {
    let children: Vec<_> = seen
        .run
        .sagas
        .iter()
        .filter(|saga| saga.metadata.uid != seen.saga().metadata.uid)
        .collect();
    let [child] = children.as_slice() else {
        return Err(format!("there are {} children instead of one", children.len()));
    };
    let status = child.status.clone().unwrap_or_default();
    check(status.phase == Some(SagaPhase::Compensated), || {
        format!("the child is {:?}", status.phase)
    })?;
    let still = still_in_effect(seen.saga());
    check(still.is_empty(), || format!("still in effect is {still:?}"))?;
    check(status.requests.len() == 1, || format!("the child was asked {:?}", status.requests))?;
    check(condition(child, "Ready") == "False/Compensated", || {
        format!("the child says {}", condition(child, "Ready"))
    })
}
