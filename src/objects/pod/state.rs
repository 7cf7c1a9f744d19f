//! Derives the state of an attempt from a Pod: the attempt succeeded, failed, is unknown, or is
//! still active, and what an active Pod waits for.
//!
//! The outcome is the outcome of the [`deciding`](super::fields::deciding) container. Containers
//! beside it, including those that a webhook added, do not count. A failure of an init container of
//! a template may replace the failure of the deciding container.
//!
//! # Guarantees
//! - A Pod has *succeeded* only if its container exited with 0 before the Pod was told to stop
//!   ([`outside`](super::outside)).
//! - A Pod has *failed* only if its container ended on its own with an exit code other than 0, or
//!   never started ([`start`](super::start)). Every other end is *unknown*.
//! - Four signs show an end from outside: the kubelet's reason in `status.reason`, the condition
//!   `DisruptionTarget`, the placeholder reason of a container that was not found
//!   (`ContainerStatusUnknown`; `Unknown` after a restart of the node), or a deletion together with
//!   the exit code of a signal.
//! - The kubelet writes the end of the container first. It writes the Pod's phase and the reason
//!   together when nothing runs any more. An exit code other than 0 therefore does not count before
//!   the phase: until then an eviction looks like a failure. If another container keeps the Pod
//!   running, [`held_up`] tells the two apart.
//! - No status, however malformed, causes a panic. Every message is one line of at most 256
//!   characters. The reasons come first, then the end of the container's output, since the end of a
//!   log shows what went wrong.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use serde_json::{Map, Value};

use super::{
    fields::{
        container_state, deleting, disruption, exit, node, other_runs, phase, ran, status,
        unscheduled,
    },
    outside::{by_signal, disrupted, from_outside, nobody_saw, zero_means_done},
    progress::detail,
    start::{may_have_started, never_started, step_may_have_started},
};
use crate::{
    api::json::read_fields,
    model::observation::{ChildState, End, Failure, Reached},
    objects::pod,
    text::{ending_in, labelled, line, one_line},
};

pub use super::start::never_bound;

/// The maximum length of a termination message in bytes. The kubelet keeps no more.
const MAX_HANDED_ON: usize = 4096;
/// How long after the end of its grace period a Pod may still run before its node counts as not
/// answering.
const STUCK_AFTER: Duration = Duration::from_mins(1);
/// The grace period in seconds of a Pod whose spec names none.
const DEFAULT_GRACE: i64 = 30;
/// How long after its grace period a Pod with a running container counts as not being ended from
/// outside.
const HELD_UP_AFTER: Duration = Duration::from_secs(30);

/// Returns the state of a Pod that exists or was just seen. `age` is how long this process has
/// known the Pod; it is only passed on.
#[must_use]
pub fn state(pod: &Pod, age: Duration) -> ChildState {
    if let Some(end) = end(pod) {
        return ChildState::Ended(end);
    }
    let (detail, trouble) = detail(pod);
    ChildState::Active { uid: pod.metadata.uid.clone(), age, detail, trouble }
}

/// Returns the outcome of a Pod that is gone. `last` must be the copy that the deletion event
/// delivered, which holds the last status of the Pod. An earlier copy proves nothing about a Pod
/// that had not ended: the Pod may have been bound to a node since.
#[must_use]
pub fn gone(last: &Pod) -> End {
    match end(last) {
        Some(end) => end,
        None if never_bound(last) && !may_have_started(last) => nothing(last),
        None => unknown(one_line(&format!("was deleted while it may have run on {}", node(last)))),
    }
}

/// Returns whether the outcome of the attempt is final: [`state`] is not `Active`.
fn ended(pod: &Pod) -> bool {
    end(pod).is_some()
}

/// Returns a message if a Pod may still run although its deletion should have ended it more than 60
/// s ago, because its node does not answer. Returns `None` if the Pod is not terminating, still has
/// time, or has ended and is kept by a finalizer.
#[must_use]
pub fn stuck(pod: &Pod, now: Timestamp) -> Option<String> {
    // The API server stores the instant at which the grace period ends, not the instant of the
    // deletion request.
    let grace_ends = pod.metadata.deletion_timestamp.as_ref()?.0;
    let late =
        Duration::try_from(now.duration_since(grace_ends)).is_ok_and(|late| late > STUCK_AFTER);
    (late && !ended(pod)).then(|| one_line(&format!("may still run on {}", node(pod))))
}

