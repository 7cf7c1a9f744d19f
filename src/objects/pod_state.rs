//! Reads a Pod's state: whether its attempt succeeded, failed, may have happened, or goes on, and what it waits for.
//!
//! The outcome is that of one container, [`pod::deciding`]; what stands or a webhook put beside it has no say. What a template runs before it
//! may fail in its stead.
//!
//! # Guarantees
//! - A Pod has *failed* only if its container ended by itself with an exit code other than 0, or never started. It never started if it was
//!   never bound to a node, or if a status that the kubelet wrote at its end shows no container started. Every other end is *unknown*.
//! - An end from outside is told by the kubelet's word in `status.reason` (`Evicted`, `DeadlineExceeded`, `Terminated`, …; it writes none
//!   for a container that ended by itself), by the condition `DisruptionTarget`, by the words that stand in for a container nobody found
//!   (`ContainerStatusUnknown`; `Unknown` after a restart of the node), or by a deletion together with a signal's exit code.
//! - The kubelet writes the container's end first, and only when nothing runs any more the Pod's phase together with the reason. An exit
//!   code other than 0 therefore waits for the phase: before, an eviction looks like a failure.
//! - No status, however odd, makes this panic, and what it says is one line of at most 256 characters: the reasons first, then the end of
//!   what the container said, since a log tells at its end what went wrong.
//!
//! # Caveats
//! - The phase `Succeeded`, and exit code 0 before any sign of an end from outside, are taken at their word: a program that is told to stop
//!   (SIGTERM) and has not done its work must not exit with 0.
//! - `OOMKilled` is an exit code: the container went past its own limit. So is every signal that nobody outside is known to have sent.
//! - A kubelet that was restarted may turn away a Pod that it ran before, and then empties the container statuses: such a Pod reads as
//!   never started. Nothing in it tells otherwise; its next attempt repeats the idempotency key.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodCondition, PodStatus};
use serde_json::{Map, Value};

use super::{
    pod,
    pod_detail::detail,
    pod_init,
    text::{ending_in, labelled, line, one_line},
};
use crate::{
    api::json::read_fields,
    engine::observed::{ChildState, Failure, Reached},
};

/// The condition that scheduler, eviction, taints, garbage collection and kubelet set on a Pod that they end.
pub(super) const DISRUPTION: &str = "DisruptionTarget";
/// The condition that says whether, or why not, a Pod is bound to a node.
pub(super) const SCHEDULED: &str = "PodScheduled";
/// What the kubelet, and containerd after a restart of the node, write for a container whose end nobody saw.
const NOBODY_SAW: [&str; 2] = ["ContainerStatusUnknown", "Unknown"];
/// What a container runtime writes for a container whose program could not be started.
const NO_START: [&str; 2] = ["StartError", "ContainerCannotRun"];
/// With which a kubelet ends or turns away a Pod for the node's sake; `OutOf…` (`OutOfcpu`) comes on top.
const NODE_REASONS: [&str; 9] = [
    "Evicted",
    "Preempting",
    "NodeShutdown",
    "Shutdown",
    "Terminated",
    "NodeAffinity",
    "NodeLost",
    "TopologyAffinityError",
    "UnexpectedAdmissionError",
];
/// The longest termination message that a container may leave, in bytes; the kubelet keeps no more.
const MAX_HANDED_ON: usize = 4096;
/// How long a Pod may outlive the end of its grace before its node counts as not answering.
const STUCK_AFTER: Duration = Duration::from_mins(1);

/// The state of a Pod that exists, or was just seen. `age` is how long this process has known it, and is only passed on.
#[must_use]
pub fn state(pod: &Pod, age: Duration) -> ChildState {
    end(pod).unwrap_or_else(|| {
        let (detail, trouble) = detail(pod);
        ChildState::Active { uid: pod.metadata.uid.clone(), age, detail, trouble }
    })
}

/// The state of a Pod that is gone, judged by the copy that its deletion delivered, which holds the last status it ever had. A copy from
/// earlier proves nothing about a Pod that had not ended: it may have been bound since.
#[must_use]
pub fn gone(last: &Pod) -> ChildState {
    match end(last) {
        Some(end) => end,
        None if never_bound(last) && !may_have_started(last) => nothing(last),
        None => unknown(one_line(&format!("was deleted while it may have run on {}", node(last)))),
    }
}

