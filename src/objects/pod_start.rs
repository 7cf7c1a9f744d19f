//! Whether anything of a Pod ever started.
//!
//! # Guarantees
//! A Pod *never started* only if it was never bound to a node, or if a status that the kubelet wrote at its end shows no container started.
//!
//! # Caveats
//! A kubelet that was restarted may turn away a Pod that it ran before, and then empties the container statuses: such a Pod reads as
//! never started. Nothing in it tells otherwise; its next attempt repeats the idempotency key.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};

use super::{
    pod_fields::{disruption, exit, node_name, reason, step},
    pod_init,
    pod_outside::nobody_saw,
};
use crate::text::line;

/// What a container runtime writes for a container whose program could not be started.
const NO_START: [&str; 2] = ["StartError", "ContainerCannotRun"];

/// Whether the Pod was bound to no node, so that nothing of it ever ran.
#[must_use]
pub fn never_bound(pod: &Pod) -> bool {
    node_name(pod).is_none()
}

/// Whether a Pod in the phase `Failed` provably ran nothing.
pub(super) fn never_started(pod: &Pod) -> bool {
    !may_have_started(pod) && (never_bound(pod) || kubelet_wrote_end(pod))
}

/// Whether anything shows that the container, or what a template runs before it, started, now or earlier.
pub(super) fn may_have_started(pod: &Pod) -> bool {
    step_may_have_started(pod) || pod_init::may_have_started(pod)
}

/// Whether anything in the container's status shows that it started, now or earlier.
pub(super) fn step_may_have_started(pod: &Pod) -> bool {
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
