//! Reads a Pod's state: whether its attempt succeeded, failed, may have happened, or goes on, and
//! what it waits for.
//!
//! The outcome is that of one container, [`deciding`](super::fields::deciding); what stands or a
//! webhook put beside it has no say. What a template runs before it may fail in its stead.
//!
//! # Guarantees
//! - A Pod has *succeeded* only if its container exited with 0 before it was told to go
//!   ([`outside`](super::outside)).
//! - It has *failed* only if its container ended by itself with an exit code other than 0, or never
//!   started ([`start`](super::start)). Every other end is *unknown*.
//! - An end from outside is told by the kubelet's word in `status.reason`, by the condition
//!   `DisruptionTarget`, by the words that stand in for a container nobody found
//!   (`ContainerStatusUnknown`; `Unknown` after a restart of the node), or by a deletion together
//!   with a signal's exit code.
//! - The kubelet writes the container's end first, and only when nothing runs any more the Pod's
//!   phase together with the reason. An exit code other than 0 therefore waits for the phase:
//!   before, an eviction looks like a failure. Where another container holds the Pod up, the end is
//!   told apart by [`held_up`].
//! - No status, however odd, makes this panic, and what it says is one line of at most 256
//!   characters: the reasons first, then the end of what the container said, since a log tells at
//!   its end what went wrong.

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
    model::observation::{ChildState, Failure, Reached},
    objects::pod,
    text::{ending_in, labelled, line, one_line},
};

pub use super::start::never_bound;

/// The longest termination message that a container may leave, in bytes; the kubelet keeps no more.
const MAX_HANDED_ON: usize = 4096;
/// How long a Pod may outlive the end of its grace before its node counts as not answering.
const STUCK_AFTER: Duration = Duration::from_mins(1);
/// The grace of a Pod whose spec says none, in seconds.
const DEFAULT_GRACE: i64 = 30;
/// How long after its grace a Pod of which a container still runs counts as one that nobody ends.
const HELD_UP_AFTER: Duration = Duration::from_secs(30);

/// The state of a Pod that exists, or was just seen. `age` is how long this process has known it,
/// and is only passed on.
#[must_use]
pub fn state(pod: &Pod, age: Duration) -> ChildState {
    end(pod).unwrap_or_else(|| {
        let (detail, trouble) = detail(pod);
        ChildState::Active { uid: pod.metadata.uid.clone(), age, detail, trouble }
    })
}

/// The state of a Pod that is gone, judged by the copy that its deletion delivered, which holds the
/// last status it ever had. A copy from earlier proves nothing about a Pod that had not ended: it
/// may have been bound since.
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

/// Says that a Pod may still run although its deletion should have ended it more than 60 s ago: its
/// node does not answer. `None` while it is not deleted, still has time, or has ended and is kept
/// by somebody's finalizer.
#[must_use]
pub fn stuck(pod: &Pod, now: Timestamp) -> Option<String> {
    // The API server sets the instant at which the grace ends, not the one of the request.
    let grace_ends = pod.metadata.deletion_timestamp.as_ref()?.0;
    let late =
        Duration::try_from(now.duration_since(grace_ends)).is_ok_and(|late| late > STUCK_AFTER);
    (late && !ended(pod)).then(|| one_line(&format!("may still run on {}", node(pod))))
}

/// How the attempt ended, if it did.
fn end(pod: &Pod) -> Option<ChildState> {
    match phase(pod).as_str() {
        "Succeeded" if zero_means_done(pod) => {
            Some(ChildState::Succeeded(exit(pod).and_then(handed_on)))
        }
        "Succeeded" => Some(told_and_done(pod)),
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
        (None, Some(exit)) if exit.exit_code == 0 => told_and_done(pod),
        (None, Some(exit)) => unknown(with_cause(
            &format!("was ended with exit code {} and may have done its work", exit.exit_code),
            pod,
        )),
        (None, None) => unknown(with_cause("may have done its work", pod)),
    }
}

