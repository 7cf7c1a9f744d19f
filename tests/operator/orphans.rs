//! Tests of children that lost the owner reference or the labels of their saga, and of Jobs that
//! are deleted without their pods or that are not removed.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use saga_operator::api::{Direction, Outcome, Saga, SagaPhase};
use serde_json::{Value, json};

use crate::{
    jobs::{self, all_of, job, job_of, jobs, words},
    pods::{SLEEP, ask, ask_by_gate, is_gone, one_step, pod, pod_of},
    stand::{Stand, names_its_child, outcomes, scope, still_in_effect},
};

/// Removes the owner references of an object.
fn takes_owner_off(stand: &Stand, object: &str) {
    let patch = json!([{"op": "remove", "path": "/metadata/ownerReferences"}]).to_string();
    stand.kubectl(&["patch", object, "--type=json", "-p", &patch]);
}

/// Creates a saga whose step calls the shop, and waits until the status names the child.
async fn begins(stand: &Stand, name: &str, spec: &Value) -> Saga {
    let saga = stand.apply(name, spec).await;
    stand.shop_has_done(&saga, "ship").await;
    stand.until(name, "the UID of its child", |saga| names_its_child(saga, "ship")).await;
    saga
}

fn waits() -> String {
    ask_by_gate("/shipping/shipments")
}

