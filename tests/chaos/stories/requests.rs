//! A checkout that is held because the charge has an Unknown outcome. A user settles the charge as
//! Failed, retries it twice without success, pauses the saga, skips the charge, and resumes the
//! saga. The saga then completes.

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
    asks: &[
        RequestAction::Settle,
        RequestAction::Retry,
        RequestAction::Retry,
        RequestAction::Pause,
        RequestAction::Skip,
        RequestAction::Resume,
    ],
    judge: tried_as_often_as_asked,
    ..PLAIN
};

/// The number of attempts of a step.
const ATTEMPTS: usize = 5;

/// Plays the story with an operator without a fault, until the saga is held.
fn stage<'a>(scene: &'a Scene<'a>) -> Doing<'a> {
    Box::pin(async {
        let Scene { stand, name, .. } = scene;
        let mut answers = vec![json!({"answer": 503}); ATTEMPTS];
        answers.push(json!({"answer": 402, "forever": true}));
        scene.shop(&json!([actions("payments", &answers.into())]));
        let _operator = Process::start_with(
            stand,
            &format!("{name}-stage"),
            &[],
            &["--lease-namespace", &stand.namespace],
        );
        stand.apply(name, &checkout_with(&json!({"onFailure": "Hold"}))).await;
        stand.reaches(name, SagaPhase::Failed).await;
        // The event is the last call of this operator.
        stand.event(name, "StepFailed").await;
    })
}

fn told<'a>(scene: &'a Scene<'a>) -> Doing<'a> {
    Box::pin(async {
        scene.ask(RequestAction::Settle, "charge-card=Failed", 1).await;
        for times in 2..=3 {
            scene.ask(RequestAction::Retry, "charge-card", times).await;
            let failed_again = |saga: &Saga| {
                let failed =
                    saga.status.as_ref().and_then(|status| status.phase) == Some(SagaPhase::Failed);
                failed
                    && step(saga, "charge-card")
                        .action
                        .as_ref()
                        .is_some_and(|action| action.active.is_none())
            };
            scene.stand.until(scene.name, "failed again", failed_again).await;
        }
        scene.ask(RequestAction::Pause, "a look at the books", 4).await;
        scene.ask(RequestAction::Skip, "charge-card", 5).await;
        scene.ask(RequestAction::Resume, "all is well", 6).await;
    })
}

fn tried_as_often_as_asked(seen: &Seen<'_>) -> Result<(), String> {
    let (saga, charge) = (seen.saga(), seen.step("charge-card"));
    check(charge.phase == StepPhase::Skipped, || {
        format!("the charge is {}", charge.phase.as_str())
    })?;
    let entries = seen.scene.stand.shop.entries(Some(&scope(saga)));
    let keys: Vec<_> = entries
        .iter()
        .filter(|entry| entry.kind == Kind::Refused)
        .map(|entry| &entry.key)
        .collect();
    check(keys.len() >= ATTEMPTS + 2, || {
        format!("the charge was asked for with {keys:?}: {:?}", outcomes(saga, "charge-card"))
    })?;
    // The settlement by the user ends the use of the first key. Each 402 ends the use of a later
    // key.
    let (doubted, later) = keys.split_at(ATTEMPTS);
    let same = doubted.iter().all(|key| *key == doubted[0]);
    check(same && !later.contains(&doubted[0]), || {
        format!("the charge was asked for with {keys:?}")
    })?;
    let granted = saga.status.as_ref().map(|status| status.retry_requests).unwrap_or_default();
    check(granted == 2, || format!("{granted} requests to retry were granted: {:?}", records(saga)))
}
