//! Tests of programs that exit with 0 on SIGTERM, and of programs that had finished before.

use std::time::Duration;

use k8s_openapi::{
    api::{batch::v1::Job, core::v1::Pod},
    jiff::Timestamp,
};
use kube::{
    ResourceExt,
    api::{DeleteParams, EvictParams, Patch, PatchParams},
    runtime::wait::await_condition,
};
use saga_operator::api::{Direction, Outcome, Saga, SagaPhase};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    jobs::{self, job, job_of, job_with, words},
    pods::{ask, ask_by_gate, one_step, pod, pod_of},
    stand::{PATIENCE, Stand, names_its_child, outcomes, scope, still_in_effect},
};

const KEEPER: &str = "tests.example.com/keep";

/// Returns a program that does this work, and then exits with 0 on SIGTERM. The trap is set first:
/// a signal before the trap would be lost.
fn yields(work: &str) -> String {
    format!("trap 'exit 0' TERM; {work}; sleep 300 & wait")
}

/// Returns the same program. On SIGTERM, it first runs `last`.
fn leaves(work: &str, last: &str) -> String {
    format!("leave() {{ {last}; exit 0; }}; trap leave TERM; {work}; sleep 300 & wait")
}

/// Returns the same work with `finishesOnSigterm`: its author says that exit code 0 always means
/// done.
fn finishes(mut work: Value) -> Value {
    work["finishesOnSigterm"] = json!(true);
    work
}

/// Returns the same work with a grace period that is long enough for a busy machine.
fn finishes_late(mut work: Value) -> Value {
    work["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(PATIENCE.as_secs());
    work
}

/// Asserts that the saga continued as after an Unknown outcome: what the step may have done is
/// undone.
async fn is_unknown_and_undone(stand: &Stand, name: &str) {
    let saga = stand.reaches(name, SagaPhase::Compensated).await;
    assert_eq!(
        (outcomes(&saga, "ship"), still_in_effect(&saga)),
        (vec![Outcome::Unknown], vec![]),
        "{name}"
    );
    assert_eq!(stand.shop.summary(&scope(&saga)).undone, ["ship"], "{name}");
    assert!(
        words(&saga).contains("exit code 0 and may have done its work"),
        "{name}: {}",
        words(&saga)
    );
}

fn is(condition: &str, job: Option<&Job>) -> bool {
    let conditions =
        job.and_then(|job| job.status.as_ref()).and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|known| known.type_ == condition && known.status == "True")
}

/// Returns whether the Job controller has suspended the Job.
fn is_suspended(job: Option<&Job>) -> bool {
    is("Suspended", job)
}

/// Returns whether the Job controller has counted the only pod of the Job as failed. That pod may
/// continue to run for a while.
fn is_to_fail(job: Option<&Job>) -> bool {
    is("FailureTarget", job)
}

