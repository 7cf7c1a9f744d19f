//! Pods as the hands of a saga: who they know they are, how they end, and what gets in their way.

use k8s_openapi::api::core::v1::{Namespace, Pod, ResourceQuota};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
    runtime::wait::await_condition,
};
use saga_operator::api::{
    Direction, Outcome, Saga, SagaPhase, StepPhase,
    names::{AttemptId, child_name},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    shop::Kind,
    stand::{
        PATIENCE, Stand, message, names_its_child, outcomes, post, post_by_gate, scope, step,
        still_in_effect,
    },
};

pub const IMAGE: &str = "saga.dev/examples/busybox:1";
/// Ends as soon as it is told to, and not with 0.
pub const SLEEP: &str = "trap 'exit 143' TERM; sleep 300 & wait";

pub fn pod(command: &str) -> Value {
    json!({"image": IMAGE, "command": ["/bin/sh", "-c", command]})
}

/// A command that asks the shop for a shipment, or to take it back.
pub fn ask(path: &str) -> String {
    format!(
        "wget -q -O - --header \"Idempotency-Key: $SAGA_IDEMPOTENCY_KEY\" --header \
         \"Saga-Attempt: $SAGA_ATTEMPT\" --post-data '{{}}' SHOP{path}"
    )
}

/// The same, answered once the gate is open.
pub fn ask_by_gate(path: &str) -> String {
    ask(path).replace("SHOP", "GATE")
}

/// One step, undone by a request where it is to be undone, of a saga that turns back by itself.
pub fn one_step(work: &Value, more: &Value) -> Value {
    let mut step = json!({
        "name": "ship", "pod": work, "compensation": {"http": post("/shipping/cancellations")},
    });
    step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"onFailure": "Compensate", "steps": [step]})
}

/// The name of the Pod of a step's attempt.
pub fn pod_of(saga: &Saga, step: &str, direction: Direction, number: i64) -> String {
    child_name(
        &saga.name_any(),
        &saga.uid().unwrap(),
        &AttemptId { step: step.into(), direction, number },
    )
}

