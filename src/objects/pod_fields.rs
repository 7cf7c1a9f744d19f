//! The fields of a Pod that its readers look at.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodCondition, PodStatus};

use super::pod;
use crate::text::{line, one_line};

/// The condition that scheduler, eviction, taints, garbage collection and kubelet set on a Pod that they end.
pub(super) const DISRUPTION: &str = "DisruptionTarget";
/// The condition that says whether, or why not, a Pod is bound to a node.
pub(super) const SCHEDULED: &str = "PodScheduled";

pub(super) fn status(pod: &Pod) -> Option<&PodStatus> {
    pod.status.as_ref()
}

pub(super) fn phase(pod: &Pod) -> String {
    status(pod).and_then(|status| line(status.phase.as_ref())).unwrap_or_default()
}

/// The kubelet's word for an end that it made.
pub(super) fn reason(pod: &Pod) -> Option<String> {
    line(status(pod)?.reason.as_ref())
}

pub(super) fn deleting(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

pub(super) fn node_name(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

/// Its node, in words.
pub(super) fn node(pod: &Pod) -> String {
    node_name(pod).map_or_else(|| "its node".into(), |name| format!("node {name}"))
}

fn condition<'a>(pod: &'a Pod, type_: &str, value: &str) -> Option<&'a PodCondition> {
    let conditions = status(pod)?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_).filter(|condition| one_line(&condition.status) == value)
}

pub(super) fn disruption(pod: &Pod) -> Option<&PodCondition> {
    condition(pod, DISRUPTION, "True")
}

pub(super) fn unscheduled(pod: &Pod) -> Option<&PodCondition> {
    condition(pod, SCHEDULED, "False")
}

/// The status of the container that decides.
pub(super) fn step(pod: &Pod) -> Option<&ContainerStatus> {
    let deciding = pod::deciding(pod);
    status(pod)?.container_statuses.iter().flatten().find(|container| container.name == deciding)
}

pub(super) fn container_state(pod: &Pod) -> Option<&ContainerState> {
    step(pod)?.state.as_ref()
}

/// The end of the container that decides.
pub(super) fn exit(pod: &Pod) -> Option<&ContainerStateTerminated> {
    container_state(pod)?.terminated.as_ref()
}

/// Whether a container runs that is not the one of this name.
pub(super) fn runs_beside(deciding: &str, container: &ContainerStatus) -> bool {
    container.name != deciding && container.state.as_ref().is_some_and(|state| state.running.is_some())
}

/// Whether a container runs beside the one that decides.
pub(super) fn other_runs(pod: &Pod) -> bool {
    let deciding = pod::deciding(pod);
    status(pod).is_some_and(|status| status.container_statuses.iter().flatten().any(|container| runs_beside(deciding, container)))
}