/// Whether nothing about the attempt's outcome will change any more: [`state`] is not `Active`.
fn ended(pod: &Pod) -> bool {
    end(pod).is_some()
}

/// Whether the Pod was bound to no node, so that nothing of it ever ran.
#[must_use]
pub fn never_bound(pod: &Pod) -> bool {
    node_name(pod).is_none()
}

/// Says that a Pod may still run although its deletion should have ended it more than 60 s ago: its node does not answer. `None` while it
/// is not deleted, still has time, or has ended and is kept by somebody's finalizer.
#[must_use]
pub fn stuck(pod: &Pod, now: Timestamp) -> Option<String> {
    // The API server sets the instant at which the grace ends, not the one of the request.
    let grace_ends = pod.metadata.deletion_timestamp.as_ref()?.0;
    let late = Duration::try_from(now.duration_since(grace_ends)).is_ok_and(|late| late > STUCK_AFTER);
    (late && !ended(pod)).then(|| one_line(&format!("may still run on {}", node(pod))))
}

/// How the attempt ended, if it did.
fn end(pod: &Pod) -> Option<ChildState> {
    match phase(pod).as_str() {
        "Succeeded" => Some(ChildState::Succeeded(exit(pod).and_then(handed_on))),
        "Failed" => Some(end_of_failed(pod)),
        // The API server binds no Pod that is being deleted. Somebody's finalizer keeps this one.
        _ if deleting(pod) && never_bound(pod) && !may_have_started(pod) => Some(nothing(pod)),
        _ => end_before_phase(pod),
    }
}

/// The end of a Pod in the phase `Failed`.
fn end_of_failed(pod: &Pod) -> ChildState {
    if never_started(pod) {
        return nothing(pod);
    }
    if let Some(end) = end_of_init(pod) {
        return end;
    }
    match (own_exit(pod), exit(pod)) {
        (Some(own), _) => answer(own),
        (None, Some(exit)) => unknown(with_cause(&format!("was ended with exit code {} and may have done its work", exit.exit_code), pod)),
        (None, None) => unknown(with_cause("may have done its work", pod)),
    }
}

/// The end of what a template runs before the container, where that failed by itself.
fn end_of_init(pod: &Pod) -> Option<ChildState> {
    let (name, exit) = pod_init::failed(pod).filter(|(_, exit)| !step_may_have_started(pod) && !from_outside(pod, exit))?;
    let reason = line(exit.reason.as_ref()).map(|reason| format!(" ({reason})")).unwrap_or_default();
    let message = ending_in(&format!("init container {}: exit code {}{reason}", one_line(name), exit.exit_code), said(exit));
    Some(ChildState::Failed(failure(Reached::Answer, message)))
}

/// The end of the container in a Pod that goes on: exit code 0 counts at once, any other only while another container holds the Pod up
/// and nobody is known to end it. A signal may be the first that is seen of an eviction.
fn end_before_phase(pod: &Pod) -> Option<ChildState> {
    let exit = exit(pod).filter(|exit| !deleting(pod) && !from_outside(pod, exit))?;
    let own = own_exit(pod);
    if own.is_some_and(|own| own.exit_code == 0) {
        return Some(ChildState::Succeeded(own.and_then(handed_on)));
    }
    if by_signal(exit) || !other_runs(pod) {
        return None;
    }
    own.map(answer).or_else(|| (!may_have_started(pod)).then(|| nothing(pod)))
}

/// The JSON object in the termination message of a container that ended well. What the kubelet had to cut is none any more. One that is
/// nested too deep to be read is handed on as one that is too deep to be taken.
pub(super) fn handed_on(exit: &ContainerStateTerminated) -> Option<Map<String, Value>> {
    let message = exit.message.as_deref().filter(|message| exit.exit_code == 0 && message.len() <= MAX_HANDED_ON)?;
    read_fields(message.trim())
}

/// What a container said that did not end well: its termination message, or the end of its log.
fn said(exit: &ContainerStateTerminated) -> Option<&str> {
    exit.message.as_deref().filter(|_| exit.exit_code != 0)
}

/// What a container's own exit code says.
fn answer(exit: &ContainerStateTerminated) -> ChildState {
    if exit.exit_code == 0 {
        return ChildState::Succeeded(handed_on(exit));
    }
    let reason = line(exit.reason.as_ref()).map(|reason| format!(" ({reason})")).unwrap_or_default();
    let message = ending_in(&format!("exit code {}{reason}", exit.exit_code), said(exit));
    ChildState::Failed(Failure { exit_code: Some(exit.exit_code), ..failure(Reached::Answer, message) })
}

