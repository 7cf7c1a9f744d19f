#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]
#![allow(clippy::wildcard_enum_match_arm, reason = "no other state comes of a Job")]
#![allow(clippy::needless_pass_by_value, reason = "fixtures are put together from values")]

mod deletion;
mod pods;
mod verdicts;

use serde_json::json;

use super::*;
use crate::objects::job;
use crate::objects::pod;
use std::sync::Arc;

/// A plain Job of one pod, with conditions.
fn job(conditions: &[&str]) -> Value {
    let conditions: Vec<_> = conditions
        .iter()
        .map(|type_| {
            json!({
                "type": type_, "status": "True", "reason": "BackoffLimitExceeded",
                "message": "reached the limit",
            })
        })
        .collect();
    let template = json!({"spec": {"restartPolicy": "Never", "containers": []}});
    json!({
        "metadata": {"name": "j", "uid": "job"}, "spec": {"backoffLimit": 0, "template": template},
        "status": {"conditions": conditions},
    })
}

/// A Job of three indexed pods.
fn indexed(conditions: &[&str]) -> Value {
    let mut job = job(conditions);
    job["spec"]["completions"] = json!(3);
    job["spec"]["parallelism"] = json!(3);
    job["spec"]["completionMode"] = json!("Indexed");
    job
}

fn changed(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[name] = value;
    object
}

fn deleted(object: Value) -> Value {
    changed(object, "/metadata/deletionTimestamp", json!("2026-03-01T10:00:00Z"))
}

/// The pod with this index, on node `n1`.
fn pod(index: u32, phase: &str, state: Value) -> Value {
    let owner = json!({
        "apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "job", "controller": true,
    });
    let labels = json!({
        "app.kubernetes.io/managed-by": "saga-operator",
        "batch.kubernetes.io/job-completion-index": index.to_string(),
    });
    let container = json!({
        "name": "step", "image": "a", "imageID": "", "ready": false, "restartCount": 0,
        "state": state,
    });
    json!({
        "metadata": {
            "name": format!("j-{index}"), "uid": format!("p{index}"), "labels": labels,
            "ownerReferences": [owner], "annotations": {"saga.dev/container": "step"},
            "creationTimestamp": format!("2026-03-01T09:00:0{index}Z"),
        },
        "spec": {"containers": [], "nodeName": "n1"},
        "status": {"phase": phase, "containerStatuses": [container]},
    })
}

fn exited(index: u32, code: i32, message: &str) -> Value {
    let phase = if code == 0 { "Succeeded" } else { "Failed" };
    let end = json!({
        "exitCode": code, "reason": "Error", "message": message,
        "startedAt": "2026-03-01T09:00:00Z",
    });
    pod(index, phase, json!({"terminated": end}))
}

fn running(index: u32) -> Value {
    pod(index, "Running", json!({"running": {}}))
}

/// A pod that no node took, and that is no more.
fn never_bound(index: u32) -> Value {
    let mut pod = deleted(pod(index, "Pending", json!({"waiting": {"reason": "PodInitializing"}})));
    pod["spec"]["nodeName"].take();
    pod["status"]["containerStatuses"] = json!([]);
    pod
}

fn job_pods(pods: &[Value], gone: &[Value]) -> KnownPods {
    let all = |pods: &[Value]| {
        pods.iter().map(|pod| Arc::new(serde_json::from_value(pod.clone()).unwrap())).collect()
    };
    KnownPods { pods: all(pods), gone: all(gone), lost: false, whole: true }
}

fn read(job: Value) -> Job {
    serde_json::from_value(job).unwrap()
}

fn told(state: &ChildState) -> String {
    match state {
        ChildState::Active { detail, trouble, .. } => {
            format!(
                "active: {detail}{}",
                trouble.map(|it| format!(" [{}]", it.as_str())).unwrap_or_default()
            )
        }
        ChildState::Ended(End::Succeeded(outputs)) => format!("succeeded: {}", json!(outputs)),
        ChildState::Ended(End::Failed(Failure {
            reached, exit_code, disrupted, message, ..
        })) => {
            format!(
                "{reached:?} {exit_code:?}{}: {message}",
                if *disrupted { " disrupted" } else { "" }
            )
        }
        ChildState::Ended(End::Unknown { message, .. }) => format!("unknown: {message}"),
        other => panic!("{other:?}"),
    }
}

