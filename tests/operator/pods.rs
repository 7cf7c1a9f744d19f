//! Tests of Pods as the children of a saga: what they know of their attempt, how they end, and what
//! prevents them from ending.

mod troubles;

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    runtime::wait::await_condition,
};
use saga_operator::api::{
    Direction, Outcome, Saga, SagaPhase,
    names::{AttemptId, child_name},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::stand::{
    PATIENCE, Stand, message, outcomes, post, post_by_gate, scope, step, still_in_effect,
};

pub const IMAGE: &str = "saga.dev/examples/busybox:1";
/// Sleeps until SIGTERM, and then exits at once with a code other than 0.
pub const SLEEP: &str = "trap 'exit 143' TERM; sleep 300 & wait";

pub fn pod(command: &str) -> Value {
    json!({"image": IMAGE, "command": ["/bin/sh", "-c", command]})
}

/// Returns a command that asks the shop for a shipment, or for its cancellation.
pub fn ask(path: &str) -> String {
    format!(
        "wget -q -O - --header \"Idempotency-Key: $SAGA_IDEMPOTENCY_KEY\" --header \
         \"Saga-Attempt: $SAGA_ATTEMPT\" --post-data '{{}}' SHOP{path}"
    )
}

/// Returns the same command for the gate: the answer arrives once the gate is open.
pub fn ask_by_gate(path: &str) -> String {
    ask(path).replace("SHOP", "GATE")
}

/// Returns a saga with one step and `onFailure: Compensate`. An HTTP request undoes the step.
pub fn one_step(work: &Value, more: &Value) -> Value {
    let mut step = json!({
        "name": "ship", "pod": work, "compensation": {"http": post("/shipping/cancellations")},
    });
    step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"onFailure": "Compensate", "steps": [step]})
}

/// Returns the name of the Pod of a step's attempt.
pub fn pod_of(saga: &Saga, step: &str, direction: Direction, number: i64) -> String {
    child_name(
        &saga.name_any(),
        &saga.uid().unwrap(),
        &AttemptId { step: step.into(), direction, number },
    )
}

