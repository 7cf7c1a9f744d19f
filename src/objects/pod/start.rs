//! Decides whether any container of a Pod ever started.
//!
//! # Guarantees
//! A Pod *never started* only if it was never bound to a node, or if the final status that the
//! kubelet wrote shows no started container.
//!
//! # Caveats
//! After a restart, a kubelet may reject a Pod that it ran before and clear the container statuses.
//! Such a Pod counts as never started, since nothing in the Pod shows otherwise. The next attempt
//! repeats the idempotency key.

use k8s_openapi::api::core::v1::Pod;

use super::{
    fields::{disruption, exit, node_name, ran, reason, step},
    init,
    outside::nobody_saw,
};
use crate::{objects::unreadable::is_unreadable, text::line};

/// Returns whether the Pod was bound to no node, so that nothing of the Pod ever ran. A Pod that
/// cannot be read may be bound.
#[must_use]
pub fn never_bound(pod: &Pod) -> bool {
    node_name(pod).is_none() && !is_unreadable(pod)
}

/// Returns whether it is certain that a Pod in the phase `Failed` ran nothing.
pub(in crate::objects) fn never_started(pod: &Pod) -> bool {
    !may_have_started(pod) && (never_bound(pod) || kubelet_wrote_end(pod))
}

/// Returns whether any sign shows that the deciding container, or an init container of a template,
/// started, now or earlier.
pub(in crate::objects) fn may_have_started(pod: &Pod) -> bool {
    step_may_have_started(pod) || init::may_have_started(pod)
}

/// Returns whether the status of the deciding container shows that it started, now or earlier.
pub(in crate::objects) fn step_may_have_started(pod: &Pod) -> bool {
    let Some(step) = step(pod) else { return false };
    let state = step.state.as_ref();
    let trace_of_earlier = step
        .last_state
        .as_ref()
        .is_some_and(|last| last.running.is_some() || last.terminated.is_some());
    let running = state.is_some_and(|state| state.running.is_some()) || step.started == Some(true);
    let ended = state.and_then(|state| state.terminated.as_ref()).is_some_and(|exit| {
        // The kubelet replaces the state of a container that it cannot find, but keeps the
        // container's id.
        ran(exit) || (nobody_saw(exit) && line(step.container_id.as_ref()).is_some())
    });
    trace_of_earlier || step.restart_count > 0 || running || ended
}

/// Returns whether the kubelet set the phase `Failed`: then there is a reason or the end of the
/// container. The kubelet knows which containers it started. The garbage collector of Pods also
/// sets the phase of Pods on lost nodes, and the statuses of these Pods may be old.
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
