//! Whether anything of a Pod ever started.
//!
//! # Guarantees
//! A Pod *never started* only if it was never bound to a node, or if a status that the kubelet
//! wrote at its end shows no container started.
//!
//! # Caveats
//! A kubelet that was restarted may turn away a Pod that it ran before, and then empties the
//! container statuses: such a Pod reads as never started. Nothing in it tells otherwise; its next
//! attempt repeats the idempotency key.

use k8s_openapi::api::core::v1::Pod;

use super::{
    fields::{disruption, exit, node_name, ran, reason, step},
    init,
    outside::nobody_saw,
};
use crate::text::line;

/// Whether the Pod was bound to no node, so that nothing of it ever ran.
#[must_use]
pub fn never_bound(pod: &Pod) -> bool {
    node_name(pod).is_none()
}

/// Whether a Pod in the phase `Failed` provably ran nothing.
pub(crate) fn never_started(pod: &Pod) -> bool {
    !may_have_started(pod) && (never_bound(pod) || kubelet_wrote_end(pod))
}

/// Whether anything shows that the container, or what a template runs before it, started, now or
/// earlier.
pub(crate) fn may_have_started(pod: &Pod) -> bool {
    step_may_have_started(pod) || init::may_have_started(pod)
}

/// Whether anything in the container's status shows that it started, now or earlier.
pub(crate) fn step_may_have_started(pod: &Pod) -> bool {
    let Some(step) = step(pod) else { return false };
    let state = step.state.as_ref();
    let trace_of_earlier = step
        .last_state
        .as_ref()
        .is_some_and(|last| last.running.is_some() || last.terminated.is_some());
    let running = state.is_some_and(|state| state.running.is_some()) || step.started == Some(true);
    let ended = state.and_then(|state| state.terminated.as_ref()).is_some_and(|exit| {
        // The kubelet replaces the state of a container that it cannot find, but leaves the id that
        // it had.
        ran(exit) || (nobody_saw(exit) && line(step.container_id.as_ref()).is_some())
    });
    trace_of_earlier || step.restart_count > 0 || running || ended
}

/// Whether the kubelet, which knows what it started, set the phase `Failed`: it gives a reason or
/// the container's end. The garbage collector of Pods sets the phase of Pods on lost nodes over
/// statuses that may be old.
fn kubelet_wrote_end(pod: &Pod) -> bool {
    let collected = disruption(pod).is_some_and(|condition| {
        line(condition.reason.as_ref()).as_deref() == Some("DeletionByPodGC")
    });
    let by_kubelet = match reason(pod).as_deref() {
        Some(reason) => reason != "NodeLost",
        None => exit(pod).is_some(),
    };
    by_kubelet && (!collected || exit(pod).is_some())
}
