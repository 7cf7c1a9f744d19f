//! Every known end and wait of a Pod.

use super::{
    cut_short::{
        ended_after_the_start, ended_before_the_start, ended_over_an_old_status,
        lost_after_the_start,
    },
    ends::{ends_beside_a_proxy, ends_by_itself, ends_with_zero_and_is_told_to_go},
    *,
};
use crate::model::observation::PodTrouble;

fn goes_on() -> Vec<Fixture> {
    let no_room = json!({
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/3 nodes are available",
    });
    let unschedulable = unbound(on_node(json!({"phase": "Pending", "conditions": [no_room]})));
    let mut lost = runs(running());
    lost["status"]["reason"] = json!("NodeLost");
    vec![
        ("nothing at all", json!({}), Active("waits to be scheduled")),
        ("empty status", unbound(on_node(json!({}))), Active("waits to be scheduled")),
        (
            "unschedulable",
            unschedulable,
            Active("is not scheduled: Unschedulable: 0/3 nodes are available"),
        ),
        ("bound", on_node(json!({"phase": "Pending"})), Active("waits for node n1 to start it")),
        (
            "creating",
            pending("ContainerCreating", ""),
            Active("waits on node n1: ContainerCreating"),
        ),
        (
            "bad image",
            pending("ErrImagePull", "not found"),
            Active("waits on node n1: ErrImagePull: not found"),
        ),
        (
            "root",
            pending("CreateContainerConfigError", "is root"),
            Active("waits on node n1: CreateContainerConfigError: is root"),
        ),
        ("running", runs(running()), Active("runs on node n1")),
        ("no state", runs(json!({})), Active("waits on node n1")),
        ("being deleted", deleted(runs(running())), Active("is being deleted")),
        ("exit 0 while deleted", deleted(runs(done())), Active("is being deleted")),
        (
            "exit 1, phase not yet written",
            runs(error(1)),
            Active("has exited with code 1; the end of the pod on node n1 is awaited"),
        ),
        ("node silent", in_phase("Unknown", running()), Active("node n1 does not answer")),
        ("node lost but not failed", lost, Active("node n1 does not answer")),
        (
            "a phase of the future",
            in_phase("Frozen", running()),
            Active("is in the phase `Frozen`, which is not known here"),
        ),
    ]
}

fn fixtures() -> impl Iterator<Item = (&'static str, Pod, Expect)> {
    let tables = [
        ends_by_itself(),
        ends_with_zero_and_is_told_to_go(),
        ends_beside_a_proxy(),
        ended_before_the_start(),
        ended_after_the_start(),
        lost_after_the_start(),
        ended_over_an_old_status(),
        goes_on(),
    ];
    tables.into_iter().flatten().map(|(what, value, expect)| (what, read(value), expect))
}

#[test]
fn every_known_end_and_wait_of_a_pod_is_read() {
    for (what, pod, expect) in fixtures() {
        let state = state(&pod, Duration::from_secs(7));
        assert!(fits(&state, &expect), "{what}: {state:?}, not {expect:?}");
        assert_eq!(ended(&pod), !matches!(expect, Active(_)), "{what}");
    }
}

#[test]
fn a_stripped_pod_reads_the_same() {
    for (what, pod, _) in fixtures() {
        let mut stripped = pod.clone();
        strip(&mut stripped);
        assert_eq!(state(&stripped, Duration::ZERO), state(&pod, Duration::ZERO), "{what}");
        assert_eq!(gone(&stripped), gone(&pod), "{what}");
    }
}

#[test]
fn what_keeps_a_pod_from_going_on_is_known_by_its_kind_and_told_by_its_reason() {
    let condition = |reason: &str| {
        json!([{
            "type": "PodScheduled", "status": "False", "reason": reason,
            "message": "0/3 nodes are available",
        }])
    };
    let unbound_because = |reason: &str| {
        unbound(on_node(json!({"phase": "Pending", "conditions": condition(reason)})))
    };
    let cases = [
        (pending("ErrImagePull", "not found"), Some(PodTrouble::Image), "ErrImagePull: not found"),
        (
            pending("ImagePullBackOff", "Back-off"),
            Some(PodTrouble::Image),
            "ImagePullBackOff: Back-off",
        ),
        (
            pending("InvalidImageName", "Ship:1"),
            Some(PodTrouble::Image),
            "InvalidImageName: Ship:1",
        ),
        (
            pending("CreateContainerConfigError", "secret \"a\" not found"),
            Some(PodTrouble::Container),
            "secret \"a\" not found",
        ),
        (
            unbound_because("Unschedulable"),
            Some(PodTrouble::Scheduling),
            "Unschedulable: 0/3 nodes are available",
        ),
        (unbound_because("SchedulingGated"), Some(PodTrouble::Scheduling), "SchedulingGated"),
        (in_phase("Unknown", running()), Some(PodTrouble::Node), "node n1 does not answer"),
        (pending("ContainerCreating", ""), None, "ContainerCreating"),
        (pending("PodInitializing", ""), None, "PodInitializing"),
        (unbound(on_node(json!({"phase": "Pending"}))), None, "waits to be scheduled"),
        (deleted(pending("ImagePullBackOff", "Back-off")), None, "is being deleted"),
        (runs(running()), None, "runs on node n1"),
    ];
    for (value, expected, says) in cases {
        let ChildState::Active { detail, trouble, .. } =
            state(&read(value.clone()), Duration::ZERO)
        else {
            panic!("{value} ended")
        };
        assert!(trouble == expected && detail.contains(says), "{value}: {trouble:?}: {detail}");
    }
}
