//! Tests of Pods that never start, are deleted, or do not belong to the saga.

use k8s_openapi::api::core::v1::{Pod, ResourceQuota};
use kube::{Api, ResourceExt, api::DeleteParams, runtime::wait::await_condition};
use saga_operator::api::{Direction, Outcome, Saga, SagaPhase, StepPhase};
use serde_json::json;
use tokio::time::timeout;

use super::{IMAGE, SLEEP, ask, one_step, pod, pod_of, tells};
use crate::{
    shop::Kind,
    stand::{PATIENCE, Stand, message, names_its_child, outcomes, scope, step},
};

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
            ["did not end within its time limit (waits on node", "registry.invalid/no/such:1"],
        ),
        (
            "no-node",
            huge,
            [
                "did not end within its time limit (is not scheduled: \
                Unschedulable",
                "Insufficient cpu",
            ],
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
    // The test does what another replica would do that never saw the first Pod.
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
        message(&saga).contains(&format!(
            "NameConflict: the Pod {name} exists and does not belong to this \
                attempt"
        )),
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