/// The failure of a Pod in which no container started.
fn nothing(pod: &Pod) -> ChildState {
    let what = if never_bound(pod) { "was bound to no node" } else { "no container started" };
    ChildState::Failed(Failure { disrupted: disrupted(pod), ..failure(Reached::Nothing, with_cause(what, pod)) })
}

const fn failure(reached: Reached, message: String) -> Failure {
    Failure { reached, last: false, exit_code: None, disrupted: false, retry_after: None, message }
}

const fn unknown(message: String) -> ChildState {
    ChildState::Unknown { message, retry_after: None }
}

/// Whether a Pod in the phase `Failed` provably ran nothing.
fn never_started(pod: &Pod) -> bool {
    !may_have_started(pod) && (never_bound(pod) || kubelet_wrote_end(pod))
}

/// Whether anything shows that the container, or what a template runs before it, started, now or earlier.
fn may_have_started(pod: &Pod) -> bool {
    step_may_have_started(pod) || pod_init::may_have_started(pod)
}

/// Whether anything in the container's status shows that it started, now or earlier.
fn step_may_have_started(pod: &Pod) -> bool {
    let Some(step) = step(pod) else { return false };
    let state = step.state.as_ref();
    let trace_of_earlier = step.last_state.as_ref().is_some_and(|last| last.running.is_some() || last.terminated.is_some());
    let running = state.is_some_and(|state| state.running.is_some()) || step.started == Some(true);
    let ended = state.and_then(|state| state.terminated.as_ref()).is_some_and(|exit| {
        // The kubelet replaces the state of a container that it cannot find, but leaves the id that it had.
        ran(exit) || (nobody_saw(exit) && line(step.container_id.as_ref()).is_some())
    });
    trace_of_earlier || step.restart_count > 0 || running || ended
}

/// Whether an ended container had started. The runtime writes the beginning of 1970 for one that had not; a time that is missing is the
/// kubelet's own stand-in, unless an exit code came with a reason of its own.
pub(super) fn ran(exit: &ContainerStateTerminated) -> bool {
    match (line(exit.reason.as_ref()).as_deref(), &exit.started_at) {
        (Some(reason), _) if NO_START.contains(&reason) => false,
        (Some("ContainerStatusUnknown"), None) => false,
        (Some("Unknown"), _) | (_, None) => true,
        (_, Some(started)) => started.0 > Timestamp::UNIX_EPOCH,
    }
}

/// Whether the kubelet, which knows what it started, set the phase `Failed`: it gives a reason or the container's end. The garbage
/// collector of Pods sets the phase of Pods on lost nodes over statuses that may be old.
fn kubelet_wrote_end(pod: &Pod) -> bool {
    let collected = disruption(pod).is_some_and(|condition| line(condition.reason.as_ref()).as_deref() == Some("DeletionByPodGC"));
    let by_kubelet = match reason(pod).as_deref() {
        Some(reason) => reason != "NodeLost",
        None => exit(pod).is_some(),
    };
    by_kubelet && (!collected || exit(pod).is_some())
}

/// The end that the container's own program made.
fn own_exit(pod: &Pod) -> Option<&ContainerStateTerminated> {
    exit(pod).filter(|exit| ran(exit) && !from_outside(pod, exit))
}

/// Whether somebody or something other than the container's own program may have ended it.
fn from_outside(pod: &Pod, exit: &ContainerStateTerminated) -> bool {
    let out_of_memory = line(exit.reason.as_ref()).as_deref() == Some("OOMKilled");
    reason(pod).is_some() || disruption(pod).is_some() || nobody_saw(exit) || (deleting(pod) && by_signal(exit) && !out_of_memory)
}

/// Whether the Pod was taken from its node, or turned away by it, for a reason that lies with the cluster.
fn disrupted(pod: &Pod) -> bool {
    let by_node = |reason: &str| NODE_REASONS.contains(&reason) || reason.starts_with("OutOf");
    disruption(pod).is_some() || reason(pod).as_deref().is_some_and(by_node)
}