/// What a Pod wrote to its termination log.
fn said(pod: &Pod) -> Vec<String> {
    let containers = pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap();
    let end = containers[0].state.as_ref().unwrap().terminated.as_ref().unwrap();
    end.message.as_deref().unwrap_or_default().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_knows_who_it_is_and_one_after_an_exit_code_goes_on_under_the_same_key() {
    let mut stand = Stand::with_pods("identity").await;
    // Whoever enforces the restricted standard need not change anything.
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
    // The shop's answer is kept back: the saga is in the middle.
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
    // More than any message shows, and not in ASCII.
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
    // All in one stream: of two nobody knows which line comes first.
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
    // Five seconds from the intent on: time enough to start and to ask the shop.
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
        words.starts_with("did not end within its time (runs on node")
            && words.contains("may have done its work"),
        "{words}"
    );
    let took = record.attempts[0]
        .settled_at
        .0
        .duration_since(record.attempts[0].started_at.0)
        .as_secs_f64();
    assert!((5.9..30.0).contains(&took), "{took}");
    // Nothing runs any more: either it is gone, or it has ended.
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
    assert!(words.starts_with("did not end within its time (runs on node"), "{words}");
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
        ("ship", "stopped, since the saga is cancelled (runs on node"),
        ("never", "stopped, since the saga is cancelled ("),
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

/// Waits until a Pod does not exist any more: nothing of it runs.
pub async fn is_gone(stand: &Stand, pod: &str) {
    let gone =
        timeout(PATIENCE, await_condition(stand.pods(), pod, |pod: Option<&Pod>| pod.is_none()))
            .await;
    assert!(gone.is_ok(), "{pod} is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_never_starts_fails_within_its_time_is_gone_and_is_not_undone() {
    let mut stand = Stand::with_pods("unstarted").await;
    stand.start();
    let huge =
        json!({"image": IMAGE, "command": ["true"], "resources": {"requests": {"cpu": "1000"}}});
    let stories = [
        (
            "no-image",
            json!({"image": "registry.invalid/no/such:1"}),
            ["did not end within its time (waits on node", "registry.invalid/no/such:1"],
        ),
        (
            "no-node",
            huge,
            ["did not end within its time (is not scheduled: Unschedulable", "Insufficient cpu"],
        ),
    ];
    for (name, work, _) in &stories {
        stand.apply(name, &one_step(work, &json!({"timeout": "3s"}))).await;
    }
    for (name, _, words) in &stories {
        let saga = stand.reaches(name, SagaPhase::Compensated).await;
        assert_eq!(outcomes(&saga, "ship"), [Outcome::Failed], "{name}");
        assert!(words.iter().all(|word| message(&saga).contains(word)), "{}", message(&saga));
        let record = step(&saga, "ship").action.clone().unwrap();
        assert!(!record.uncertain && record.failures == 0, "{record:?}");
        assert_eq!(step(&saga, "ship").compensation, None, "{name}");
        assert!(stand.shop.entries(Some(&scope(&saga))).is_empty(), "{name}");
        let pod = stand.pods().get_opt(&pod_of(&saga, "ship", Direction::Action, 1)).await.unwrap();
        assert!(pod.is_none(), "{name}: {pod:?}");
    }
}

/// Whether a saga's message, if it has one by now, holds all of these words.
pub fn tells(saga: &Saga, words: &[&str]) -> bool {
    let told =
        saga.status.as_ref().and_then(|status| status.message.as_deref()).unwrap_or_default();
    words.iter().all(|word| told.contains(word))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_pod_from_starting_is_told_while_it_waits_and_no_more_when_it_is_mended() {
    let mut stand = Stand::with_pods("trouble").await;
    stand.start();
    let mut secretive = pod("sleep 3");
    secretive["env"] = json!([{
        "name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "later", "key": "token"}},
    }]);
    let huge =
        json!({"image": IMAGE, "command": ["true"], "resources": {"requests": {"cpu": "1000"}}});
    let stories = [
        (
            "no-secret",
            secretive,
            ["CreateContainerConfigError", "\"later\" not found"],
            "Container",
        ),
        (
            "no-image",
            json!({"image": "registry.invalid/no/such:1"}),
            ["ImagePull", "registry.invalid/no/such:1"],
            "Image",
        ),
        ("no-node", huge, ["Unschedulable", "Insufficient cpu"], "Scheduling"),
    ];
    for (name, work, _, _) in &stories {
        stand.apply(name, &one_step(work, &json!({}))).await;
    }
    for (name, _, words, trouble) in &stories {
        let saga = stand.until(name, "told what is wrong", |saga| tells(saga, words)).await;
        let step = step(&saga, "ship");
        let active = step.action.as_ref().and_then(|action| action.active.as_ref()).unwrap();
        assert_eq!(
            (step.phase, active.trouble.as_deref()),
            (StepPhase::Running, Some(*trouble)),
            "{name}"
        );
        assert!(
            words.iter().all(|word| step.message.as_deref().unwrap().contains(word)),
            "{name}: {step:?}"
        );
    }
    stand
        .put(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "later"},
            "stringData": {"token": "t"},
        }))
        .await;
    let saga = stand.reaches("no-secret", SagaPhase::Completed).await;
    assert_eq!(
        outcomes(&saga, "ship"),
        [Outcome::Succeeded],
        "one attempt waited for what was missing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_the_cluster_refuses_fails_its_step_which_says_why() {
    let mut stand = Stand::new("denied").await;
    stand.start();
    let mut spec =
        one_step(&pod("true"), &json!({"retry": {"maxAttempts": 3}, "precheck": "Skip"}));
    spec["serviceAccountName"] = json!("nobody");
    stand.apply("order", &spec).await;
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    assert!(
        message(&saga).contains("the API server refused its Pod")
            && message(&saga).contains("\"nobody\" not found"),
        "{}",
        message(&saga)
    );
    assert_eq!(outcomes(&saga, "ship"), [Outcome::Failed]);
    assert!(stand.shop.entries(None).is_empty() && stand.pods_of("order").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_pod_that_somebody_deletes_may_have_acted_and_is_repeated_under_the_same_key() {
    let mut stand = Stand::with_pods("deleted").await;
    stand.start();
    let work =
        pod(&format!("{}; [ $SAGA_ATTEMPT != 1 ] || {{ {SLEEP}; }}", ask("/shipping/shipments")));
    let retry = json!({"retry": {"maxAttempts": 2, "backoff": {"initialDelay": "50ms"}}});
    let saga = stand.apply("order", &one_step(&work, &retry)).await;
    stand.shop_has_done(&saga, "ship").await;
    stand
        .pods()
        .delete(&pod_of(&saga, "ship", Direction::Action, 1), &DeleteParams::default())
        .await
        .unwrap();
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    assert_eq!(outcomes(&saga, "ship"), [Outcome::Unknown, Outcome::Succeeded]);
    let calls: Vec<_> = stand
        .shop
        .entries(Some(&scope(&saga)))
        .into_iter()
        .map(|entry| (entry.kind, entry.key))
        .collect();
    let key = format!("{}/ship/action/0", scope(&saga));
    assert_eq!(calls, [(Kind::Done, key.clone()), (Kind::Repeat, key)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_made_again_is_waited_for_and_where_it_fails_the_one_before_it_may_have_acted() {
    let mut stand = Stand::with_pods("again").await;
    stand.start();
    let saga = stand.apply("order", &one_step(&pod(SLEEP), &json!({}))).await;
    stand.until("order", "the UID of its Pod", |saga| names_its_child(saga, "ship")).await;
    stand.freeze();
    // What another operator would do that never saw the first one.
    let name = pod_of(&saga, "ship", Direction::Action, 1);
    let first = stand.pods().get(&name).await.unwrap();
    stand.pods().delete(&name, &DeleteParams::default().grace_period(0)).await.unwrap();
    let is_gone = |pod: Option<&Pod>| pod.is_none_or(|pod| pod.metadata.uid != first.metadata.uid);
    timeout(PATIENCE, await_condition(stand.pods(), &name, is_gone)).await.unwrap().unwrap();
    let mut again = json!({
        "apiVersion": "v1", "kind": "Pod", "spec": first.spec,
        "metadata": {
            "name": name, "labels": first.metadata.labels,
            "ownerReferences": first.metadata.owner_references,
        },
    });
    again["spec"]["nodeName"].take();
    again["spec"]["containers"][0]["command"] = json!(["/bin/sh", "-c", "exit 3"]);
    stand.put(&again).await;
    stand.thaw();
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    let attempt = &step(&saga, "ship").action.as_ref().unwrap().attempts[0];
    let said = attempt.message.as_deref().unwrap_or_default();
    assert_eq!(attempt.outcome, Outcome::Unknown);
    assert!(
        said.starts_with("an earlier Pod of this attempt vanished, and then: ")
            && said.contains('3'),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_pod_of_the_same_name_is_left_alone_and_the_step_says_so() {
    let mut stand = Stand::with_pods("foreign").await;
    stand.start();
    let mut spec = one_step(&pod("true"), &json!({}));
    spec["suspend"] = json!(true);
    let saga = stand.apply("order", &spec).await;
    stand.reaches("order", SagaPhase::Paused).await;
    let name = pod_of(&saga, "ship", Direction::Action, 1);
    let foreign = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "foreign"}},
        "spec": {
            "nodeSelector": {"no": "such-node"}, "containers": [{"name": "step", "image": IMAGE}],
        },
    });
    let planted = stand.put(&foreign).await;
    stand.patch("order", &json!({"spec": {"suspend": false}})).await.unwrap();
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    assert!(
        message(&saga)
            .contains(&format!("NameConflict: the Pod {name} exists and is not of this attempt")),
        "{}",
        message(&saga)
    );
    assert_eq!(outcomes(&saga, "ship"), [Outcome::Failed]);
    assert!(stand.shop.entries(None).is_empty(), "nothing began: nothing is undone");
    let left = stand.pods().get(&name).await.unwrap();
    assert_eq!(left.uid(), planted.metadata.uid);
    assert!(left.metadata.deletion_timestamp.is_none() && left.owner_references().is_empty());
    assert_eq!(left.labels().keys().collect::<Vec<_>>(), ["app"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_quota_uses_up_no_attempt_and_the_step_goes_on_when_there_is_room() {
    let mut stand = Stand::with_pods("quota").await;
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"},
        "spec": {"hard": {"pods": "0"}},
    });
    stand.put(&quota).await;
    let counted = |quota: Option<&ResourceQuota>| {
        quota.is_some_and(|quota| quota.status.as_ref().is_some_and(|status| status.hard.is_some()))
    };
    let quotas: Api<ResourceQuota> = Api::namespaced(stand.client.clone(), &stand.namespace);
    timeout(PATIENCE, await_condition(quotas, "full", counted)).await.unwrap().unwrap();
    stand.start();
    stand.apply("order", &one_step(&pod("true"), &json!({"retry": {"maxAttempts": 1}}))).await;
    let waits = |saga: &Saga| {
        let step = saga.status.as_ref().and_then(|status| status.steps.first());
        step.and_then(|step| step.message.as_deref())
            .is_some_and(|message| message.contains("exceeded quota: full"))
    };
    let saga = stand.until("order", "waiting for the quota", waits).await;
    assert_eq!(step(&saga, "ship").phase, StepPhase::Running);
    assert!(stand.pods_of("order").await.is_empty());
    stand.take_back(&quota).await;
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    let record = step(&saga, "ship").action.clone().unwrap();
    assert_eq!((record.attempt, record.budget_used, record.failures), (1, 1, 0));
    assert_eq!(stand.pods_of("order").await.len(), 1);
}
