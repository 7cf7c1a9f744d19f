//! Tests of Jobs as the children of a saga: how they end, what prevents them from ending, and that
//! no Job is created twice.

mod troubles;

use k8s_openapi::api::batch::v1::Job;
use kube::{Api, ResourceExt, api::ListParams};
use saga_operator::api::{
    Direction, Outcome, Saga, SagaPhase, StepPhase,
    names::{AttemptId, job_name},
};
use serde_json::{Value, json};

use crate::{
    pods::{IMAGE, SLEEP, ask},
    shop::Kind,
    stand::{Stand, outcomes, post, scope, step, still_in_effect},
};

/// Returns a Job with one container that runs this command. `more` is added to its spec.
pub fn job_with(command: &str, more: &Value) -> Value {
    let container = json!({"name": "step", "image": IMAGE, "command": ["/bin/sh", "-c", command]});
    let mut spec = json!({
        "template": {"spec": {"terminationGracePeriodSeconds": 5, "containers": [container]}},
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"spec": spec})
}

pub fn job(command: &str) -> Value {
    job_with(command, &json!({}))
}

/// Returns a saga with one step and `onFailure: Compensate`. An HTTP request undoes the step.
pub fn one_step(work: &Value, more: &Value) -> Value {
    let mut step = json!({
        "name": "ship", "job": work, "compensation": {"http": post("/shipping/cancellations")},
    });
    step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"onFailure": "Compensate", "steps": [step]})
}

pub fn jobs(stand: &Stand) -> Api<Job> {
    Api::namespaced(stand.client.clone(), &stand.namespace)
}

/// Returns the name of the Job of a step's attempt.
pub fn job_of(saga: &Saga, step: &str, direction: Direction, number: i64) -> String {
    job_name(
        &saga.name_any(),
        &saga.uid().unwrap(),
        &AttemptId { step: step.into(), direction, number },
    )
}

/// Returns the Jobs of a saga.
pub async fn all_of(stand: &Stand, saga: &str) -> Vec<Job> {
    jobs(stand)
        .list(&ListParams::default().labels(&format!("saga.dev/saga={saga}")))
        .await
        .unwrap()
        .items
}

