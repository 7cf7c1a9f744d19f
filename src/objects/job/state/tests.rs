#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]
#![allow(clippy::wildcard_enum_match_arm, reason = "no other state comes of a Job")]
#![allow(clippy::needless_pass_by_value, reason = "fixtures are put together from values")]

use serde_json::json;

use super::*;
use crate::objects::job;
use crate::objects::pod;

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

fn family(pods: &[Value], gone: &[Value]) -> Family {
    let all = |pods: &[Value]| {
        pods.iter().map(|pod| Arc::new(serde_json::from_value(pod.clone()).unwrap())).collect()
    };
    Family { pods: all(pods), gone: all(gone), lost: false, whole: true }
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
        ChildState::Succeeded(outputs) => format!("succeeded: {}", json!(outputs)),
        ChildState::Failed(Failure { reached, exit_code, disrupted, message, .. }) => {
            format!(
                "{reached:?} {exit_code:?}{}: {message}",
                if *disrupted { " disrupted" } else { "" }
            )
        }
        ChildState::Unknown { message, .. } => format!("unknown: {message}"),
        other => panic!("{other:?}"),
    }
}

/// What is kept of a Job and of its pods.
fn stripped(mut job: Job, mut family: Family) -> (Job, Family) {
    job::strip::strip(&mut job);
    for pod in family.pods.iter_mut().chain(&mut family.gone) {
        pod::strip::strip(Arc::make_mut(pod));
    }
    (job, family)
}

/// The state of a Job, the same of what is kept of it and of its pods.
fn seen(job: Value, family: Family) -> String {
    let job = read(job);
    let state = told(&super::state(&job, &family, Duration::ZERO));
    let (small, kept) = stripped(job, family);
    assert_eq!(told(&super::state(&small, &kept, Duration::ZERO)), state, "stripped");
    state
}

/// How a Job ended that is gone, by its last copy, the same of what is kept of it and of its pods.
fn ended(last: Value, family: Family) -> Option<String> {
    let last = read(last);
    let end = gone(&last, &family).as_ref().map(told);
    let (small, kept) = stripped(last, family);
    assert_eq!(gone(&small, &kept).as_ref().map(told), end, "stripped");
    end
}

#[test]
fn the_end_of_the_only_pod_of_a_plain_job_decides_at_once() {
    let of = |pod: Value| seen(job(&[]), family(&[pod], &[]));
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
                family(&[exited(0, code, "")], &[]),
            );
            assert!(state.starts_with("active: "), "{pointer} {value}: {state}");
        }
    }
}

#[test]
fn a_pod_that_is_taken_away_while_its_job_is_suspended_or_goes_on_decides_nothing() {
    for code in [0, 3, 143] {
        let leaving = || family(&[deleted(exited(0, code, ""))], &[]);
        assert!(seen(job(&[]), leaving()).starts_with("active: "), "{code}");
        assert_eq!(
            seen(changed(job(&[]), "/spec/suspend", json!(true)), leaving()),
            "active: is suspended",
            "{code}"
        );
    }
    // Another one takes its place when the Job goes on.
    assert_eq!(
        seen(job(&[]), family(&[exited(1, 0, "")], &[deleted(exited(0, 143, ""))])),
        "active: waits for its pods"
    );
}