/// The end of what a template runs before the container, where that failed by itself.
fn end_of_init(pod: &Pod) -> Option<ChildState> {
    let (name, exit) = pod::init::failed(pod)
        .filter(|(_, exit)| !step_may_have_started(pod) && !from_outside(pod, exit))?;
    let reason =
        line(exit.reason.as_ref()).map(|reason| format!(" ({reason})")).unwrap_or_default();
    let message = ending_in(
        &format!("init container {}: exit code {}{reason}", one_line(name), exit.exit_code),
        said(exit),
    );
    Some(ChildState::Failed(failure(Reached::Answer, message)))
}

/// The end of a Pod whose container exited with 0 after something told it to go.
fn told_and_done(pod: &Pod) -> ChildState {
    const WHAT: &str = "was ended with exit code 0 and may have done its work (finishesOnSigterm: \
        true would say that it has)";
    unknown(with_cause(WHAT, pod))
}

/// The end of the container in a Pod that goes on: exit code 0 counts at once, any other only while
/// another container holds the Pod up and nobody is known to end it. A signal may be the first that
/// is seen of an eviction.
fn end_before_phase(pod: &Pod) -> Option<ChildState> {
    let exit = exit(pod)?;
    let own = own_exit(pod);
    if own.is_some_and(|own| own.exit_code == 0) {
        return Some(ChildState::Succeeded(own.and_then(handed_on)));
    }
    if by_signal(exit) || !other_runs(pod) || deleting(pod) || from_outside(pod, exit) {
        return None;
    }
    own.map(answer).or_else(|| (!may_have_started(pod)).then(|| nothing(pod)))
}

/// The end by a signal of the container in a Pod that goes on because another container does, and
/// for how long that may be the beginning of an end from outside: who ends a Pod gives all its
/// containers the same grace. Where that has passed, nobody else ended this one.
#[must_use]
pub fn held_up(pod: &Pod) -> Option<(ChildState, Duration)> {
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

/// Whether the container exited with 0, be it that it was told to go before.
pub(crate) fn exited_with_zero(pod: &Pod) -> bool {
    exit(pod)
        .map_or_else(|| phase(pod) == "Succeeded", |exit| exit.exit_code == 0 && !nobody_saw(exit))
}

/// What the container hands on that exited with 0.
pub(crate) fn last_word(pod: &Pod) -> Option<Map<String, Value>> {
    exit(pod).filter(|_| exited_with_zero(pod)).and_then(handed_on)
}

/// The JSON object in the termination message of a container that ended well. What the kubelet had
/// to cut is none any more. One that is nested too deep to be read is handed on as one that is too
/// deep to be taken.
pub(crate) fn handed_on(exit: &ContainerStateTerminated) -> Option<Map<String, Value>> {
    let message = exit
        .message
        .as_deref()
        .filter(|message| exit.exit_code == 0 && message.len() <= MAX_HANDED_ON)?;
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
    let reason =
        line(exit.reason.as_ref()).map(|reason| format!(" ({reason})")).unwrap_or_default();
    let message = ending_in(&format!("exit code {}{reason}", exit.exit_code), said(exit));
    ChildState::Failed(Failure {
        exit_code: Some(exit.exit_code),
        ..failure(Reached::Answer, message)
    })
}

/// The failure of a Pod in which no container started.
fn nothing(pod: &Pod) -> ChildState {
    let what = if never_bound(pod) { "was bound to no node" } else { "no container started" };
    ChildState::Failed(Failure {
        disrupted: disrupted(pod),
        ..failure(Reached::Nothing, with_cause(what, pod))
    })
}

const fn failure(reached: Reached, message: String) -> Failure {
    Failure { reached, last: false, exit_code: None, disrupted: false, retry_after: None, message }
}

const fn unknown(message: String) -> ChildState {
    ChildState::Unknown { message, retry_after: None }
}

/// The end that the container's own program made.
fn own_exit(pod: &Pod) -> Option<&ContainerStateTerminated> {
    exit(pod).filter(|exit| ran(exit) && !from_outside(pod, exit))
}

/// What happened to a Pod, and why, as far as it says: the Pod's reason or its disruption, what its
/// container waited for, and the end of what that said.
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
        // The stand-in for a container that nobody found says little, but more than nothing.
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