fn nobody_saw(exit: &ContainerStateTerminated) -> bool {
    line(exit.reason.as_ref()).is_some_and(|reason| NOBODY_SAW.contains(&reason.as_str()))
}

/// Shells and runtimes report death by signal n as 128 + n.
fn by_signal(exit: &ContainerStateTerminated) -> bool {
    (129..=255).contains(&exit.exit_code)
}

/// Whether a container runs that is not the one of this name.
pub(super) fn runs_beside(deciding: &str, container: &ContainerStatus) -> bool {
    container.name != deciding && container.state.as_ref().is_some_and(|state| state.running.is_some())
}

fn other_runs(pod: &Pod) -> bool {
    let deciding = pod::deciding(pod);
    status(pod).is_some_and(|status| status.container_statuses.iter().flatten().any(|container| runs_beside(deciding, container)))
}

/// What happened to a Pod, and why, as far as it says: the Pod's reason or its disruption, what its container waited for, and the end of
/// what that said.
fn with_cause(what: &str, pod: &Pod) -> String {
    let of_pod = status(pod).and_then(|status| labelled(status.reason.as_ref(), status.message.as_ref()));
    let of_disruption = || disruption(pod).and_then(|condition| labelled(condition.reason.as_ref(), condition.message.as_ref()));
    let of_end = of_pod.or_else(of_disruption).or_else(|| deleting(pod).then(|| "was deleted".into()));
    let seen = exit(pod).filter(|exit| !nobody_saw(exit));
    let of_container = container_state(pod).filter(|state| state.terminated.is_none()).and_then(|state| {
        let waiting = state.waiting.as_ref()?;
        let before = pod_init::waiting(pod).and_then(|(_, waiting)| labelled(waiting.reason.as_ref(), waiting.message.as_ref()));
        before.or_else(|| labelled(waiting.reason.as_ref(), waiting.message.as_ref()))
    });
    let of_container = of_container.or_else(|| line(seen?.reason.as_ref()));
    let of_unscheduled = || unscheduled(pod).and_then(|condition| labelled(condition.reason.as_ref(), condition.message.as_ref()));
    let known: Vec<String> = [of_end, of_container.or_else(of_unscheduled)].into_iter().flatten().collect();
    let told = seen.and_then(said).filter(|said| !one_line(said).is_empty());
    if known.is_empty() && told.is_none() {
        // The stand-in for a container that nobody found says little, but more than nothing.
        let stand_in = exit(pod).and_then(|exit| Some((line(exit.reason.as_ref())?, said(exit))));
        let (reason, said) = stand_in.unwrap_or_else(|| ("no reason is given".into(), None));
        return ending_in(&format!("{what}: {reason}"), said);
    }
    let head = if known.is_empty() { what.to_owned() } else { format!("{what}: {}", known.join("; ")) };
    ending_in(&head, told)
}

fn status(pod: &Pod) -> Option<&PodStatus> {
    pod.status.as_ref()
}

pub(super) fn phase(pod: &Pod) -> String {
    status(pod).and_then(|status| line(status.phase.as_ref())).unwrap_or_default()
}

pub(super) fn reason(pod: &Pod) -> Option<String> {
    line(status(pod)?.reason.as_ref())
}

pub(super) fn deleting(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

fn node_name(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

pub(super) fn node(pod: &Pod) -> String {
    node_name(pod).map_or_else(|| "its node".into(), |name| format!("node {name}"))
}

fn condition<'a>(pod: &'a Pod, type_: &str, value: &str) -> Option<&'a PodCondition> {
    let conditions = status(pod)?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_).filter(|condition| one_line(&condition.status) == value)
}

fn disruption(pod: &Pod) -> Option<&PodCondition> {
    condition(pod, DISRUPTION, "True")
}

pub(super) fn unscheduled(pod: &Pod) -> Option<&PodCondition> {
    condition(pod, SCHEDULED, "False")
}

/// The status of the container that decides.
fn step(pod: &Pod) -> Option<&ContainerStatus> {
    let deciding = pod::deciding(pod);
    status(pod)?.container_statuses.iter().flatten().find(|container| container.name == deciding)
}

pub(super) fn container_state(pod: &Pod) -> Option<&ContainerState> {
    step(pod)?.state.as_ref()
}

fn exit(pod: &Pod) -> Option<&ContainerStateTerminated> {
    container_state(pod)?.terminated.as_ref()
}

#[cfg(test)]
mod tests;
