//! Whether a Pod was told to go before it ended, and who or what may have ended it.
//!
//! # Guarantees
//! - A Pod is *told to go* by its deletion, whoever asks for it (the operator itself at the
//!   attempt's time limit, a drain, a person), by the condition `DisruptionTarget`, and by the
//!   kubelet's word in `status.reason` (`Evicted`, `DeadlineExceeded`, `Terminated`, …; it writes
//!   none for a container that ended by itself).
//! - Exit code 0 means done where the container ended before it was told to go: where this version
//!   of the Pod shows nothing of the kind, or where the end lies more than 10 s before the deletion
//!   was asked for. Programs end with 0 on SIGTERM, too, with half their work done.
//!   `finishesOnSigterm` is the word of the step's author that exit code 0 always means done.
//!
//! # Caveats
//! `OOMKilled` is an exit code: the container went past its own limit. So is every signal that
//! nobody outside is known to have sent.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};

use super::fields::{deleting, disruption, exit, finishes_on_sigterm, reason};
use crate::{
    mutants::{Twin, broken},
    text::line,
};

/// By how much the end has to lie before the deletion: the clocks of a node and of the API server,
/// each in whole seconds.
pub(crate) const CLEARLY: Duration = Duration::from_secs(10);
/// What the kubelet, and containerd after a restart of the node, write for a container whose end
/// nobody saw.
const NOBODY_SAW: [&str; 2] = ["ContainerStatusUnknown", "Unknown"];
/// With which a kubelet ends or turns away a Pod for the node's sake; `OutOf…` (`OutOfcpu`) comes
/// on top.
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

/// Whether anything in the Pod tells it to go.
pub(crate) fn told_to_go(pod: &Pod) -> bool {
    deleting(pod) || disruption(pod).is_some() || reason(pod).is_some()
}

/// Whether exit code 0 of this Pod means that its work is done.
pub(crate) fn zero_means_done(pod: &Pod) -> bool {
    !told_to_go(pod)
        || finishes_on_sigterm(pod)
        || ended_before_deletion(pod)
        || broken(Twin::ZeroIsDone)
}

/// Whether the container ended clearly before the deletion was asked for. With a reason of the
/// kubelet the deletion was not what ended it.
fn ended_before_deletion(pod: &Pod) -> bool {
    let ended = exit(pod).and_then(|exit| exit.finished_at.as_ref()).map(|at| at.0);
    let ended = ended.filter(|at| *at > Timestamp::UNIX_EPOCH && reason(pod).is_none());
    // The API server stores the instant at which the grace ends.
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

/// Whether somebody or something other than the container's own program may have ended it, or,
/// where it exited with 0, may have been why.
pub(crate) fn from_outside(pod: &Pod, exit: &ContainerStateTerminated) -> bool {
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

/// Whether the Pod was taken from its node, or turned away by it, for a reason that lies with the
/// cluster.
pub(crate) fn disrupted(pod: &Pod) -> bool {
    let by_node = |reason: &str| NODE_REASONS.contains(&reason) || reason.starts_with("OutOf");
    disruption(pod).is_some() || reason(pod).as_deref().is_some_and(by_node)
}

pub(crate) fn nobody_saw(exit: &ContainerStateTerminated) -> bool {
    line(exit.reason.as_ref()).is_some_and(|reason| NOBODY_SAW.contains(&reason.as_str()))
}

/// Shells and runtimes report death by signal n as 128 + n.
pub(crate) fn by_signal(exit: &ContainerStateTerminated) -> bool {
    (129..=255).contains(&exit.exit_code)
}