#[test]
fn a_job_that_is_complete_hands_on_the_word_of_one_pod() {
    let all = [exited(0, 0, r#"{"part": 0}"#), exited(1, 0, r#"{"part": 1}"#), exited(2, 0, "")];
    for complete in
        [["Complete"].as_slice(), &["SuccessCriteriaMet"], &["SuccessCriteriaMet", "Complete"]]
    {
        assert_eq!(seen(indexed(complete), family(&all, &[])), r#"succeeded: {"part":0}"#);
    }
    let plain = changed(indexed(&["Complete"]), "/spec/completionMode", json!("NonIndexed"));
    assert_eq!(
        seen(plain.clone(), family(&all, &[])),
        "succeeded: null",
        "nobody knows which one is meant"
    );
    assert!(!wants_pods(&read(plain), &Family::default()));
    // One that failed and was tried again.
    let again = changed(job(&["Complete"]), "/spec/backoffLimit", json!(2));
    assert_eq!(
        seen(again, family(&[exited(0, 3, ""), exited(1, 0, r#"{"try": 2}"#)], &[])),
        r#"succeeded: {"try":2}"#
    );
    let workers = changed(job(&["Complete"]), "/spec/parallelism", json!(2));
    assert_eq!(
        seen(workers, family(&[exited(0, 0, "done"), exited(1, 0, r#"{"it": 1}"#)], &[])),
        r#"succeeded: {"it":1}"#
    );
}

#[test]
fn nothing_is_settled_while_a_pod_runs_unless_the_job_has_finished() {
    let some = || family(&[exited(0, 3, "no"), running(1)], &[]);
    assert_eq!(
        seen(indexed(&["FailureTarget"]), some()),
        "active: fails; the end of its pods is awaited"
    );
    assert_eq!(
        seen(indexed(&["SuccessCriteriaMet"]), some()),
        "active: succeeds; the end of its pods is awaited"
    );
    assert_eq!(
        seen(indexed(&["FailureTarget", "Failed"]), some()),
        "Work Some(3): pod j-0: exit code 3 (Error): no"
    );
}

#[test]
fn a_job_that_failed_is_told_of_by_its_newest_pod_that_said_no_by_itself() {
    let failed = |pods: &[Value], gone: &[Value]| seen(indexed(&["Failed"]), family(pods, gone));
    assert_eq!(
        failed(&[exited(0, 3, "a"), exited(1, 4, "b"), exited(2, 0, "")], &[]),
        "Work Some(4): pod j-1: exit code 4 (Error): b"
    );
    // What one of them says counts for the key that they share only where all that started say the
    // same.
    assert_eq!(
        failed(&[exited(0, 3, "a"), exited(1, 3, "b")], &[never_bound(2)]),
        "Answer Some(3): pod j-1: exit code 3 (Error): b"
    );
    let lost = Family { lost: true, ..family(&[exited(0, 3, "a")], &[]) };
    assert_eq!(seen(indexed(&["Failed"]), lost), "Work Some(3): pod j-0: exit code 3 (Error): a");
    // Those that the Job ended for it are no answers.
    assert_eq!(
        failed(&[exited(0, 3, "a"), deleted(exited(1, 143, ""))], &[deleted(exited(2, 143, ""))]),
        "Work Some(3): pod j-0: exit code 3 (Error): a"
    );
    assert!(
        failed(&[deleted(exited(1, 143, ""))], &[])
            .starts_with("unknown: was ended with exit code 143")
    );
    let counted = changed(indexed(&["Failed"]), "/status/failed", json!(1));
    assert_eq!(
        seen(counted, Family { whole: true, ..Family::default() }),
        "unknown: BackoffLimitExceeded: reached the limit"
    );
    let lost = Family { lost: true, ..family(&[], &[never_bound(0)]) };
    assert_eq!(
        seen(indexed(&["Failed"]), lost),
        "unknown: BackoffLimitExceeded: reached the limit"
    );
    assert!(failed(&[], &[never_bound(0)]).starts_with("Nothing None: was bound to no node"));
    assert_eq!(failed(&[], &[]), "Nothing None: BackoffLimitExceeded: reached the limit");
    let half = changed(indexed(&["Failed"]), "/status/succeeded", json!(1));
    assert!(
        seen(half, family(&[exited(0, 0, "")], &[never_bound(1)])).starts_with("unknown: "),
        "one part is done"
    );
    let taint =
        json!([{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}]);
    let disrupted = changed(never_bound(0), "/status/conditions", taint);
    assert!(failed(&[], &[disrupted]).starts_with("Nothing None disrupted: was bound to no node"));
}

/// With a verdict of this instant, and a deletion at 10:00:00.
fn deleted_after_its_verdict(verdict: &str, at: &str) -> Value {
    deleted(changed(
        job(&[]),
        "/status/conditions",
        json!([{"type": verdict, "status": "True", "lastTransitionTime": at}]),
    ))
}

#[test]
fn a_job_that_was_told_to_end_is_done_only_where_its_pods_were_before_they_were_told() {
    let on_sigterm = || deleted(exited(0, 0, r#"{"half": true}"#));
    let may_be = "unknown: was ended with exit code 0 and may have done its work";
    let late = || deleted_after_its_verdict("Complete", "2026-03-01T09:59:50Z");
    assert!(seen(late(), family(&[on_sigterm()], &[])).starts_with(may_be));
    assert!(ended(late(), family(&[], &[on_sigterm()])).unwrap().starts_with(may_be));
    assert!(
        ended(deleted(job(&[])), family(&[], &[on_sigterm()])).unwrap().starts_with(may_be),
        "its last copy may know of nothing"
    );
    assert_eq!(
        seen(late(), Family::default()),
        "unknown: was told to end before it was done, and its pods may have done their work"
    );
    assert_eq!(
        seen(late(), family(&[exited(0, 0, "")], &[])),
        "succeeded: null",
        "the pod was not told"
    );
    assert_eq!(seen(late(), family(&[running(0)], &[])), "active: is being deleted");
    // The Job, and so its pods, had ended before.
    let early = || deleted_after_its_verdict("Complete", "2026-03-01T09:59:49Z");
    assert_eq!(seen(early(), family(&[on_sigterm()], &[])), r#"succeeded: {"half":true}"#);
    let annotations = json!({"saga.dev/container": "step", "saga.dev/finishes-on-sigterm": "true"});
    let said = changed(on_sigterm(), "/metadata/annotations", annotations);
    assert_eq!(
        seen(late(), family(&[said], &[])),
        r#"succeeded: {"half":true}"#,
        "its author says so"
    );
    // A drain is not told to the Job: what it counts is its business.
    assert_eq!(
        seen(job(&["Complete"]), family(&[on_sigterm()], &[])),
        r#"succeeded: {"half":true}"#
    );
    // Suspended, it counts what its pods are told to end with.
    let suspended = || job(&["Suspended", "Complete"]);
    assert!(seen(suspended(), family(&[on_sigterm()], &[])).starts_with(may_be));
    assert_eq!(seen(suspended(), family(&[exited(0, 0, "")], &[])), "succeeded: null");
    let some = family(&[exited(0, 0, ""), exited(1, 0, ""), deleted(exited(2, 0, ""))], &[]);
    assert!(seen(indexed(&["Suspended", "Complete"]), some).starts_with(may_be), "two of three");
    assert!(
        wants_pods(&read(suspended()), &family(&[on_sigterm()], &[])),
        "those that are known may be old"
    );
}

#[test]
fn a_job_that_was_seen_to_finish_stays_so_whoever_deletes_or_suspends_it_later() {
    for (verdict, later) in
        [("Complete", deleted(job(&["Complete"]))), ("Failed", deleted(job(&["Failed"])))]
    {
        let (mut before, mut after) = (read(job(&[verdict])), read(later));
        job::strip::strip(&mut before);
        job::strip::strip(&mut after);
        let untouched = after.clone();
        let mut goes_on = read(job(&[]));
        job::strip::strip(&mut goes_on);
        job::strip::keep_end(&mut after, None);
        job::strip::keep_end(&mut after, Some(&goes_on));
        assert_eq!(after, untouched);
        let pods = || {
            family(
                &[],
                &[if verdict == "Complete" {
                    deleted(exited(0, 0, ""))
                } else {
                    exited(0, 3, "no")
                }],
            )
        };
        job::strip::keep_end(&mut after, Some(&before));
        let expected = if verdict == "Complete" {
            "succeeded: null"
        } else {
            "Answer Some(3): exit code 3 (Error): no"
        };
        assert_eq!(gone(&after, &pods()).as_ref().map(told).as_deref(), Some(expected));
    }
}

#[test]
fn the_pods_of_a_job_that_let_go_of_them_end_it_by_their_own_word() {
    // `kubectl delete job --cascade=orphan`: the last copy of the Job says nothing of an end, and
    // its pods were not told to go.
    assert_eq!(
        ended(job(&[]), family(&[exited(0, 0, r#"{"a": 1}"#)], &[])).unwrap(),
        r#"succeeded: {"a":1}"#
    );
    assert_eq!(
        ended(job(&[]), family(&[exited(0, 3, "no")], &[])).unwrap(),
        "Answer Some(3): exit code 3 (Error): no"
    );
    let all = [exited(0, 0, r#"{"part": 0}"#), exited(1, 0, ""), exited(2, 0, "")];
    assert_eq!(ended(indexed(&[]), family(&all, &[])).unwrap(), r#"succeeded: {"part":0}"#);
    assert!(
        ended(indexed(&[]), family(&all[..2], &[])).unwrap().starts_with("unknown: "),
        "one part was never made"
    );
    let twice = [
        exited(0, 0, ""),
        changed(exited(0, 0, ""), "/metadata/uid", json!("p9")),
        exited(1, 0, ""),
    ];
    assert!(ended(indexed(&[]), family(&twice, &[])).unwrap().starts_with("unknown: "));
}

#[test]
fn what_a_live_read_shows_of_pods_replaces_what_was_known_of_them() {
    let family = || family(&[running(0), exited(1, 0, ""), running(2)], &[exited(3, 3, "")]);
    let pods = |pods: Vec<Value>| {
        pods.into_iter().map(|pod| serde_json::from_value(pod).unwrap()).collect::<Vec<Pod>>()
    };
    let names = |pods: &[Arc<Pod>]| {
        pods.iter().map(|pod| pod.metadata.name.clone().unwrap()).collect::<Vec<_>>().join(" ")
    };
    let Family { pods: there, gone, lost, .. } =
        family().as_listed(pods(vec![exited(0, 0, ""), running(2), running(3)]), false);
    assert_eq!(
        (names(&there).as_str(), names(&gone).as_str(), lost),
        ("j-0 j-2 j-3", "j-1", false),
        "j-1 had ended"
    );
    let unseen = family().as_listed(pods(vec![running(2)]), false);
    assert!(unseen.lost && !family().lost, "nobody saw how j-0 went");
    assert!(
        family().as_listed(pods(vec![running(0), running(2)]), true).lost,
        "there are more than were read"
    );
    let shown = || vec![Arc::new(serde_json::from_value(exited(0, 0, "")).unwrap())];
    // To the watch it is gone, too, once it lost its label.
    for known in [
        Family { pods: shown(), ..Family::default() },
        Family { gone: shown(), ..Family::default() },
    ] {
        let Family { pods, gone, .. } =
            known.as_listed(pods(vec![deleted(exited(0, 0, ""))]), false);
        let [still] = pods.try_into().unwrap();
        assert!(
            matches!(pod::state::state(&still, Duration::ZERO), ChildState::Succeeded(_)),
            "it ended before it was told to go"
        );
        assert!(gone.is_empty());
    }
}

#[test]
fn the_end_by_a_signal_of_the_only_pod_is_held_up_by_what_runs_beside_it() {
    let crashed = || {
        let mut pod = pod(
            0,
            "Running",
            json!({"terminated": {
                "exitCode": 139, "reason": "Error", "startedAt": "2026-03-01T09:00:00Z",
            }}),
        );
        pod["status"]["containerStatuses"].as_array_mut().unwrap().push(json!({
            "name": "proxy", "image": "a", "imageID": "", "ready": true, "restartCount": 0,
            "state": {"running": {}},
        }));
        pod
    };
    let held = |job: Value, pods: &[Value]| {
        held_up(&read(job), &family(pods, &[])).map(|(end, _)| told(&end))
    };
    assert!(
        seen(job(&[]), family(&[crashed()], &[])).starts_with("active: has exited with code 139")
    );
    assert_eq!(
        held(job(&[]), &[crashed()]).as_deref(),
        Some("Answer Some(139): exit code 139 (Error)")
    );
    assert_eq!(held(changed(job(&[]), "/spec/backoffLimit", json!(1)), &[crashed()]), None);
    assert_eq!(held(changed(job(&[]), "/spec/suspend", json!(true)), &[crashed()]), None);
    assert_eq!(held(deleted(job(&[])), &[crashed()]), None);
    assert_eq!(held(job(&[]), &[deleted(crashed())]), None);
}

#[test]
fn a_job_that_is_being_deleted_only_succeeds() {
    assert_eq!(
        seen(deleted(job(&[])), family(&[exited(0, 3, "")], &[])),
        "active: is being deleted"
    );
    assert_eq!(
        seen(deleted(job(&["Failed"])), family(&[deleted(exited(0, 143, ""))], &[])),
        "active: is being deleted"
    );
    assert_eq!(
        seen(deleted(job(&["Complete"])), family(&[exited(0, 0, "")], &[])),
        "succeeded: null"
    );
    assert_eq!(
        told(&gone(&read(deleted(job(&[]))), &family(&[exited(0, 3, "no")], &[])).unwrap()),
        "Answer Some(3): exit code 3 (Error): no"
    );
}

#[test]
fn a_job_that_is_gone_ends_when_its_pods_have() {
    assert_eq!(ended(deleted(job(&[])), family(&[running(0)], &[])), None);
    let end = |last: Value, pods: &[Value]| ended(last, family(&[], pods)).unwrap();
    assert!(
        end(deleted(job(&[])), &[deleted(exited(0, 143, ""))])
            .starts_with("unknown: was ended with exit code 143")
    );
    assert_eq!(
        end(deleted(job(&[])), &[deleted(exited(0, 3, "no"))]),
        "Answer Some(3): exit code 3 (Error): no"
    );
    assert_eq!(
        end(deleted(job(&["Complete"])), &[exited(0, 0, r#"{"a": 1}"#)]),
        r#"succeeded: {"a":1}"#
    );
    assert!(
        end(indexed(&["Failed"]), &[exited(0, 3, "")]).starts_with("Answer Some(3)"),
        "it had failed when somebody deleted it"
    );
    assert!(
        end(deleted(indexed(&[])), &[never_bound(0)])
            .starts_with("Nothing None: was bound to no node")
    );
    assert_eq!(end(deleted(job(&[])), &[]), "Nothing None: was deleted before a pod of it started");
    assert!(
        end(deleted(indexed(&[])), &[never_bound(0), deleted(exited(1, 143, ""))])
            .starts_with("unknown: was ended with")
    );
}

#[test]
fn of_a_job_that_was_suspended_there_may_have_been_pods_that_nobody_counted() {
    let was =
        changed(job(&[]), "/status/conditions", json!([{"type": "Suspended", "status": "False"}]));
    let unseen = Family { whole: false, ..Family::default() };
    assert_eq!(
        ended(deleted(was.clone()), unseen.clone()).unwrap(),
        "unknown: was deleted while a pod of it may have run"
    );
    assert_eq!(
        ended(deleted(was), Family { whole: true, ..Family::default() }).unwrap(),
        "Nothing None: was deleted before a pod of it started"
    );
    assert_eq!(
        ended(deleted(job(&[])), unseen).unwrap(),
        "Nothing None: was deleted before a pod of it started"
    );
}

#[test]
fn a_pod_that_the_job_counts_and_nobody_saw_may_have_run() {
    let counts = |active: i32| changed(deleted(job(&[])), "/status/active", json!(active));
    let may_have_run = "unknown: was deleted while a pod of it may have run";
    assert_eq!(ended(counts(1), family(&[], &[])).unwrap(), may_have_run);
    assert_eq!(
        ended(counts(0), family(&[], &[])).unwrap(),
        "Nothing None: was deleted before a pod of it started"
    );
    assert!(
        ended(counts(1), family(&[], &[never_bound(0)]))
            .unwrap()
            .starts_with("Nothing None: was bound to no node"),
        "it was seen"
    );
    let two = changed(
        changed(deleted(indexed(&[])), "/status/active", json!(1)),
        "/status/failed",
        json!(1),
    );
    assert!(
        ended(two, family(&[], &[never_bound(0)])).unwrap().starts_with("unknown: "),
        "one of two was seen"
    );
}

#[test]
fn what_a_job_waits_for_is_what_its_pods_wait_for() {
    assert_eq!(seen(job(&[]), Family::default()), "active: waits for its pods");
    assert_eq!(
        seen(changed(job(&[]), "/spec/suspend", json!(true)), Family::default()),
        "active: is suspended"
    );
    let no_image = pod(
        2,
        "Pending",
        json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}),
    );
    assert_eq!(
        seen(job(&[]), family(std::slice::from_ref(&no_image), &[])),
        "active: waits on node n1: ImagePullBackOff: no such image [Image]"
    );
    let three = changed(indexed(&[]), "/status/succeeded", json!(1));
    let state = seen(three, family(&[exited(0, 0, ""), running(1), no_image], &[]));
    let expected = "active: 1 of 3 pods have succeeded, 2 are active; pod j-2: waits on node n1: \
        ImagePullBackOff: no such image [Image]";
    assert_eq!(state, expected);
}

#[test]
fn pods_are_looked_for_where_the_job_has_ended_and_none_that_is_known_tells_how() {
    let wants = |job: Value, pods: &[Value]| wants_pods(&read(job), &family(pods, &[]));
    assert!(!wants(job(&[]), &[]));
    assert!(
        wants(job(&["Complete"]), &[running(0)]) && !wants(job(&["Complete"]), &[exited(0, 0, "")])
    );
    assert!(
        wants(indexed(&["Complete"]), &[exited(1, 0, "")])
            && !wants(indexed(&["Complete"]), &[exited(0, 0, "")])
    );
    assert!(wants(job(&["Failed"]), &[]) && !wants(job(&["FailureTarget"]), &[exited(0, 3, "")]));
}

#[test]
fn a_pod_that_should_be_gone_matters_only_where_its_end_is_awaited() {
    let late: Timestamp = "2026-03-01T10:02:00Z".parse().unwrap();
    let one = family(&[deleted(running(0))], &[]);
    let stuck = |job: Option<Value>| super::stuck(job.map(read).as_ref(), &one, late);
    assert_eq!(stuck(Some(job(&[]))), None, "another one may have taken its place");
    for awaited in [Some(deleted(job(&[]))), Some(job(&["FailureTarget"])), None] {
        assert_eq!(stuck(awaited).as_deref(), Some("may still run on node n1"));
    }
}

#[test]
fn nothing_that_is_stored_makes_it_panic() {
    let odd = json!({"metadata": {}, "status": {
        "conditions": [{"type": "Failed", "status": "\u{0}True\n"}],
        "failed": -1, "succeeded": i32::MIN,
    }});
    assert!(
        seen(odd, family(&[json!({"metadata": {}})], &[json!({"metadata": {}})]))
            .starts_with("unknown: ")
    );
}