/// Returns the outcome of the attempt, if it has ended.
pub fn end(pod: &Pod) -> Option<End> {
    match phase(pod).as_str() {
        "Succeeded" if zero_means_done(pod) => Some(End::Succeeded(exit(pod).and_then(handed_on))),
        "Succeeded" => Some(told_and_done(pod)),
        "Failed" => Some(end_of_failed(pod)),
        // The API server binds no terminating Pod to a node. A finalizer keeps this Pod.
        _ if deleting(pod) && never_bound(pod) && !may_have_started(pod) => Some(nothing(pod)),
        _ => end_before_phase(pod),
    }
}

/// Returns the outcome of a Pod in the phase `Failed`.
fn end_of_failed(pod: &Pod) -> End {
    if never_started(pod) {
        return nothing(pod);
    }
    if let Some(end) = end_of_init(pod) {
        return end;
    }
    match (own_exit(pod), exit(pod)) {
        (Some(own), _) => answer(own),
        (None, Some(exit)) if exit.exit_code == 0 => told_and_done(pod),
        (None, Some(exit)) => unknown(with_cause(
            &format!("was ended with exit code {} and may have done its work", exit.exit_code),
            pod,
        )),
        (None, None) => unknown(with_cause("may have done its work", pod)),
    }
}

/// Returns the failure of an init container of a template, if the init container failed on its own.
fn end_of_init(pod: &Pod) -> Option<End> {
    let (name, exit) = pod::init::failed(pod)
        .filter(|(_, exit)| !step_may_have_started(pod) && !from_outside(pod, exit))?;
    let reason =
        line(exit.reason.as_ref()).map(|reason| format!(" ({reason})")).unwrap_or_default();
    let message = ending_in(
        &format!("init container {}: exit code {}{reason}", one_line(name), exit.exit_code),
        said(exit),
    );
    Some(End::Failed(Failure::new(Reached::Answer, message)))
}

/// Returns the unknown outcome of a Pod whose container exited with 0 after the Pod was told to
/// stop.
fn told_and_done(pod: &Pod) -> End {
    const WHAT: &str = "was ended with exit code 0 and may have done its work (finishesOnSigterm: \
        true would say that it has)";
    unknown(with_cause(WHAT, pod))
}

/// Returns the outcome of the container in a Pod that has not ended. Exit code 0 counts at once.
/// Any other exit code counts only while another container keeps the Pod running and nothing is
/// known to end the Pod. The exit code of a signal does not count: it may be the first sign of an
/// eviction.
fn end_before_phase(pod: &Pod) -> Option<End> {
    let exit = exit(pod)?;
    let own = own_exit(pod);
    if own.is_some_and(|own| own.exit_code == 0) {
        return Some(End::Succeeded(own.and_then(handed_on)));
    }
    if by_signal(exit) || !other_runs(pod) || deleting(pod) || from_outside(pod, exit) {
        return None;
    }
    own.map(answer).or_else(|| (!may_have_started(pod)).then(|| nothing(pod)))
}

/// Returns the failure by a signal of the container in a Pod that another container keeps running,
/// and how long the signal may be the beginning of an end from outside. Whoever ends a Pod gives
/// all its containers the same grace period. If the other container still runs after that time, the
/// signal did not come from outside.
#[must_use]
pub fn held_up(pod: &Pod) -> Option<(End, Duration)> {
    let own = own_exit(pod)
        .filter(|own| by_signal(own) && !deleting(pod) && other_runs(pod) && end(pod).is_none())?;
    let grace = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.termination_grace_period_seconds)
        .unwrap_or(DEFAULT_GRACE);
    let grace = Duration::from_secs(u64::try_from(grace).unwrap_or_default());
    Some((answer(own), grace.saturating_add(HELD_UP_AFTER)))
}

/// Returns whether the container exited with 0, even if the Pod was told to stop before.
pub(in crate::objects) fn exited_with_zero(pod: &Pod) -> bool {
    exit(pod)
        .map_or_else(|| phase(pod) == "Succeeded", |exit| exit.exit_code == 0 && !nobody_saw(exit))
}

