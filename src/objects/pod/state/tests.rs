#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]
#![allow(clippy::needless_pass_by_value, reason = "fixtures are put together from values")]

use k8s_openapi::{
    api::core::v1::{ContainerState, ContainerStatus, PodCondition, PodStatus},
    apimachinery::pkg::apis::meta::v1::Time,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    super::{
        fields::{DISRUPTION, SCHEDULED},
        strip::{keep_success, strip},
    },
    *,
};
use crate::{manifest::pod_template::STEP_CONTAINER, model::observation::Trouble, text::MAX_LINE};

/// What is expected of a fixture.
#[derive(Debug)]
enum Expect {
    Active(&'static str),
    Succeeded,
    /// With the beginning of the message.
    Answer(&'static str),
    Nothing(&'static str),
    Disrupted(&'static str),
    Unknown(&'static str),
}
use Expect::{Active, Answer, Disrupted, Nothing, Succeeded, Unknown};

type Fixture = (&'static str, Value, Expect);

const NOT_FOUND: &str = "ContainerStatusUnknown";
/// When a container ends that does.
const ENDED: &str = "2026-03-01T09:01:00Z";

/// A Pod on node `n1`, with a status.
fn on_node(status: Value) -> Value {
    json!({
        "metadata": {"uid": "u1"}, "spec": {"containers": [], "nodeName": "n1"}, "status": status,
    })
}

fn unbound(mut pod: Value) -> Value {
    pod["spec"]["nodeName"].take();
    pod
}

fn deleted(mut pod: Value) -> Value {
    pod["metadata"]["deletionTimestamp"] = json!("2026-03-01T10:00:00Z");
    pod
}

/// With a deletion that was asked for so many seconds after the container's end, and a grace of 30
/// s.
fn deleted_after(seconds: i64, mut pod: Value) -> Value {
    let grace_ends =
        ENDED.parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_secs(seconds + 30);
    pod["metadata"]["deletionTimestamp"] = json!(grace_ends.to_string());
    pod["metadata"]["deletionGracePeriodSeconds"] = json!(30);
    pod
}

/// Of a step whose author says that exit code 0 always means done.
fn finishes(mut pod: Value) -> Value {
    pod["metadata"]["annotations"] = json!({"saga.dev/finishes-on-sigterm": "true"});
    pod
}

fn disruption_target(reason: &str, mut pod: Value) -> Value {
    pod["status"]["conditions"] = json!([
        {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "makes room"},
    ]);
    pod
}

/// With a container that a webhook put in.
fn beside(state: Value, mut pod: Value) -> Value {
    pod["status"]["containerStatuses"].as_array_mut().unwrap().insert(0, container("proxy", state));
    pod
}

/// With one more field in the step's status.
fn step_has(field: &str, value: Value, mut pod: Value) -> Value {
    pod["status"]["containerStatuses"][0][field] = value;
    pod
}

fn container(name: &str, state: Value) -> Value {
    json!({
        "name": name, "image": "a", "imageID": "", "ready": false, "restartCount": 0,
        "state": state,
    })
}

fn in_phase(phase: &str, state: Value) -> Value {
    on_node(json!({"phase": phase, "containerStatuses": [container("step", state)]}))
}

fn pending(reason: &str, message: &str) -> Value {
    in_phase("Pending", waiting(reason, message))
}

/// In the phase `Running`.
fn runs(state: Value) -> Value {
    in_phase("Running", state)
}

/// In the phase `Failed`.
fn fails(state: Value) -> Value {
    in_phase("Failed", state)
}

/// In the phase `Failed`, with the kubelet's reason.
fn fails_by(reason: &str, state: Value) -> Value {
    let mut pod = fails(state);
    pod["status"]["reason"] = json!(reason);
    pod["status"]["message"] = json!("see node");
    pod
}

/// As a kubelet turns a Pod away.
fn rejected(reason: &str) -> Value {
    on_node(json!({"phase": "Failed", "reason": reason, "message": "Pod was rejected"}))
}

fn exited(code: i32, reason: &str) -> Value {
    says(code, reason, "")
}

fn says(code: i32, reason: &str, message: &str) -> Value {
    let began = "2026-03-01T09:00:00Z";
    json!({"terminated": {
        "exitCode": code, "reason": reason, "message": message, "startedAt": began,
        "finishedAt": ENDED,
    }})
}

/// What the kubelet writes for a container that it does not find.
fn not_found() -> Value {
    let message = "The container could not be located when the pod was terminated";
    json!({"terminated": {
        "exitCode": 137, "reason": NOT_FOUND, "message": message, "startedAt": null,
        "finishedAt": null,
    }})
}

/// What containerd writes for a program that is not there.
fn no_program() -> Value {
    json!({"terminated": {"exitCode": 128, "reason": "StartError", "message": "exec: no such \
        file", "startedAt": "1970-01-01T00:00:00Z"}})
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({"waiting": {"reason": reason, "message": message}})
}

fn running() -> Value {
    json!({"running": {"startedAt": "2026-03-01T09:00:00Z"}})
}

fn done() -> Value {
    exited(0, "Completed")
}

fn error(code: i32) -> Value {
    exited(code, "Error")
}

fn ends_by_itself() -> Vec<Fixture> {
    let said = fails(says(3, "Error", "no such\norder\u{1b}\n"));
    vec![
        ("succeeded", in_phase("Succeeded", done()), Succeeded),
        ("succeeded without statuses", on_node(json!({"phase": "Succeeded"})), Succeeded),
        ("exit 3", said, Answer("exit code 3 (Error): no such order")),
        ("exit 3 just before a deletion", deleted(fails(error(3))), Answer("exit code 3 (Error)")),
        (
            "exit 3, bound to nothing, as a test may write it",
            unbound(fails(error(3))),
            Answer("exit code 3 (Error)"),
        ),
        ("crash", fails(error(139)), Answer("exit code 139 (Error)")),
        ("killed by nobody known", fails(error(137)), Answer("exit code 137 (Error)")),
        ("out of memory", fails(exited(137, "OOMKilled")), Answer("exit code 137 (OOMKilled)")),
        (
            "out of memory while deleted",
            deleted(fails(exited(137, "OOMKilled"))),
            Answer("exit code 137 (OOMKilled)"),
        ),
        (
            "no such program",
            fails(no_program()),
            Nothing("no container started: StartError: exec: no such file"),
        ),
        ("exit 0, phase not yet written", runs(done()), Succeeded),
    ]
}

/// Exit code 0 of Pods that something tells to go: done only where the end came before.
fn ends_with_zero_and_is_told_to_go() -> Vec<Fixture> {
    let succeeded = || in_phase("Succeeded", done());
    let drained = |pod| disruption_target("EvictionByEvictionAPI", pod);
    let may_be = Unknown(
        "was ended with exit code 0 and may have done its work (finishesOnSigterm: true would say \
         that it has): ",
    );
    let may_be = || if let Unknown(begins) = may_be { Unknown(begins) } else { unreachable!() };
    let mut nobody_knows_when = in_phase("Succeeded", done());
    nobody_knows_when["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"].take();
    let mut terminated = succeeded();
    terminated["status"]["reason"] = json!("Terminated");
    vec![
        ("clearly before its deletion", deleted_after(11, succeeded()), Succeeded),
        ("clearly before its drain", drained(deleted_after(60, succeeded())), Succeeded),
        (
            "clearly before its deletion, a proxy runs on",
            deleted_after(60, beside(running(), runs(done()))),
            Succeeded,
        ),
        ("at its deletion, as far as two clocks tell", deleted_after(10, succeeded()), may_be()),
        ("on SIGTERM", deleted_after(-3, succeeded()), may_be()),
        ("drained", drained(deleted_after(-3, succeeded())), may_be()),
        ("to be disrupted", drained(succeeded()), may_be()),
        ("node shut down", terminated, may_be()),
        (
            "evicted long before its deletion",
            deleted_after(60, fails_by("Evicted", done())),
            may_be(),
        ),
        (
            "a proxy did not, when both were told",
            deleted_after(-3, beside(error(143), fails(done()))),
            may_be(),
        ),
        (
            "a proxy is still told",
            deleted_after(-3, beside(running(), runs(done()))),
            Active("is being deleted"),
        ),
        ("nobody knows when", deleted_after(60, nobody_knows_when), may_be()),
        ("nobody knows what", deleted(on_node(json!({"phase": "Succeeded"}))), may_be()),
        ("nobody knows the grace", deleted(succeeded()), may_be()),
        ("always done, deleted", finishes(deleted_after(-3, succeeded())), Succeeded),
        ("always done, evicted", finishes(fails_by("Evicted", done())), Succeeded),
        (
            "always done, a proxy is still told",
            finishes(deleted_after(-3, beside(running(), runs(done())))),
            Succeeded,
        ),
        (
            "always done, but it was not",
            finishes(deleted_after(-3, fails(error(143)))),
            Unknown("was ended with exit code 143"),
        ),
    ]
}

fn ends_beside_a_proxy() -> Vec<Fixture> {
    vec![
        ("a proxy failed after exit 0", beside(error(1), fails(done())), Succeeded),
        ("a proxy runs on after exit 0", beside(running(), runs(done())), Succeeded),
        (
            "a proxy runs on after exit 3",
            beside(running(), runs(error(3))),
            Answer("exit code 3 (Error)"),
        ),
        (
            "a proxy runs, no such program",
            beside(running(), runs(no_program())),
            Nothing("no container started: StartError"),
        ),
        (
            "a proxy runs on after SIGTERM",
            beside(running(), runs(error(143))),
            Active("has exited with code 143"),
        ),
        (
            "a proxy's exit says nothing",
            beside(error(1), runs(running())),
            Active("runs on node n1"),
        ),
        (
            "a proxy runs on after exit 1 of one to be disrupted",
            disruption_target("TerminationByKubelet", beside(running(), runs(error(1)))),
            Active("has exited with code 1"),
        ),
    ]
}

fn ended_before_the_start() -> Vec<Fixture> {
    let drained = disruption_target("EvictionByEvictionAPI", deleted(fails(not_found())));
    let pulls = waiting("ImagePullBackOff", "no such image");
    let preempted = disruption_target("PreemptionByScheduler", deleted(unbound(pending("", ""))));
    vec![
        (
            "evicted at the door",
            rejected("Evicted"),
            Disrupted("no container started: Evicted: Pod was rejected"),
        ),
        ("no room at the door", rejected("OutOfcpu"), Disrupted("no container started: OutOfcpu")),
        (
            "refused for what it is",
            rejected("SysctlForbidden"),
            Nothing("no container started: SysctlForbidden"),
        ),
        (
            "evicted",
            fails_by("Evicted", not_found()),
            Disrupted("no container started: Evicted: see node"),
        ),
        ("drained", drained, Disrupted("no container started: EvictionByEvictionAPI: makes room")),
        (
            "node shut down",
            fails_by("Terminated", not_found()),
            Disrupted("no container started: Terminated"),
        ),
        ("preempted unbound", preempted, Disrupted("was bound to no node: PreemptionByScheduler")),
        (
            "deleted unbound, kept by a finalizer",
            deleted(unbound(pending("", ""))),
            Nothing("was bound to no node: was deleted"),
        ),
        (
            "deleted while pulling",
            deleted(fails(not_found())),
            Nothing("no container started: was deleted"),
        ),
        (
            "deadline while pulling",
            fails_by("DeadlineExceeded", pulls),
            Nothing(
                "no container started: DeadlineExceeded: see node; ImagePullBackOff: no such image",
            ),
        ),
    ]
}

fn ended_after_the_start() -> Vec<Fixture> {
    let drained = disruption_target("EvictionByEvictionAPI", deleted(fails(error(1))));
    vec![
        (
            "evicted",
            fails_by("Evicted", error(143)),
            Unknown("was ended with exit code 143 and may have done its work: Evicted: see node"),
        ),
        (
            "evicted, graceful exit 1",
            fails_by("Evicted", error(1)),
            Unknown("was ended with exit code 1 and"),
        ),
        (
            "evicted, graceful exit 0",
            fails_by("Evicted", done()),
            Unknown("was ended with exit code 0 and"),
        ),
        (
            "evicted, lost",
            step_has("lastState", not_found(), fails_by("Evicted", not_found())),
            Unknown("was ended with exit code 137 and"),
        ),
        (
            "drained",
            drained,
            Unknown(
                "was ended with exit code 1 and may have done its work: EvictionByEvictionAPI: \
                 makes room",
            ),
        ),
        (
            "deleted",
            deleted(fails(error(137))),
            Unknown("was ended with exit code 137 and may have done its work: was deleted"),
        ),
        (
            "deadline",
            fails_by("DeadlineExceeded", error(143)),
            Unknown("was ended with exit code 143 and"),
        ),
        (
            "node shut down",
            fails_by("Terminated", error(143)),
            Unknown("was ended with exit code 143 and"),
        ),
    ]
}

fn lost_after_the_start() -> Vec<Fixture> {
    let lost = step_has("lastState", not_found(), fails(not_found()));
    let lost_again = step_has("lastState", not_found(), fails(no_program()));
    vec![
        (
            "node came back",
            fails(exited(255, "Unknown")),
            Unknown("was ended with exit code 255 and"),
        ),
        (
            "lost, had run",
            lost,
            Unknown(
                "was ended with exit code 137 and may have done its work: ContainerStatusUnknown: \
                 The container",
            ),
        ),
        (
            "lost, had an id",
            step_has("containerID", json!("containerd://1"), fails(not_found())),
            Unknown("was ended with exit code 137 and"),
        ),
        ("lost, started again in vain", lost_again, Unknown("was ended with exit code 128 and")),
    ]
}

/// The phase was set by somebody who cannot know what the node did.
fn ended_over_an_old_status() -> Vec<Fixture> {
    let no_node = |pod| disruption_target("DeletionByPodGC", pod);
    let creating = || waiting("ContainerCreating", "");
    vec![
        (
            "node gone while running",
            no_node(fails(running())),
            Unknown("may have done its work: DeletionByPodGC: makes room"),
        ),
        (
            "node gone while creating",
            no_node(fails(creating())),
            Unknown("may have done its work: DeletionByPodGC"),
        ),
        (
            "node gone, no statuses",
            no_node(on_node(json!({"phase": "Failed"}))),
            Unknown("may have done its work: DeletionByPodGC"),
        ),
        (
            "node out of service",
            deleted(fails(creating())),
            Unknown("may have done its work: was deleted; ContainerCreating"),
        ),
        (
            "nothing else known",
            on_node(json!({"phase": "Failed"})),
            Unknown("may have done its work: no reason is given"),
        ),
        ("node lost", rejected("NodeLost"), Unknown("may have done its work: NodeLost")),
    ]
}

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

fn read(value: Value) -> Pod {
    serde_json::from_value(value).unwrap()
}

fn fits(state: &ChildState, expect: &Expect) -> bool {
    match (state, expect) {
        (ChildState::Active { detail, .. }, Active(begins)) => detail.starts_with(begins),
        (ChildState::Succeeded(_), Succeeded) => true,
        (ChildState::Unknown { message, .. }, Unknown(begins)) => message.starts_with(begins),
        (ChildState::Failed(failure), Answer(begins) | Nothing(begins) | Disrupted(begins)) => {
            let reached =
                if matches!(expect, Answer(_)) { Reached::Answer } else { Reached::Nothing };
            failure.reached == reached
                && failure.disrupted == matches!(expect, Disrupted(_))
                && !failure.last
                && failure.exit_code.is_some()
                    == (reached == Reached::Answer
                        && !failure.message.starts_with("init container"))
                && failure.retry_after.is_none()
                && failure.message.starts_with(begins)
        }
        _ => false,
    }
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
fn a_pod_that_was_seen_to_succeed_stays_so_whatever_tells_it_to_go_later() {
    let kept = |mut pod: Pod| {
        strip(&mut pod);
        pod
    };
    let seen = [
        in_phase("Succeeded", done()),
        beside(running(), runs(done())),
        deleted_after(60, in_phase("Succeeded", done())),
    ];
    let later = [
        deleted_after(2, in_phase("Succeeded", done())),
        disruption_target(
            "EvictionByEvictionAPI",
            deleted_after(-3, beside(running(), runs(done()))),
        ),
        fails_by("Evicted", not_found()),
        deleted_after(-3, fails(error(143))),
    ];
    for (before, after) in
        seen.iter().flat_map(|before| later.iter().map(move |after| (before, after)))
    {
        let (before, mut after) = (kept(read(before.clone())), kept(read(after.clone())));
        assert!(!fits(&state(&after, Duration::ZERO), &Succeeded), "{after:?}");
        let another = |pod: &Pod| {
            let mut another = pod.clone();
            another.metadata.uid = Some("u2".into());
            another
        };
        let untouched = after.clone();
        for other in [None, Some(another(&before)), Some(kept(read(runs(running()))))] {
            keep_success(&mut after, other.as_ref());
            assert_eq!(after, untouched, "of none, of another, of one that had not ended");
        }
        keep_success(&mut after, Some(&before));
        assert!(
            fits(&state(&after, Duration::ZERO), &Succeeded) && fits(&gone(&after), &Succeeded),
            "{after:?}"
        );
        // The next version is told by the one that is kept.
        let mut next = kept(read(deleted_after(-3, fails(error(143)))));
        keep_success(&mut next, Some(&after));
        assert!(fits(&gone(&next), &Succeeded), "{next:?}");
    }
}

#[test]
fn an_end_by_a_signal_that_another_container_holds_up_is_taken_once_an_end_from_outside_would_show()
{
    let held = |code: i32| beside(running(), runs(error(code)));
    let of = |pod: Value| {
        let whole = read(pod);
        let mut stripped = whole.clone();
        strip(&mut stripped);
        assert_eq!(held_up(&stripped), held_up(&whole));
        held_up(&whole)
    };
    let (end, after) = of(held(137)).unwrap();
    assert!(fits(&end, &Answer("exit code 137 (Error)")), "{end:?}");
    assert_eq!(after, Duration::from_mins(1), "its grace of 30 s, and as much again");
    let mut patient = held(143);
    patient["spec"]["terminationGracePeriodSeconds"] = json!(600);
    assert_eq!(of(patient).unwrap().1, Duration::from_secs(630));
    let others = [
        held(3),
        runs(error(137)),
        deleted(held(143)),
        disruption_target("TerminationByKubelet", held(143)),
        fails(error(143)),
        fails_by("Evicted", error(143)),
        runs(running()),
        runs(done()),
    ];
    for other in others {
        assert_eq!(of(other.clone()), None, "{other}");
    }
}

#[test]
fn an_active_pod_is_known_by_its_uid_and_age() {
    let expected = ChildState::Active {
        uid: Some("u1".into()),
        age: Duration::from_secs(7),
        detail: "runs on node n1".into(),
        trouble: None,
    };
    assert_eq!(state(&read(runs(running())), Duration::from_secs(7)), expected);
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
        (pending("ErrImagePull", "not found"), Some(Trouble::Image), "ErrImagePull: not found"),
        (
            pending("ImagePullBackOff", "Back-off"),
            Some(Trouble::Image),
            "ImagePullBackOff: Back-off",
        ),
        (pending("InvalidImageName", "Ship:1"), Some(Trouble::Image), "InvalidImageName: Ship:1"),
        (
            pending("CreateContainerConfigError", "secret \"a\" not found"),
            Some(Trouble::Container),
            "secret \"a\" not found",
        ),
        (
            unbound_because("Unschedulable"),
            Some(Trouble::Scheduling),
            "Unschedulable: 0/3 nodes are available",
        ),
        (unbound_because("SchedulingGated"), Some(Trouble::Scheduling), "SchedulingGated"),
        (in_phase("Unknown", running()), Some(Trouble::Node), "node n1 does not answer"),
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

#[test]
fn a_pod_that_is_gone_is_judged_by_its_last_status() {
    let cases = [
        (
            unbound(on_node(json!({"phase": "Pending"}))),
            Nothing("was bound to no node: no reason is given"),
        ),
        (
            disruption_target(
                "PreemptionByScheduler",
                unbound(on_node(json!({"phase": "Pending"}))),
            ),
            Disrupted("was bound to no node"),
        ),
        (runs(running()), Unknown("was deleted while it may have run on node n1")),
        (unbound(runs(running())), Unknown("was deleted while it may have run on its node")),
        (pending("ContainerCreating", ""), Unknown("was deleted while it may have run on node n1")),
        (fails(error(3)), Answer("exit code 3")),
    ];
    for (value, expect) in cases {
        let state = gone(&read(value.clone()));
        assert!(fits(&state, &expect), "{value}: {state:?}, not {expect:?}");
    }
}

#[test]
fn a_node_that_does_not_end_a_pod_in_time_is_named() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let mut pod = read(deleted(runs(running())));
    assert_eq!(stuck(&pod, at("2026-03-01T09:59:00Z")), None, "the grace still runs");
    assert_eq!(stuck(&pod, at("2026-03-01T10:01:00Z")), None);
    assert_eq!(
        stuck(&pod, at("2026-03-01T10:01:01Z")).as_deref(),
        Some("may still run on node n1")
    );
    assert_eq!(
        stuck(&read(runs(running())), at("2026-03-01T10:01:01Z")),
        None,
        "nobody deleted it"
    );
    assert_eq!(
        stuck(&read(deleted(fails(error(3)))), at("2026-03-01T11:00:00Z")),
        None,
        "it has ended, and a finalizer keeps it"
    );

    pod.metadata.deletion_timestamp = Some(Time(Timestamp::MIN));
    assert!(stuck(&pod, Timestamp::MAX).is_some());
}

/// A Pod of a template in which the container `ship` decides; `init`: the state of its init
/// container.
fn of_template(init: Value, mut pod: Value) -> Value {
    pod["metadata"]["annotations"] = json!({"saga.dev/container": "ship"});
    if let Some(containers) = pod["status"]["containerStatuses"].as_array_mut() {
        for container in containers.iter_mut() {
            container["name"] = json!("ship");
        }
        containers.insert(0, container("step-beside", running()));
    }
    if !init.is_null() {
        pod["status"]["initContainerStatuses"] = json!([container("fetch", init)]);
    }
    pod
}

#[test]
fn the_template_says_which_container_decides_and_what_runs_before_it_counts_as_begun() {
    let initializing = || pending("PodInitializing", "");
    let nothing = Value::Null;
    let cases = [
        (of_template(nothing.clone(), runs(done())), Succeeded),
        (of_template(nothing.clone(), runs(error(3))), Answer("exit code 3 (Error)")),
        (of_template(nothing.clone(), runs(running())), Active("runs on node n1")),
        (
            of_template(nothing.clone(), runs(no_program())),
            Nothing("no container started: StartError"),
        ),
        (
            of_template(nothing, fails_by("Evicted", not_found())),
            Disrupted("no container started: Evicted"),
        ),
        (
            of_template(says(7, "Error", "no such file"), fails(waiting("PodInitializing", ""))),
            Answer("init container fetch: exit code 7 (Error): no such file"),
        ),
        (
            of_template(error(7), fails_by("Evicted", waiting("PodInitializing", ""))),
            Unknown("may have done its work: Evicted"),
        ),
        (
            of_template(done(), fails_by("Evicted", not_found())),
            Unknown("was ended with exit code 137 and may have done its work: Evicted"),
        ),
        (of_template(done(), fails(error(3))), Answer("exit code 3 (Error)")),
        (of_template(error(7), initializing()), Active("waits on node n1: PodInitializing")),
        (
            of_template(waiting("ImagePullBackOff", "no image"), initializing()),
            Active("waits on node n1: init container fetch: ImagePullBackOff: no image"),
        ),
        (
            of_template(
                waiting("ImagePullBackOff", "no image"),
                fails_by("DeadlineExceeded", waiting("PodInitializing", "")),
            ),
            Nothing("no container started: DeadlineExceeded: see node; ImagePullBackOff: no image"),
        ),
    ];
    for (value, expect) in cases {
        let whole = read(value);
        let state = state(&whole, Duration::ZERO);
        assert!(fits(&state, &expect), "{state:?}, not {expect:?}");
        let mut stripped = whole.clone();
        strip(&mut stripped);
        assert_eq!(super::state(&stripped, Duration::ZERO), state);
    }
}

#[test]
fn what_a_webhook_runs_before_the_container_has_no_say_nor_has_what_runs_on_beside_it() {
    let mut injected = fails_by("Evicted", not_found());
    injected["status"]["initContainerStatuses"] = json!([container("mesh", done())]);
    let mut beside = of_template(running(), fails_by("Evicted", not_found()));
    beside["spec"]["initContainers"] = json!([{"name": "fetch", "restartPolicy": "Always"}]);
    for value in [injected, beside] {
        let whole = read(value);
        let mut stripped = whole.clone();
        strip(&mut stripped);
        for pod in [whole, stripped] {
            assert!(
                fits(&state(&pod, Duration::ZERO), &Disrupted("no container started: Evicted")),
                "{pod:?}"
            );
        }
    }
}

#[test]
fn the_container_that_decides_hands_on() {
    let mut pod = of_template(
        Value::Null,
        in_phase("Succeeded", says(0, "Completed", r#"{"from": "ship"}"#)),
    );
    pod["status"]["containerStatuses"][0]["state"] = says(0, "Completed", r#"{"from": "beside"}"#);
    let expected = json!({"from": "ship"}).as_object().cloned();
    assert_eq!(state(&read(pod), Duration::ZERO), ChildState::Succeeded(expected));
}

/// What a Pod that succeeded hands on, as it is and as the watch keeps it.
fn hands_on(message: &str) -> Option<Value> {
    let whole = read(in_phase("Succeeded", says(0, "Completed", message)));
    let mut stripped = whole.clone();
    strip(&mut stripped);
    let of = |pod: &Pod| {
        let ChildState::Succeeded(outputs) = state(pod, Duration::ZERO) else {
            panic!("it did not succeed")
        };
        outputs.map(Value::Object)
    };
    assert_eq!(of(&stripped), of(&whole), "{message}");
    of(&whole)
}

#[test]
fn the_json_object_in_the_termination_message_is_handed_on_as_it_is() {
    let nested = json!({"tracking": {"id": "T-1", "stops": [1, 2.5, null, {"at": "Köln – 東京 \
        \u{1f4e6}"}]}, "two  spaces": "a\u{200b}b\n c"});
    assert_eq!(hands_on(&nested.to_string()), Some(nested.clone()));
    assert_eq!(hands_on(&format!("\n {nested:#} \n")), Some(nested));
    assert_eq!(hands_on("{}"), Some(json!({})));
    // Larger than any line, and as large as the kubelet keeps.
    let large = json!({"a": "x".repeat(MAX_HANDED_ON - 8)}).to_string();
    assert_eq!((large.len(), hands_on(&large).is_some()), (MAX_HANDED_ON, true));
}

#[test]
fn what_is_no_json_object_or_only_a_part_of_one_is_not_handed_on() {
    let whole = json!({"text": "é".repeat(MAX_HANDED_ON)}).to_string();
    // The kubelet keeps the end of a file, and where a Pod has many containers the beginning of
    // that.
    let (first, last) = whole.split_at(whole.floor_char_boundary(MAX_HANDED_ON));
    let last = &last[last.ceil_char_boundary(last.len().saturating_sub(MAX_HANDED_ON))..];
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(1000), "]".repeat(1000));
    let others = [
        "",
        " ",
        "done",
        "42",
        "null",
        "[1]",
        "\"text\"",
        "{\"a\": 1} and more",
        "{\"a\": \"line\nbreak\"}",
        "{a: 1}",
    ];
    for message in others.into_iter().chain([first, last, &whole]) {
        assert_eq!(hands_on(message), None, "{message}");
    }
    // It was meant to be handed on: whoever takes it must be able to tell.
    assert!(
        crate::api::json::depth(&hands_on(&deep).unwrap()) > crate::api::json::MAX_OUTPUT_DEPTH
    );
}

#[test]
fn a_container_that_failed_hands_nothing_on() {
    let said = fails(says(3, "Error", "{\"a\": 1}"));
    assert!(fits(&state(&read(said), Duration::ZERO), &Answer("exit code 3 (Error): {\"a\": 1}")));
}

#[test]
fn of_a_long_log_the_end_is_told_and_the_reason_always() {
    let log = format!("{}panicked: no such order\n", "trying once more\n".repeat(120));
    let no_room = "The node was low on resource: memory. ".repeat(20);
    let mut evicted = fails_by("Evicted", says(143, "Error", &log));
    evicted["status"]["message"] = json!(no_room);
    let cases = [
        (fails(says(1, "Error", &log)), "exit code 1 (Error): …"),
        (fails(says(137, "OOMKilled", &log)), "exit code 137 (OOMKilled): …"),
        (
            evicted,
            "was ended with exit code 143 and may have done its work: Evicted: The node was low \
             on resource",
        ),
        (
            fails_by("DeadlineExceeded", says(143, "Error", &log)),
            "was ended with exit code 143 and may have done its work: DeadlineExceeded: see node; \
             Error: …",
        ),
    ];
    for (value, begins) in cases {
        let state = state(&read(value), Duration::ZERO);
        let words = said(&state);
        assert!(
            words.starts_with(begins)
                && words.ends_with("trying once more panicked: no such order"),
            "{words}"
        );
    }
}

fn text() -> impl Strategy<Value = Option<String>> {
    const WORDS: [&str; 11] = [
        "{\"a\": 1}",
        "{\"a\": \"b\u{0}\"}",
        "",
        "Evicted",
        "NodeLost",
        "StartError",
        "ContainerStatusUnknown",
        "Unknown",
        "OOMKilled",
        "DeletionByPodGC",
        " Error\n",
    ];
    prop_oneof![
        Just(None),
        proptest::sample::select(&WORDS[..]).prop_map(|word| Some(word.into())),
        "\\PC{0,400}".prop_map(Some),
        ".{0,300}".prop_map(Some)
    ]
}

fn terminated() -> impl Strategy<Value = ContainerStateTerminated> {
    let code = prop_oneof![Just(0), Just(137), Just(143), any::<i32>()];
    let instant = || {
        prop_oneof![
            Just(None),
            (-60..3_i64).prop_map(|second| Some(Time(Timestamp::from_second(second).unwrap())))
        ]
    };
    (code, text(), text(), instant(), instant()).prop_map(
        |(exit_code, reason, message, started_at, finished_at)| ContainerStateTerminated {
            exit_code,
            reason,
            message,
            started_at,
            finished_at,
            ..ContainerStateTerminated::default()
        },
    )
}

fn container_states() -> impl Strategy<Value = Option<ContainerState>> {
    let waiting = proptest::option::of((text(), text())).prop_map(|both| {
        both.map(|(reason, message)| k8s_openapi::api::core::v1::ContainerStateWaiting {
            reason,
            message,
        })
    });
    let running = any::<bool>().prop_map(|is| is.then(Default::default));
    proptest::option::of((proptest::option::of(terminated()), running, waiting)).prop_map(|all| {
        all.map(|(terminated, running, waiting)| ContainerState { terminated, running, waiting })
    })
}

fn containers() -> impl Strategy<Value = Vec<ContainerStatus>> {
    let name = proptest::sample::select(&[STEP_CONTAINER, "proxy", ""][..]);
    let one = (
        name,
        container_states(),
        container_states(),
        -1..2,
        proptest::option::of(any::<bool>()),
        text(),
    )
        .prop_map(|(name, state, last_state, restart_count, started, container_id)| {
            ContainerStatus {
                name: name.into(),
                state,
                last_state,
                restart_count,
                started,
                container_id,
                ..ContainerStatus::default()
            }
        });
    proptest::collection::vec(one, 0..4)
}

fn conditions() -> impl Strategy<Value = Vec<PodCondition>> {
    let type_ = proptest::sample::select(&[DISRUPTION, SCHEDULED, "Ready"][..]);
    let value = proptest::sample::select(&["True", "False", " True", ""][..]);
    let one =
        (type_, value, text(), text()).prop_map(|(type_, status, reason, message)| PodCondition {
            type_: type_.into(),
            status: status.into(),
            reason,
            message,
            ..PodCondition::default()
        });
    proptest::collection::vec(one, 0..4)
}

fn phases() -> impl Strategy<Value = Option<String>> {
    let known =
        proptest::sample::select(&["", "Pending", "Running", "Succeeded", "Failed", "Unknown"][..]);
    prop_oneof![
        3 => known.prop_map(|phase| Some(phase.into())),
        3 => Just(Some("Failed".into())),
        1 => text()
    ]
}

prop_compose! {
    fn pods()(
        phase in phases(),
        reason in text(),
        message in text(),
        containers in proptest::option::of(containers()),
        conditions in proptest::option::of(conditions()),
        decides in proptest::option::of(proptest::sample::select(&["step", "proxy", "No \
            name"][..])),
        init in proptest::option::of(containers()),
        bound in any::<bool>(),
        deleted in any::<bool>(),
        grace in proptest::option::of(prop_oneof![Just(30), any::<i64>()]),
        finishes in text(),
    ) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.deletion_grace_period_seconds = grace;
        pod.metadata.deletion_timestamp = deleted.then_some(Time(Timestamp::UNIX_EPOCH));
        let finishes = finishes.map(|said| ("saga.dev/finishes-on-sigterm".to_owned(), said));
        let decides = decides.map(|name| ("saga.dev/container".to_owned(), name.to_owned()));
        pod.metadata.annotations = Some(decides.into_iter().chain(finishes).collect());
        pod.spec = Some(k8s_openapi::api::core::v1::PodSpec {
            node_name: bound.then(|| "n1".into()),
            termination_grace_period_seconds: grace,
            ..Default::default()
        });
        pod.status = Some(PodStatus {
            phase,
            reason,
            message,
            conditions,
            container_statuses: containers,
            init_container_statuses: init,
            ..PodStatus::default()
        });
        pod
    }
}

fn said(state: &ChildState) -> &str {
    match state {
        ChildState::Active { detail, .. } => detail,
        ChildState::Failed(failure) => &failure.message,
        ChildState::Unknown { message, .. } | ChildState::CalledOff { message } => message,
        ChildState::Absent(_)
        | ChildState::Elsewhere { .. }
        | ChildState::Refused { .. }
        | ChildState::Succeeded(_)
        | ChildState::Answered(_)
        | ChildState::Object { .. }
        | ChildState::Saga(_)
        | ChildState::Standing { .. } => "",
    }
}

proptest! {
    #[test]
    fn no_status_confuses_the_reader(pod in pods()) {
        let read = state(&pod, Duration::ZERO);
        prop_assert!(
            said(&read).chars().count() <= MAX_LINE && !said(&read).contains(char::is_control),
            "{read:?}"
        );
        // What shows that the container may have started is never taken for nothing, and so never
        // free of charge.
        if let ChildState::Failed(failure) = &read {
            prop_assert!(failure.reached == Reached::Answer || !may_have_started(&pod), "{read:?}");
            prop_assert!(failure.reached == Reached::Nothing || !failure.disrupted, "{read:?}");
        }
        let mut stripped = pod.clone();
        strip(&mut stripped);
        prop_assert_eq!(state(&stripped, Duration::ZERO), read);
        prop_assert_eq!(gone(&stripped), gone(&pod));
        prop_assert_eq!(stuck(&stripped, Timestamp::MAX), stuck(&pod, Timestamp::MAX));
        prop_assert_eq!(held_up(&stripped), held_up(&pod));
    }
}
