//! Acts in which the leader stops or dies while a saga runs.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use saga_operator::api::{Outcome, Saga, SagaPhase};
use serde_json::json;

use crate::{
    crash::judge,
    stand::{Stand, checkout, outcomes, post_by_gate, setting},
    tools::{NAMESPACE, kubectl, kubectl_json, pods, run, until, until_within},
};

/// The longest time without a leader.
const FAILOVER: Duration = Duration::from_secs(20);

/// Returns the holder of the leader's Lease. The identity begins with the name of its pod.
fn leader() -> Option<String> {
    let lease = kubectl_json(&["get", "lease", "saga-operator-leader", "--namespace", NAMESPACE]);
    lease["spec"]["holderIdentity"].as_str().filter(|holder| !holder.is_empty()).map(str::to_owned)
}

/// Waits until two pods are ready and one of them leads. Returns the leader.
async fn two_of_which_one_leads() -> String {
    kubectl(&[
        "rollout",
        "status",
        "deployment/saga-operator",
        "--namespace",
        NAMESPACE,
        "--timeout",
        "2m",
    ]);
    until("two pods", || (pods().len() == 2).then_some(())).await;
    until("a leader", leader).await
}

/// Creates a saga and returns it when an operator waits for the answer to the charge.
async fn order(stand: &Stand) -> Saga {
    let mut spec = checkout();
    spec["steps"][1]["http"] = post_by_gate("/payments/charges");
    let saga = stand.apply("order", &spec).await;
    stand.shop_has_done(&saga, "charge-card").await;
    saga
}

/// Removes the leader's pod by `take_away` while a saga runs, and waits until another replica
/// leads.
async fn hand_over(stand: &Stand, take_away: fn(&str)) {
    let first = two_of_which_one_leads().await;
    order(stand).await;
    let (pod, _) = first.split_once('_').expect("the identity begins with the pod's name");
    let begun = Instant::now();
    take_away(pod);
    until_within(FAILOVER, "another replica leads", || leader().filter(|next| *next != first))
        .await;
    println!("e2e: another replica leads after {:.1} s", begun.elapsed().as_secs_f64());
}

/// Kills the process with SIGKILL, as a node does when it runs out of memory: the process can do
/// nothing more.
fn kill(pod: &str) {
    let pod = kubectl_json(&["get", "pod", pod, "--namespace", NAMESPACE]);
    let container = pod["status"]["containerStatuses"][0]["containerID"]
        .as_str()
        .unwrap()
        .trim_start_matches("containerd://")
        .to_owned();
    let socket = setting("SAGA_E2E_CONTAINERD");
    run(Command::new("ctr").args([
        "--address",
        &socket,
        "--namespace",
        "k8s.io",
        "tasks",
        "kill",
        "--signal",
        "SIGKILL",
        &container,
    ]));
}

/// Deletes the pod, as a user or a drain of its node does.
fn delete(pod: &str) {
    kubectl(&["delete", "pod", pod, "--namespace", NAMESPACE, "--wait=false"]);
}

pub async fn one_that_is_killed_in_mid_saga_is_followed_within_twenty_seconds() {
    let stand = Stand::with_pods("leader-dies").await;
    hand_over(&stand, kill).await;
    stand.gate.open();
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    judge(&stand, &saga, false);
    assert_eq!(outcomes(&saga, "charge-card"), [Outcome::Unknown, Outcome::Succeeded]);
    two_of_which_one_leads().await;
}

pub async fn one_whose_pod_is_deleted_in_mid_saga_hands_over_and_loses_nothing() {
    let stand = Stand::with_pods("leader-stops").await;
    hand_over(&stand, delete).await;
    // The terminating replica still waits for its answer, and the new leader already works.
    stand.apply("meanwhile", &json!({"steps": [{"name": "nap", "wait": {"for": "1s"}}]})).await;
    stand.reaches("meanwhile", SagaPhase::Completed).await;
    stand.gate.open();
    let saga = stand.reaches("order", SagaPhase::Completed).await;
    judge(&stand, &saga, false);
    assert_eq!(outcomes(&saga, "charge-card"), [Outcome::Succeeded]);
    two_of_which_one_leads().await;
}