/// Returns the message of the last attempt of the action of `ship`.
pub fn words(saga: &Saga) -> String {
    step(saga, "ship")
        .action
        .as_ref()
        .unwrap()
        .attempts
        .last()
        .unwrap()
        .message
        .clone()
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_completes_hands_on_the_word_of_its_pod() {
    let mut stand = Stand::with_pods("job").await;
    stand.start();
    let tell =
        r#"printf '{"to": "%s", "key": "%s"}' Köln "$SAGA_IDEMPOTENCY_KEY" > /dev/termination-log"#;
    let check = json!({
        "image": IMAGE,
        "command": ["/bin/sh", "-c", "[ \"$0\" = Köln ] && [ \"$1\" = \"$2\" ]"],
        "args": [
            "${steps.ship.outputs.to}", "${steps.ship.outputs.key}", "${saga.uid}/ship/action/0",
        ],
    });
    let saga = json!({
        "steps": [
            {"name": "ship", "job": job(tell)},
            {"name": "check", "dependsOn": ["ship"], "pod": check},
        ],
    });
    // The end of the pod decides the outcome. The Job itself may report the end later.
    let saga = stand.apply("order", &saga).await;
    let saga_after = stand.reaches("order", SagaPhase::Completed).await;
    assert_eq!(outcomes(&saga_after, "ship"), [Outcome::Succeeded]);
    let made = jobs(&stand).get(&job_of(&saga, "ship", Direction::Action, 1)).await.unwrap();
    assert_eq!(made.owner_references()[0].uid, saga.uid().unwrap());
    assert_eq!(made.owner_references()[0].block_owner_deletion, None);
    assert_eq!(made.spec.unwrap().backoff_limit, Some(0));
    assert_eq!(all_of(&stand, "order").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_says_why_and_what_was_done_is_undone_by_another() {
    let mut stand = Stand::with_pods("job-fails").await;
    stand.start();
    let spec = json!({"onFailure": "Compensate", "steps": [
        {
            "name": "reserve", "job": job(&ask("/stock/reservations")),
            "compensation": {"job": job(&ask("/stock/releases"))},
        },
        {
            "name": "ship", "dependsOn": ["reserve"],
            "job": job("echo there is no such order >&2; exit 3"),
            "retry": {"maxAttempts": 2, "backoff": {"initialDelay": "50ms"}},
            "compensation": {"job": job("true")},
        },
    ]});
    stand.apply("order", &spec).await;
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    assert_eq!(outcomes(&saga, "ship"), [Outcome::Failed, Outcome::Failed]);
    assert_eq!(words(&saga), "exit code 3 (Error): there is no such order");
    assert_eq!(step(&saga, "ship").phase, StepPhase::Compensated, "it may have done half its work");
    assert_eq!(stand.shop.summary(&scope(&saga)).undone, ["reserve"]);
    let record = step(&saga, "ship").action.clone().unwrap();
    assert_eq!((record.failures, record.uncertain), (0, false));
    assert_eq!(all_of(&stand, "order").await.len(), 5, "one Job an attempt");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_indexed_job_completes_when_all_its_pods_have_and_the_first_one_speaks_for_it() {
    let mut stand = Stand::with_pods("job-index").await;
    stand.start();
    let tell = r#"printf '{"part": "%s"}' "$JOB_COMPLETION_INDEX" > /dev/termination-log"#;
    let parts =
        json!({"completions": "${params.parts}", "parallelism": 3, "completionMode": "Indexed"});
    stand
        .apply(
            "order",
            &json!({
                "params": {"parts": 3}, "steps": [{"name": "ship", "job": job_with(tell, &parts)}],
            }),
        )
        .await;
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    assert_eq!(step(&saga, "ship").outputs, json!({"part": "0"}).as_object().cloned());
    assert_eq!(stand.pods_of("order").await.len(), 3);
    let [made] = all_of(&stand, "order").await.try_into().unwrap();
    assert_eq!(made.status.unwrap().succeeded, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_pods_the_one_that_fails_is_named_and_its_exit_code_can_be_final() {
    let mut stand = Stand::with_pods("job-part").await;
    stand.start();
    let parts = json!({"completions": 2, "parallelism": 2, "completionMode": "Indexed"});
    let mut work = job_with("[ $JOB_COMPLETION_INDEX = 0 ] || exit 7", &parts);
    work["finalExitCodes"] = json!([7]);
    let saga = stand.apply("order", &one_step(&work, &json!({"retry": {"maxAttempts": 3}}))).await;
    let saga_after = stand.reaches("order", SagaPhase::Compensated).await;
    assert_eq!(outcomes(&saga_after, "ship"), [Outcome::Failed]);
    let pod = format!("pod {}-1-", job_of(&saga, "ship", Direction::Action, 1));
    assert!(
        words(&saga_after).starts_with(&pod) && words(&saga_after).contains(": exit code 7"),
        "{}",
        words(&saga_after)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_tries_again_by_itself_is_waited_for() {
    let mut stand = Stand::with_pods("job-again").await;
    stand.start();
    let tries = format!("{}; exit 3", ask("/shipping/shipments"));
    stand
        .apply("order", &one_step(&job_with(&tries, &json!({"backoffLimit": 1})), &json!({})))
        .await;
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    assert_eq!(outcomes(&saga, "ship"), [Outcome::Failed]);
    assert_eq!(stand.pods_of("order").await.len(), 2, "one attempt, two pods");
    let kinds: Vec<_> = stand
        .shop
        .entries(Some(&scope(&saga)))
        .into_iter()
        .filter(|entry| entry.step == "ship")
        .map(|entry| entry.kind)
        .collect();
    assert_eq!(
        kinds[..2],
        [Kind::Done, Kind::Repeat],
        "both are the same attempt with the same key"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_works_past_its_time_is_deleted_with_its_pods_and_undone() {
    let mut stand = Stand::with_pods("job-timeout").await;
    stand.start();
    let work = job(&format!("{}; {SLEEP}", ask("/shipping/shipments")));
    let saga = stand.apply("order", &one_step(&work, &json!({"timeout": "6s"}))).await;
    stand.shop_has_done(&saga, "ship").await;
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    assert_eq!((outcomes(&saga, "ship"), still_in_effect(&saga)), (vec![Outcome::Unknown], vec![]));
    assert_eq!(stand.shop.summary(&scope(&saga)).undone, ["ship"]);
    assert!(
        words(&saga).starts_with("did not end within its time limit (runs on node"),
        "{}",
        words(&saga)
    );
    // The attempt settled only after its Job and its pods were gone.
    assert!(all_of(&stand, "order").await.is_empty());
    assert!(stand.pods_of("order").await.is_empty());
}
