//! Decides whether a Pod was told to stop before it ended, and who or what may have ended it.
//!
//! # Guarantees
//! - A Pod is *told to stop* by its deletion, by the condition `DisruptionTarget`, or by the
//!   kubelet's reason in `status.reason` (`Evicted`, `DeadlineExceeded`, `Terminated`, …). The
//!   deletion counts whoever asks for it: the operator at the attempt's time limit, a drain, a
//!   user. The kubelet writes no reason for a container that ended on its own.
//! - Exit code 0 means that the work is done if the container ended before the Pod was told to
//!   stop. This is the case if this version of the Pod shows no sign that it was told to stop, or
//!   if the container ended more than 10 s before the deletion was requested. After SIGTERM,
//!   programs also exit with 0 when only half of their work is done. With `finishesOnSigterm` the
//!   author of the step declares that exit code 0 always means that the work is done.
//!
//! # Caveats
//! `OOMKilled` counts as an exit code: the container exceeded its own limit. Any other signal also
//! counts as an exit code unless a sender outside the container is known.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};

use super::fields::{deleting, disruption, exit, finishes_on_sigterm, reason};
use crate::{objects::rules, text::line};

/// The least time by which the end must precede the deletion. It covers the difference between the
/// clocks of a node and of the API server, each in whole seconds.
pub(in crate::objects) const CLEARLY: Duration = Duration::from_secs(10);
/// The reasons of a container whose end nobody saw. The kubelet writes them, and so does containerd
/// after a restart of the node.
const NOBODY_SAW: [&str; 2] = ["ContainerStatusUnknown", "Unknown"];
/// The reasons with which a kubelet ends or rejects a Pod because of the node. Reasons that begin
/// with `OutOf` (such as `OutOfcpu`) count too.
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

/// Returns whether anything in the Pod shows that it was told to stop.
pub(in crate::objects) fn told_to_stop(pod: &Pod) -> bool {
    deleting(pod) || disruption(pod).is_some() || reason(pod).is_some()
}

/// Returns whether exit code 0 of this Pod means that its work is done.
pub(in crate::objects) fn zero_means_done(pod: &Pod) -> bool {
    rules::zero_means_done(told_to_stop(pod), finishes_on_sigterm(pod), ended_before_deletion(pod))
}

/// Returns whether the container ended more than [`CLEARLY`] before the deletion was requested. If
/// the kubelet gives a reason, the answer is `false`: the deletion did not end the container.
fn ended_before_deletion(pod: &Pod) -> bool {
    let ended = exit(pod).and_then(|exit| exit.finished_at.as_ref()).map(|at| at.0);
    let ended = ended.filter(|at| *at > Timestamp::UNIX_EPOCH && reason(pod).is_none());
    // The API server stores the instant at which the grace period ends.
    let grace = pod
        .metadata
        .deletion_grace_period_seconds
        .and_then(|grace| u64::try_from(grace).ok())
        .map(Duration::from_secs);
    let asked = pod
        .metadata
        .deletion_timestamp
        .as_ref()
        .zip(grace)
        .and_then(|(at, grace)| at.0.checked_sub(grace).ok());
    let between = ended
        .zip(asked)
        .and_then(|(ended, asked)| Duration::try_from(asked.duration_since(ended)).ok());
    between.is_some_and(|between| between > CLEARLY)
}

/// Returns whether anything other than the container's own program may have ended the container.
/// For exit code 0: whether it may have been the reason for the exit.
pub(in crate::objects) fn from_outside(pod: &Pod, exit: &ContainerStateTerminated) -> bool {
    if nobody_saw(exit) {
        return true;
    }
    if exit.exit_code == 0 {
        return !zero_means_done(pod);
    }
    let out_of_memory = line(exit.reason.as_ref()).as_deref() == Some("OOMKilled");
    reason(pod).is_some()
        || disruption(pod).is_some()
        || (deleting(pod) && by_signal(exit) && !out_of_memory)
}

/// Returns whether the Pod was removed from its node, or rejected by it, for a reason that lies
/// with the cluster.
pub(in crate::objects) fn disrupted(pod: &Pod) -> bool {
    let by_node = |reason: &str| NODE_REASONS.contains(&reason) || reason.starts_with("OutOf");
    disruption(pod).is_some() || reason(pod).as_deref().is_some_and(by_node)
}

pub(in crate::objects) fn nobody_saw(exit: &ContainerStateTerminated) -> bool {
    line(exit.reason.as_ref()).is_some_and(|reason| NOBODY_SAW.contains(&reason.as_str()))
}

/// Returns whether the exit code reports a signal. Shells and runtimes report death by signal n as
/// 128 + n.
pub(in crate::objects) fn by_signal(exit: &ContainerStateTerminated) -> bool {
    (129..=255).contains(&exit.exit_code)
}
