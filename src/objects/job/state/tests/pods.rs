//! What is known of the pods, and what a Job waits for.

use super::*;
use crate::objects::job::known_pods::ListedPods;

#[test]
fn what_a_live_read_shows_of_pods_replaces_what_was_known_of_them() {
    let job_pods = || job_pods(&[running(0), exited(1, 0, ""), running(2)], &[exited(3, 3, "")]);
    let pods = |pods: Vec<Value>| {
        pods.into_iter().map(|pod| serde_json::from_value(pod).unwrap()).collect::<Vec<Pod>>()
    };
    let all = |listed| ListedPods::all(pods(listed));
    let names = |pods: &[Arc<Pod>]| {
        pods.iter().map(|pod| pod.metadata.name.clone().unwrap()).collect::<Vec<_>>().join(" ")
    };
    let KnownPods { pods: there, gone, lost, .. } =
        job_pods().as_listed(all(vec![exited(0, 0, ""), running(2), running(3)]));
    assert_eq!(
        (names(&there).as_str(), names(&gone).as_str(), lost),
        ("j-0 j-2 j-3", "j-1", false),
        "j-1 had ended"
    );
    let unseen = job_pods().as_listed(all(vec![running(2)]));
    assert!(unseen.lost && !job_pods().lost, "nobody saw how j-0 went");
    let some = ListedPods { pods: pods(vec![running(0), running(2)]), more: true };
    assert!(job_pods().as_listed(some).lost, "there are more than were read");
    let shown = || vec![Arc::new(serde_json::from_value(exited(0, 0, "")).unwrap())];
    // To the watch it is gone, too, once it lost its label.
    for known in [
        KnownPods { pods: shown(), ..KnownPods::default() },
        KnownPods { gone: shown(), ..KnownPods::default() },
    ] {
        let KnownPods { pods, gone, .. } = known.as_listed(all(vec![deleted(exited(0, 0, ""))]));
        let [still] = pods.try_into().unwrap();
        assert!(
            matches!(
                pod::state::state(&still, Duration::ZERO),
                ChildState::Ended(End::Succeeded(_))
            ),
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
        held_up(&read(job), &job_pods(pods, &[])).map(|(end, _)| told(&end.into()))
    };
    assert!(
        seen(job(&[]), job_pods(&[crashed()], &[])).starts_with("active: has exited with code 139")
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
fn what_a_job_waits_for_is_what_its_pods_wait_for() {
    assert_eq!(seen(job(&[]), KnownPods::default()), "active: waits for its pods");
    assert_eq!(
        seen(changed(job(&[]), "/spec/suspend", json!(true)), KnownPods::default()),
        "active: is suspended"
    );
    let no_image = pod(
        2,
        "Pending",
        json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}),
    );
    assert_eq!(
        seen(job(&[]), job_pods(std::slice::from_ref(&no_image), &[])),
        "active: waits on node n1: ImagePullBackOff: no such image [Image]"
    );
    let three = changed(indexed(&[]), "/status/succeeded", json!(1));
    let state = seen(three, job_pods(&[exited(0, 0, ""), running(1), no_image], &[]));
    let expected = "active: 1 of 3 pods have succeeded, 2 are active; pod j-2: waits on node n1: \
        ImagePullBackOff: no such image [Image]";
    assert_eq!(state, expected);
}

#[test]
fn pods_are_looked_for_where_the_job_has_ended_and_none_that_is_known_tells_how() {
    let wants = |job: Value, pods: &[Value]| wants_pods(&read(job), &job_pods(pods, &[]));
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
    let one = job_pods(&[deleted(running(0))], &[]);
    let stuck = |job: Option<Value>| super::stuck(job.map(read).as_ref(), &one, late);
    assert_eq!(stuck(Some(job(&[]))), None, "another one may have taken its place");
    for awaited in [Some(deleted(job(&[]))), Some(job(&["FailureTarget"])), None] {
        assert_eq!(stuck(awaited).as_deref(), Some("may still run on node n1"));
    }
}
