//! A checkout that is held: tried again twice in vain, paused, the charge skipped, resumed, and done.

use saga_operator::api::{RequestAction, Saga, SagaPhase, StepPhase};
use serde_json::json;

use super::{Doing, PLAIN, Scene, Seen, Story, actions, check};
use crate::{
    process::Process,
    shop::Kind,
    stand::{checkout_with, outcomes, records, scope, step},
};

pub static STORY: Story = Story {
    name: "requests",
    stage,
    told,
    done: &["reserve-stock", "ship"],
    asks: &[RequestAction::Retry, RequestAction::Retry, RequestAction::Pause, RequestAction::Skip, RequestAction::Resume],
    judge: tried_as_often_as_asked,
    ..PLAIN
};

/// Told to an operator without a fault, up to where the saga is held.
fn stage<'a>(scene: &'a Scene<'a>) -> Doing<'a> {
    Box::pin(async {
        let Scene { stand, name, .. } = scene;
        scene.shop(&json!([actions("payments", &json!([{"answer": 402, "forever": true}]))]));
        let _operator = Process::start_with(stand, &format!("{name}-stage"), &[], &["--lease-namespace", &stand.namespace]);
        stand.apply(name, &checkout_with(&json!({"onFailure": "Hold"}))).await;
        stand.reaches(name, SagaPhase::Failed).await;
        // Its event is its last call.
        stand.event(name, "StepFailed").await;
    })
}

fn told<'a>(scene: &'a Scene<'a>) -> Doing<'a> {
    Box::pin(async {
        for times in 1..=2 {
            scene.ask(RequestAction::Retry, "charge-card", times).await;
            let failed_again = |saga: &Saga| {
                let failed = saga.status.as_ref().and_then(|status| status.phase) == Some(SagaPhase::Failed);
                failed && step(saga, "charge-card").action.as_ref().is_some_and(|action| action.active.is_none())
            };
            scene.stand.until(scene.name, "failed again", failed_again).await;
        }
        scene.ask(RequestAction::Pause, "a look at the books", 3).await;
        scene.ask(RequestAction::Skip, "charge-card", 4).await;
        scene.ask(RequestAction::Resume, "all is well", 5).await;
    })
}

fn tried_as_often_as_asked(seen: &Seen<'_>) -> Result<(), String> {
    let (saga, charge) = (seen.saga(), seen.step("charge-card"));
    check(charge.phase == StepPhase::Skipped, || format!("the charge is {}", charge.phase.as_str()))?;
    let entries = seen.scene.stand.shop.entries(Some(&scope(saga)));
    let refused = entries.iter().filter(|entry| entry.kind == Kind::Refused).count();
    check(refused >= 3, || format!("the charge was asked for {refused} times, with the outcomes {:?}", outcomes(saga, "charge-card")))?;
    let granted = saga.status.as_ref().map(|status| status.retry_requests).unwrap_or_default();
    check(granted == 2, || format!("{granted} requests to retry were granted: {:?}", records(saga)))
}