/// Returns the lines that a Pod wrote to its termination log.
fn said(pod: &Pod) -> Vec<String> {
    let containers = pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap();
    let end = containers[0].state.as_ref().unwrap().terminated.as_ref().unwrap();
    end.message.as_deref().unwrap_or_default().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_knows_who_it_is_and_one_after_an_exit_code_goes_on_under_the_same_key() {
    let mut stand = Stand::with_pods("identity").await;
    // A namespace that enforces the restricted standard needs no change of the saga.
    let label = Patch::Merge(
        json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}),
    );
    Api::<Namespace>::all(stand.client.clone())
        .patch(&stand.namespace, &PatchParams::default(), &label)
        .await
        .unwrap();
    stand.start();
    let tell = "env | grep ^SAGA_ | sort > /dev/termination-log";
    let saga = json!({
        "onFailure": "Compensate",
        "steps": [
            {
                "name": "ship", "pod": pod(&format!("{tell}; [ $SAGA_ATTEMPT != 1 ] || exit 3")),
                "retry": {"maxAttempts": 2, "backoff": {"initialDelay": "50ms"}},
                "compensation": {"pod": pod(tell)},
            },
            {
                "name": "mail", "dependsOn": ["ship"], "http": post_by_gate("/mail/messages"),
                "retry": {"maxAttempts": 1},
            },
        ],
    });
    stand.shop.behave(&json!([{"match": {"service": "mail"}, "then": [{"answer": 422}]}])).unwrap();
    let saga = stand.apply("order", &saga).await;
    // The shop's answer is kept back: the saga is still running.
    stand.shop_sees("the mail", |entries| !entries.is_empty()).await;
    let between = stand.pods_of("order").await;
    assert_eq!(between.len(), 2, "what succeeded stays while the saga runs");
    stand.gate.open();
    let saga_after = stand.reaches("order", SagaPhase::Compensated).await;
    assert_eq!(outcomes(&saga_after, "ship"), [Outcome::Failed, Outcome::Succeeded]);
    let uid = saga.uid().unwrap();
    for (direction, attempt, failures) in
        [(Direction::Action, 1, 0), (Direction::Action, 2, 0), (Direction::Compensation, 1, 0)]
    {
        let pod = stand.pods().get(&pod_of(&saga, "ship", direction, attempt)).await.unwrap();
        let expected = [
            format!("SAGA_ATTEMPT={attempt}"),
            format!("SAGA_DIRECTION={direction}"),
            format!("SAGA_IDEMPOTENCY_KEY={uid}/ship/{direction}/{failures}"),
            "SAGA_NAME=order".to_owned(),
            format!("SAGA_NAMESPACE={}", stand.namespace),
            "SAGA_STEP=ship".to_owned(),
            format!("SAGA_UID={uid}"),
        ];
        assert_eq!(said(&pod), expected);
        assert_eq!(pod.owner_references()[0].uid, uid);
    }
    assert_eq!(stand.pods_of("order").await.len(), 3, "one Pod an attempt");
    let failed = &step(&saga_after, "ship").action.as_ref().unwrap().attempts[0];
    assert!(failed.message.as_deref().unwrap().starts_with("exit code 3"), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_exit_code_is_not_tried_again_and_any_other_is() {
    let mut stand = Stand::with_pods("final").await;
    stand.start();
    let mut work = pod("[ $SAGA_ATTEMPT != 1 ] || exit 1; exit 64");
    work["finalExitCodes"] = json!([3, 64]);
    let retry = json!({"retry": {"maxAttempts": 5, "backoff": {"initialDelay": "50ms"}}});
    stand.apply("order", &one_step(&work, &retry)).await;
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    assert_eq!(outcomes(&saga, "ship"), [Outcome::Failed, Outcome::Failed]);
    let record = step(&saga, "ship").action.clone().unwrap();
    assert_eq!((record.failures, record.uncertain), (1, false), "{record:?}");
    assert!(message(&saga).contains("exit code 64"), "{}", message(&saga));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_word_of_a_container_is_handed_on_to_the_steps_after_it() {
    let mut stand = Stand::with_pods("hands-on").await;
    stand.start();
    // The outputs are longer than any message shows, and not ASCII.
    let tell =
        r#"printf '{"to": {"city": "Köln 東京"}, "filler": "%01000d"}' 0 > /dev/termination-log"#;
    let check = json!({"image": IMAGE, "command": ["/bin/sh", "-c", "[ \"$0\" = 'Köln 東京' ] && [ \
        $${#1} = 1000 ]"],
        "args": ["${steps.ship.outputs.to.city}", "${steps.ship.outputs.filler}"]});
    let saga = json!({
        "steps": [
            {"name": "ship", "pod": pod(tell)},
            {"name": "check", "dependsOn": ["ship"], "pod": check},
        ],
    });
    stand.apply("order", &saga).await;
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    let outputs = step(&saga, "ship").outputs.clone().unwrap();
    assert_eq!(outputs["to"], json!({"city": "Köln 東京"}));
    assert_eq!(step(&saga, "check").outputs, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_fails_is_told_of_by_the_end_of_its_log() {
    let mut stand = Stand::with_pods("log").await;
    stand.start();
    // Everything goes to one stream: the order of lines from two streams is not defined.
    let work =
        pod("exec >&2; for n in $(seq 60); do echo trying once more; done; echo there is no such \
         order; exit 3");
    stand.apply("order", &one_step(&work, &json!({}))).await;
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    let words = step(&saga, "ship").action.as_ref().unwrap().attempts[0].message.clone().unwrap();
    assert!(
        words.starts_with("exit code 3 (Error): …")
            && words.ends_with("trying once more there is no such order"),
        "{words}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_works_past_its_time_is_ended_and_undone_since_it_may_have_done_its_work() {
    let mut stand = Stand::with_pods("timeout").await;
    stand.start();
    // Six seconds from the intent leave time to start and to call the shop.
    let work = pod(&format!("{}; {SLEEP}", ask("/shipping/shipments")));
    let saga = stand.apply("order", &one_step(&work, &json!({"timeout": "6s"}))).await;
    stand.shop_has_done(&saga, "ship").await;
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    assert_eq!(outcomes(&saga, "ship"), [Outcome::Unknown]);
    assert_eq!(stand.shop.summary(&scope(&saga)).undone, ["ship"]);
    let record = step(&saga, "ship").action.clone().unwrap();
    assert!(record.uncertain && record.failures == 0, "{record:?}");
    let words = record.attempts[0].message.as_deref().unwrap();
    assert!(
        words.starts_with("did not end within its time limit (runs on node")
            && words.contains("may have done its work"),
        "{words}"
    );
    let took = record.attempts[0]
        .settled_at
        .0
        .duration_since(record.attempts[0].started_at.0)
        .as_secs_f64();
    assert!((5.9..30.0).contains(&took), "{took}");
    // Nothing runs any more: the Pod is either gone or has ended.
    let left = stand.pods().get_opt(&pod_of(&saga, "ship", Direction::Action, 1)).await.unwrap();
    assert!(left.is_none_or(|pod| pod.status.unwrap().phase.as_deref() == Some("Failed")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_runs_when_the_time_of_its_saga_has_passed_is_ended_and_undone() {
    let mut stand = Stand::with_pods("saga-time").await;
    stand.start();
    let work = pod(&format!("{}; {SLEEP}", ask("/shipping/shipments")));
    let mut spec = one_step(&work, &json!({}));
    spec["timeout"] = json!("6s");
    let saga = stand.apply("order", &spec).await;
    stand.shop_has_done(&saga, "ship").await;
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    assert_eq!((outcomes(&saga, "ship"), still_in_effect(&saga)), (vec![Outcome::Unknown], vec![]));
    assert_eq!(stand.shop.summary(&scope(&saga)).undone, ["ship"]);
    let event = stand.event("order", "TimedOut").await;
    assert_eq!(
        (event.type_.as_deref(), event.note.as_deref()),
        (Some("Warning"), Some("the saga's timeout of 6s passed"))
    );
    assert_eq!(
        message(&saga),
        "the saga's timeout of 6s passed; everything that was done is undone"
    );
    let words = step(&saga, "ship").action.as_ref().unwrap().attempts[0].message.clone().unwrap();
    assert!(words.starts_with("did not end within its time limit (runs on node"), "{words}");
    is_gone(&stand, &pod_of(&saga, "ship", Direction::Action, 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_runs_when_its_saga_is_cancelled_is_gone_and_what_it_did_stays_in_effect() {
    let mut stand = Stand::with_pods("cancel").await;
    stand.start();
    let work = pod(&format!("{}; {SLEEP}", ask("/shipping/shipments")));
    let huge =
        json!({"image": IMAGE, "command": ["true"], "resources": {"requests": {"cpu": "1000"}}});
    let mut spec = one_step(&work, &json!({}));
    spec["maxParallel"] = json!(2);
    spec["steps"].as_array_mut().unwrap().push(json!({"name": "never", "pod": huge}));
    let saga = stand.apply("order", &spec).await;
    stand.shop_has_done(&saga, "ship").await;
    stand.ask("order", "saga.dev/cancel=the wrong parcel");
    let saga = stand.reaches("order", SagaPhase::Cancelled).await;
    assert_eq!(
        (outcomes(&saga, "ship"), outcomes(&saga, "never")),
        (vec![Outcome::Unknown], vec![Outcome::Failed])
    );
    assert_eq!(still_in_effect(&saga), ["ship"]);
    assert_eq!(message(&saga), "cancelled: the wrong parcel; still in effect: ship");
    for (name, words) in [
        ("ship", "stopped, because the saga is cancelled (runs on node"),
        ("never", "stopped, because the saga is cancelled ("),
    ] {
        let said = step(&saga, name).message.as_deref().unwrap();
        assert!(said.contains(words), "{said}");
        is_gone(&stand, &pod_of(&saga, name, Direction::Action, 1)).await;
    }
    stand.is_let_go("order").await;
    stand.meanwhile("other").await;
    let summary = stand.shop.summary(&scope(&saga));
    assert_eq!((summary.done, summary.undone), (vec!["ship".to_owned()], vec![]));
    assert!(stand.pods_of("order").await.is_empty(), "nothing is begun again");
}

/// Waits until a Pod no longer exists: none of its containers runs.
pub async fn is_gone(stand: &Stand, pod: &str) {
    let gone =
        timeout(PATIENCE, await_condition(stand.pods(), pod, |pod: Option<&Pod>| pod.is_none()))
            .await;
    assert!(gone.is_ok(), "{pod} is still there");
}

/// Returns whether a saga's message contains all of these words. A missing message is empty.
pub fn tells(saga: &Saga, words: &[&str]) -> bool {
    let told =
        saga.status.as_ref().and_then(|status| status.message.as_deref()).unwrap_or_default();
    words.iter().all(|word| told.contains(word))
}