/// What is kept of a Job and of its pods.
fn stripped(mut job: Job, mut job_pods: KnownPods) -> (Job, KnownPods) {
    job::strip::strip(&mut job);
    for pod in job_pods.pods.iter_mut().chain(&mut job_pods.gone) {
        pod::strip::strip(Arc::make_mut(pod));
    }
    (job, job_pods)
}

/// The state of a Job, the same of what is kept of it and of its pods.
fn seen(job: Value, job_pods: KnownPods) -> String {
    let job = read(job);
    let state = told(&super::state(&job, &job_pods, Duration::ZERO));
    let (small, kept) = stripped(job, job_pods);
    assert_eq!(told(&super::state(&small, &kept, Duration::ZERO)), state, "stripped");
    state
}

/// How a Job ended that is gone, by its last copy, the same of what is kept of it and of its pods.
fn ended(last: Value, job_pods: KnownPods) -> Option<String> {
    let last = read(last);
    let end = gone(&last, &job_pods).map(|end| told(&end.into()));
    let (small, kept) = stripped(last, job_pods);
    assert_eq!(gone(&small, &kept).map(|end| told(&end.into())), end, "stripped");
    end
}

#[test]
fn the_end_of_the_only_pod_of_a_plain_job_decides_at_once() {
    let of = |pod: Value| seen(job(&[]), job_pods(&[pod], &[]));
    assert_eq!(of(exited(0, 0, r#"{"a": 1}"#)), r#"succeeded: {"a":1}"#);
    assert_eq!(
        of(exited(0, 3, "no such order")),
        "Answer Some(3): exit code 3 (Error): no such order"
    );
    assert_eq!(of(running(0)), "active: runs on node n1");
    let evicted = changed(exited(0, 137, ""), "/status/reason", json!("Evicted"));
    assert!(of(evicted).starts_with("unknown: was ended with exit code 137"));
}

#[test]
fn of_any_other_job_the_end_of_a_pod_decides_nothing() {
    let more = [
        ("/spec/backoffLimit", json!(1)),
        ("/spec/completions", json!(2)),
        ("/spec/parallelism", json!(2)),
        ("/spec/suspend", json!(true)),
        ("/spec/podFailurePolicy", json!({"rules": []})),
        ("/spec/template/spec/restartPolicy", json!("OnFailure")),
    ];
    for (pointer, value) in more {
        for code in [0, 3] {
            let state = seen(
                changed(job(&[]), pointer, value.clone()),
                job_pods(&[exited(0, code, "")], &[]),
            );
            assert!(state.starts_with("active: "), "{pointer} {value}: {state}");
        }
    }
}

#[test]
fn a_pod_that_is_taken_away_while_its_job_is_suspended_or_goes_on_decides_nothing() {
    for code in [0, 3, 143] {
        let leaving = || job_pods(&[deleted(exited(0, code, ""))], &[]);
        assert!(seen(job(&[]), leaving()).starts_with("active: "), "{code}");
        assert_eq!(
            seen(changed(job(&[]), "/spec/suspend", json!(true)), leaving()),
            "active: is suspended",
            "{code}"
        );
    }
    // Another one takes its place when the Job goes on.
    assert_eq!(
        seen(job(&[]), job_pods(&[exited(1, 0, "")], &[deleted(exited(0, 143, ""))])),
        "active: waits for its pods"
    );
}

#[test]
fn nothing_that_is_stored_makes_it_panic() {
    let odd = json!({"metadata": {}, "status": {
        "conditions": [{"type": "Failed", "status": "\u{0}True\n"}],
        "failed": -1, "succeeded": i32::MIN,
    }});
    assert!(
        seen(odd, job_pods(&[json!({"metadata": {}})], &[json!({"metadata": {}})]))
            .starts_with("unknown: ")
    );
}