fn sleeps() -> String {
    format!("{}; {SLEEP}", ask("/shipping/shipments"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_operator_knows_an_orphan_by_its_uid_hears_of_its_end_and_can_stop_it() {
    let mut stand = Stand::with_pods("orphan").await;
    stand.start();
    let (of_pod, of_job) = (
        begins(&stand, "pod", &one_step(&pod(&waits()), &json!({}))).await,
        begins(&stand, "job", &jobs::one_step(&job(&waits()), &json!({}))).await,
    );
    let late = begins(&stand, "late", &one_step(&pod(&sleeps()), &json!({}))).await;
    stand.kill();
    for (saga, kind) in [(&of_pod, "pod"), (&late, "pod"), (&of_job, "job")] {
        let name = if kind == "pod" { pod_of } else { job_of }(saga, "ship", Direction::Action, 1);
        takes_owner_off(&stand, &format!("{kind}/{name}"));
    }
    stand.start();
    stand.ask("late", "saga.dev/cancel=the wrong parcel");
    let saga = stand.reaches("late", SagaPhase::Cancelled).await;
    assert_eq!(
        (outcomes(&saga, "ship"), still_in_effect(&saga)),
        (vec![Outcome::Unknown], vec!["ship"]),
        "{}",
        words(&saga)
    );
    is_gone(&stand, &pod_of(&late, "ship", Direction::Action, 1)).await;
    stand.gate.open();
    // The time limit of an hour has not passed. Their label lets the operator see their end.
    for name in ["pod", "job"] {
        let saga = stand.reaches(name, SagaPhase::Completed).await;
        assert_eq!(outcomes(&saga, "ship"), [Outcome::Succeeded], "{name}");
        assert_eq!(stand.shop.summary(&scope(&saga)).done, ["ship"], "{name}");
    }
}

/// Deletes a Job without its pod, which continues to run. Returns the pod.
async fn leaves_its_pods(stand: &Stand, saga: &Saga) -> Pod {
    stand.kubectl(&[
        "delete",
        "job",
        &job_of(saga, "ship", Direction::Action, 1),
        "--cascade=orphan",
    ]);
    let [pod]: [Pod; 1] = stand.pods_of(&saga.name_any()).await.try_into().unwrap();
    assert!(
        pod.owner_references().is_empty() && pod.metadata.deletion_timestamp.is_none(),
        "{pod:?}"
    );
    pod
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_goes_without_its_pods_ends_with_them_and_one_that_goes_with_them_as_ever() {
    let mut stand = Stand::with_pods("job-orphan").await;
    stand.start();
    let (finite, endless) = (job(&waits()), job(&sleeps()));
    let ends = begins(&stand, "ends", &jobs::one_step(&finite, &json!({}))).await;
    let says_no = begins(
        &stand,
        "says-no",
        &jobs::one_step(&job(&format!("{}; exit 3", waits())), &json!({})),
    )
    .await;
    let deleted = begins(&stand, "deleted", &jobs::one_step(&finite, &json!({}))).await;
    let late = begins(&stand, "late", &jobs::one_step(&endless, &json!({"timeout": "45s"}))).await;
    let cancelled = begins(&stand, "cancelled", &jobs::one_step(&endless, &json!({}))).await;
    let foreground = begins(&stand, "foreground", &jobs::one_step(&endless, &json!({}))).await;
    let mut left = Vec::new();
    for saga in [&ends, &says_no, &deleted, &late, &cancelled] {
        left.push(leaves_its_pods(&stand, saga).await.name_any());
    }
    jobs(&stand)
        .delete(&job_of(&foreground, "ship", Direction::Action, 1), &DeleteParams::foreground())
        .await
        .unwrap();
    stand.ask("cancelled", "saga.dev/cancel=the wrong parcel");
    let cancelled = stand.reaches("cancelled", SagaPhase::Cancelled).await;
    assert_eq!(
        (outcomes(&cancelled, "ship"), still_in_effect(&cancelled)),
        (vec![Outcome::Unknown], vec!["ship"])
    );
    let late = stand.reaches("late", SagaPhase::Compensated).await;
    assert_eq!(outcomes(&late, "ship"), [Outcome::Unknown]);
    assert!(words(&late).starts_with("did not end within its time limit ("), "{}", words(&late));
    for pod in &left[3..] {
        is_gone(&stand, pod).await;
    }
    // The Job and its pod are deleted in either order: the pod received SIGTERM.
    let foreground = stand.reaches("foreground", SagaPhase::Compensated).await;
    assert_eq!(outcomes(&foreground, "ship"), [Outcome::Unknown]);
    assert!(
        words(&foreground).starts_with("was ended with exit code 143"),
        "{}",
        words(&foreground)
    );
    stand.delete("deleted").await;
    stand.gate.open();
    stand.gone("deleted").await;
    assert_eq!(stand.shop.summary(&scope(&deleted)).undone, ["ship"]);
    let ends = stand.reaches("ends", SagaPhase::Completed).await;
    assert_eq!(outcomes(&ends, "ship"), [Outcome::Succeeded], "its pod was not told to go");
    let says_no = stand.reaches("says-no", SagaPhase::Compensated).await;
    assert_eq!(outcomes(&says_no, "ship"), [Outcome::Failed]);
    assert!(words(&says_no).starts_with("exit code 3 (Error)"), "{}", words(&says_no));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_operator_finds_the_pods_of_a_job_that_is_gone_and_waits_for_their_end() {
    let mut stand = Stand::with_pods("job-orphans").await;
    stand.start();
    let saga = begins(&stand, "order", &jobs::one_step(&job(&waits()), &json!({}))).await;
    stand.kill();
    let pod = leaves_its_pods(&stand, &saga).await;
    // Without these labels the watch does not show the pod.
    stand.kubectl(&[
        "label",
        "pod",
        &pod.name_any(),
        "app.kubernetes.io/managed-by-",
        "saga.dev/saga-",
    ]);
    stand.start();
    stand.meanwhile("other").await;
    let told = stand.until("order", "looked at", |saga| names_its_child(saga, "ship")).await;
    assert_eq!(
        told.status.and_then(|status| status.phase),
        Some(SagaPhase::Running),
        "its pod runs"
    );
    stand.gate.open();
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    assert_eq!(
        (outcomes(&saga, "ship"), still_in_effect(&saga)),
        (vec![Outcome::Unknown], vec![]),
        "{}",
        words(&saga)
    );
    assert_eq!(
        stand.shop.summary(&scope(&saga)).undone,
        ["ship"],
        "nobody can tell any more what its Job wanted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_somebody_keeps_though_it_is_deleted_ends_when_nothing_of_it_runs() {
    let mut stand = Stand::with_pods("job-kept").await;
    stand.start();
    let saga = begins(&stand, "order", &jobs::one_step(&job(&sleeps()), &json!({}))).await;
    let name = job_of(&saga, "ship", Direction::Action, 1);
    let keep = |finalizers: Value| Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    jobs(&stand)
        .patch(&name, &PatchParams::default(), &keep(json!(["tests.example.com/keep"])))
        .await
        .unwrap();
    // With background deletion, the pods are deleted after the Job is removed. This Job is never
    // removed.
    jobs(&stand).delete(&name, &DeleteParams::background()).await.unwrap();
    stand.ask("order", "saga.dev/cancel=the wrong parcel");
    let saga = stand.reaches("order", SagaPhase::Cancelled).await;
    assert_eq!(
        (outcomes(&saga, "ship"), still_in_effect(&saga)),
        (vec![Outcome::Unknown], vec!["ship"])
    );
    assert!(words(&saga).contains("was ended with exit code 143"), "{}", words(&saga));
    assert!(stand.pods_of("order").await.is_empty(), "what ran was stopped");
    let [kept] = all_of(&stand, "order").await.try_into().unwrap();
    assert!(kept.metadata.deletion_timestamp.is_some(), "its keeper keeps it");
    jobs(&stand).patch(&name, &PatchParams::default(), &keep(json!(null))).await.unwrap();
}
