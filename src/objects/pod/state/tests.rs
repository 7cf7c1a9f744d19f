#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]
#![allow(clippy::needless_pass_by_value, reason = "fixtures are put together from values")]

mod any_status;
mod cut_short;
mod ends;
mod known;
mod last_words;
mod templates;
mod told_to_stop;

use serde_json::{Value, json};

use super::{super::strip::strip, *};

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

fn read(value: Value) -> Pod {
    serde_json::from_value(value).unwrap()
}

fn fits(state: &ChildState, expect: &Expect) -> bool {
    match (state, expect) {
        (ChildState::Active { detail, .. }, Active(begins)) => detail.starts_with(begins),
        (ChildState::Ended(End::Succeeded(_)), Succeeded) => true,
        (ChildState::Ended(End::Unknown { message, .. }), Unknown(begins)) => {
            message.starts_with(begins)
        }
        (
            ChildState::Ended(End::Failed(failure)),
            Answer(begins) | Nothing(begins) | Disrupted(begins),
        ) => {
            let reached =
                if matches!(expect, Answer(_)) { Reached::Answer } else { Reached::Nothing };
            failure.reached == reached
                && failure.disrupted == matches!(expect, Disrupted(_))
                && !failure.permanent
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
    assert!(fits(&end.clone().into(), &Answer("exit code 137 (Error)")), "{end:?}");
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

fn said(state: &ChildState) -> &str {
    match state {
        ChildState::Active { detail, .. } => detail,
        ChildState::Ended(End::Failed(failure)) => &failure.message,
        ChildState::Ended(
            End::Unknown { message, .. }
            | End::UnknownForGood { message }
            | End::CalledOff { message },
        ) => message,
        ChildState::Absent(_)
        | ChildState::Present(_)
        | ChildState::Unavailable(_)
        | ChildState::Ended(End::Succeeded(_) | End::Answered(_)) => "",
    }
}