/// Returns the outputs of a container that exited with 0.
pub(in crate::objects) fn last_word(pod: &Pod) -> Option<Map<String, Value>> {
    exit(pod).filter(|_| exited_with_zero(pod)).and_then(handed_on)
}

/// Returns the JSON object in the termination message of a container that exited with 0. A message
/// that the kubelet truncated is no JSON object any more. An object that is nested too deeply to be
/// read is returned in a form that is rejected later as too deep.
pub(in crate::objects) fn handed_on(exit: &ContainerStateTerminated) -> Option<Map<String, Value>> {
    let message = exit
        .message
        .as_deref()
        .filter(|message| exit.exit_code == 0 && message.len() <= MAX_HANDED_ON)?;
    read_fields(message.trim())
}

/// Returns the output of a container that failed: its termination message, or the end of its log.
fn said(exit: &ContainerStateTerminated) -> Option<&str> {
    exit.message.as_deref().filter(|_| exit.exit_code != 0)
}

/// Returns the outcome that the container's own exit code gives.
fn answer(exit: &ContainerStateTerminated) -> End {
    if exit.exit_code == 0 {
        return End::Succeeded(handed_on(exit));
    }
    let reason =
        line(exit.reason.as_ref()).map(|reason| format!(" ({reason})")).unwrap_or_default();
    let message = ending_in(&format!("exit code {}{reason}", exit.exit_code), said(exit));
    let exit_code = Some(exit.exit_code);
    End::Failed(Failure { exit_code, ..Failure::new(Reached::Answer, message) })
}

/// Returns the failure of a Pod in which no container started.
fn nothing(pod: &Pod) -> End {
    let what = if never_bound(pod) { "was bound to no node" } else { "no container started" };
    End::Failed(Failure {
        disrupted: disrupted(pod),
        ..Failure::not_started(with_cause(what, pod))
    })
}

const fn unknown(message: String) -> End {
    End::Unknown { message, retry_after: None }
}

/// Returns the end of the container if its own program ended it.
fn own_exit(pod: &Pod) -> Option<&ContainerStateTerminated> {
    exit(pod).filter(|exit| ran(exit) && !from_outside(pod, exit))
}

/// Returns the message for the end of a Pod: `what` happened, the Pod's reason or its disruption,
/// what its container waited for, and the end of the container's output.
fn with_cause(what: &str, pod: &Pod) -> String {
    let of_pod =
        status(pod).and_then(|status| labelled(status.reason.as_ref(), status.message.as_ref()));
    let of_disruption = || {
        disruption(pod)
            .and_then(|condition| labelled(condition.reason.as_ref(), condition.message.as_ref()))
    };
    let of_end =
        of_pod.or_else(of_disruption).or_else(|| deleting(pod).then(|| "was deleted".into()));
    let seen = exit(pod).filter(|exit| !nobody_saw(exit));
    let of_container =
        container_state(pod).filter(|state| state.terminated.is_none()).and_then(|state| {
            let waiting = state.waiting.as_ref()?;
            let before = pod::init::waiting(pod).and_then(|(_, waiting)| {
                labelled(waiting.reason.as_ref(), waiting.message.as_ref())
            });
            before.or_else(|| labelled(waiting.reason.as_ref(), waiting.message.as_ref()))
        });
    let of_container = of_container.or_else(|| line(seen?.reason.as_ref()));
    let of_unscheduled = || {
        unscheduled(pod)
            .and_then(|condition| labelled(condition.reason.as_ref(), condition.message.as_ref()))
    };
    let known: Vec<String> =
        [of_end, of_container.or_else(of_unscheduled)].into_iter().flatten().collect();
    let told = seen.and_then(said).filter(|said| !one_line(said).is_empty());
    if known.is_empty() && told.is_none() {
        // The placeholder for a container that was not found says little, but more than no reason.
        let stand_in = exit(pod).and_then(|exit| Some((line(exit.reason.as_ref())?, said(exit))));
        let (reason, said) = stand_in.unwrap_or_else(|| ("no reason is given".into(), None));
        return ending_in(&format!("{what}: {reason}"), said);
    }
    let head =
        if known.is_empty() { what.to_owned() } else { format!("{what}: {}", known.join("; ")) };
    ending_in(&head, told)
}

#[cfg(test)]
mod tests;