async fn is_done(stand: &Stand, name: &str) {
    let saga = stand.reaches(name, SagaPhase::Completed).await;
    assert_eq!(outcomes(&saga, "ship"), [Outcome::Succeeded], "{name}");
    assert!(stand.shop.summary(&scope(&saga)).undone.is_empty(), "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_told_to_go_that_exits_with_0_may_be_half_done_unless_its_author_says_otherwise() {
    let mut stand = Stand::with_pods("told").await;
    stand.start();
    let work = pod(&yields(&ask("/shipping/shipments")));
    let (at_once, never) = (json!({"timeout": "10s"}), json!({}));
    let stories = [
        ("late", work.clone(), &at_once),
        ("deleted", work.clone(), &never),
        ("drained", work.clone(), &never),
    ];
    let stories = stories.into_iter().chain([
        ("finishes", finishes(work.clone()), &at_once),
        ("drained-done", finishes(work), &never),
    ]);
    for (name, work, more) in stories {
        let saga = stand.apply(name, &one_step(&work, more)).await;
        stand.shop_has_done(&saga, "ship").await;
        let pod = pod_of(&saga, "ship", Direction::Action, 1);
        if name == "deleted" {
            stand.pods().delete(&pod, &DeleteParams::default()).await.unwrap();
        } else if name.starts_with("drained") {
            stand.pods().evict(&pod, &EvictParams::default()).await.unwrap();
        }
    }
    for name in ["late", "deleted", "drained"] {
        is_unknown_and_undone(&stand, name).await;
    }
    for name in ["finishes", "drained-done"] {
        is_done(&stand, name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_told_to_end_is_not_done_by_how_its_pods_then_end_but_a_drain_is_its_business() {
    let mut stand = Stand::with_pods("told-job").await;
    stand.start();
    let command = yields(&ask("/shipping/shipments"));
    let work = job(&command);
    // Otherwise a pod counts as failed as soon as it is deleted.
    let waits = job_with(&command, &json!({"podReplacementPolicy": "Failed"}));
    // The program ends only after the Job controller has counted its pod as failed. If the Job
    // controller first saw that the pod exited with 0, the pod would count as succeeded, even after
    // an eviction.
    let late = finishes_late(job(&leaves(
        &ask("/shipping/shipments"),
        &ask_by_gate("/shipping/shipments"),
    )));
    let (at_once, never) = (json!({"timeout": "10s"}), json!({}));
    let stories = [
        ("late", work.clone(), &at_once),
        ("deleted", waits.clone(), &never),
        ("suspended", waits.clone(), &never),
        ("drained", late, &never),
        ("drained-and-counted", waits, &never),
        ("finishes", finishes(work), &at_once),
    ];
    for (name, work, more) in stories {
        let saga = stand.apply(name, &jobs::one_step(&work, more)).await;
        stand.shop_has_done(&saga, "ship").await;
        let (api, job) = (jobs::jobs(&stand), job_of(&saga, "ship", Direction::Action, 1));
        match name {
            "deleted" => _ = api.delete(&job, &DeleteParams::foreground()).await.unwrap(),
            "suspended" => {
                let patch = Patch::Merge(json!({"spec": {"suspend": true}}));
                api.patch(&job, &PatchParams::default(), &patch).await.unwrap();
            }
            "drained" | "drained-and-counted" => {
                let [pod]: [Pod; 1] = stand.pods_of(name).await.try_into().unwrap();
                stand.pods().evict(&pod.name_any(), &EvictParams::default()).await.unwrap();
                if name == "drained" {
                    timeout(PATIENCE, await_condition(api, &job, is_to_fail))
                        .await
                        .unwrap()
                        .unwrap();
                    stand.gate.open();
                }
            }
            _ => {}
        }
    }
    for name in ["late", "deleted", "drained"] {
        is_unknown_and_undone(&stand, name).await;
    }
    for name in ["drained-and-counted", "finishes"] {
        is_done(&stand, name).await;
    }
    // After the suspension, the Job would continue with another pod. Its first pod is no longer
    // known.
    let saga = stand.sagas().get("suspended").await.unwrap();
    let job = job_of(&saga, "ship", Direction::Action, 1);
    timeout(PATIENCE, await_condition(jobs::jobs(&stand), &job, is_suspended))
        .await
        .unwrap()
        .unwrap();
    stand.ask("suspended", "saga.dev/cancel=the wrong parcel");
    let suspended = stand.reaches("suspended", SagaPhase::Cancelled).await;
    assert_eq!(
        (outcomes(&suspended, "ship"), still_in_effect(&suspended)),
        (vec![Outcome::Unknown], vec!["ship"])
    );
}

/// Creates a saga whose Pod exits with 0 once the gate is open. A finalizer keeps the Pod although
/// it is deleted.
async fn kept_pod(stand: &Stand, name: &str) -> Saga {
    let saga =
        stand.apply(name, &one_step(&pod(&ask_by_gate("/shipping/shipments")), &json!({}))).await;
    stand.shop_has_done(&saga, "ship").await;
    stand.until(name, "the UID of its Pod", |saga| names_its_child(saga, "ship")).await;
    keep(stand, &saga, json!([KEEPER])).await;
    saga
}

async fn keep(stand: &Stand, saga: &Saga, finalizers: Value) {
    let patch = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    stand
        .pods()
        .patch(&pod_of(saga, "ship", Direction::Action, 1), &PatchParams::default(), &patch)
        .await
        .unwrap();
}

async fn delete(stand: &Stand, saga: &Saga) {
    stand
        .pods()
        .delete(&pod_of(saga, "ship", Direction::Action, 1), &DeleteParams::default())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_ended_just_before_its_deletion_is_done_where_both_are_seen_in_turn() {
    let mut stand = Stand::with_pods("before").await;
    stand.start();
    let saga = kept_pod(&stand, "order").await;
    // The operator sees the end and the deletion at once, and in their order.
    stand.freeze();
    stand.gate.open();
    stand.pods_end("order", 1).await;
    delete(&stand, &saga).await;
    stand.thaw();
    is_done(&stand, "order").await;
    keep(&stand, &saga, json!(null)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_pod_whose_end_nobody_saw_the_instants_say_whether_it_was_deleted_clearly_later() {
    let mut stand = Stand::with_pods("clearly").await;
    stand.start();
    let (soon, later) = (kept_pod(&stand, "soon").await, kept_pod(&stand, "later").await);
    stand.kill();
    stand.gate.open();
    stand.pods_end("soon", 1).await;
    delete(&stand, &soon).await;
    stand.pods_end("later", 1).await;
    let ended = stand.pods().get(&pod_of(&later, "ship", Direction::Action, 1)).await.unwrap();
    let ended = ended.status.unwrap().container_statuses.unwrap()[0]
        .state
        .clone()
        .unwrap()
        .terminated
        .unwrap()
        .finished_at
        .unwrap()
        .0;
    // Ten seconds may be the difference between two clocks.
    while Timestamp::now().duration_since(ended).as_secs() < 12 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    delete(&stand, &later).await;
    stand.start();
    is_done(&stand, "later").await;
    is_unknown_and_undone(&stand, "soon").await;
    for saga in [soon, later] {
        keep(&stand, &saga, json!(null)).await;
    }
}
