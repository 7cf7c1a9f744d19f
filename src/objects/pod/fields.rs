//! The fields of a Pod that determine its state.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodCondition, PodStatus,
};

use crate::{
    api::names::is_dns_label,
    manifest::pod_template::{DECIDES, STEP_CONTAINER},
    text::{line, one_line},
};

/// The condition that the scheduler, evictions, taints, the garbage collector and the kubelet set
/// on a Pod that they end.
pub(in crate::objects) const DISRUPTION: &str = "DisruptionTarget";
/// The condition that says whether a Pod is bound to a node, and if not, why.
pub(in crate::objects) const SCHEDULED: &str = "PodScheduled";

pub(in crate::objects) fn status(pod: &Pod) -> Option<&PodStatus> {
    pod.status.as_ref()
}

pub(in crate::objects) fn phase(pod: &Pod) -> String {
    status(pod).and_then(|status| line(status.phase.as_ref())).unwrap_or_default()
}

/// Returns the kubelet's reason for an end that the kubelet caused.
pub(in crate::objects) fn reason(pod: &Pod) -> Option<String> {
    line(status(pod)?.reason.as_ref())
}

pub(in crate::objects) fn deleting(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

pub(in crate::objects) fn node_name(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

/// Returns the Pod's node in words.
pub(in crate::objects) fn node(pod: &Pod) -> String {
    node_name(pod).map_or_else(|| "its node".into(), |name| format!("node {name}"))
}

fn condition<'a>(pod: &'a Pod, type_: &str, value: &str) -> Option<&'a PodCondition> {
    let conditions = status(pod)?.conditions.as_ref()?;
    conditions
        .iter()
        .find(|condition| condition.type_ == type_)
        .filter(|condition| one_line(&condition.status) == value)
}

pub(in crate::objects) fn disruption(pod: &Pod) -> Option<&PodCondition> {
    condition(pod, DISRUPTION, "True")
}

pub(in crate::objects) fn unscheduled(pod: &Pod) -> Option<&PodCondition> {
    condition(pod, SCHEDULED, "False")
}

/// Returns the status of the deciding container.
pub(in crate::objects) fn step(pod: &Pod) -> Option<&ContainerStatus> {
    let deciding = deciding(pod);
    status(pod)?.container_statuses.iter().flatten().find(|container| container.name == deciding)
}

pub(in crate::objects) fn container_state(pod: &Pod) -> Option<&ContainerState> {
    step(pod)?.state.as_ref()
}

/// Returns the end of the deciding container.
pub(in crate::objects) fn exit(pod: &Pod) -> Option<&ContainerStateTerminated> {
    container_state(pod)?.terminated.as_ref()
}

/// Returns whether the container runs and has another name than `deciding`.
pub(in crate::objects) fn runs_beside(deciding: &str, container: &ContainerStatus) -> bool {
    container.name != deciding
        && container.state.as_ref().is_some_and(|state| state.running.is_some())
}

/// Returns whether a container runs beside the deciding container.
pub(in crate::objects) fn other_runs(pod: &Pod) -> bool {
    let deciding = deciding(pod);
    status(pod).is_some_and(|status| {
        status.container_statuses.iter().flatten().any(|container| runs_beside(deciding, container))
    })
}

/// The annotation of a Pod whose exit code 0 always means that its work is done.
pub const FINISHES: &str = "saga.dev/finishes-on-sigterm";

/// Returns the annotation [`FINISHES`] if the author of the step declares that exit code 0 always
/// means that the work is done.
pub(in crate::objects) fn finishes(said: Option<bool>) -> Option<(String, String)> {
    (said == Some(true)).then(|| (FINISHES.to_owned(), "true".to_owned()))
}

/// Returns the name of the deciding container: its exit code is the outcome of the attempt.
#[must_use]
pub fn deciding(pod: &Pod) -> &str {
    named(pod).unwrap_or(STEP_CONTAINER)
}

/// Returns whether the Pod was made from a template.
#[must_use]
pub fn is_of_template(pod: &Pod) -> bool {
    named(pod).is_some()
}

/// Returns whether exit code 0 always means that the Pod's work is done, even if the Pod was told
/// to stop before.
#[must_use]
pub fn finishes_on_sigterm(pod: &Pod) -> bool {
    pod.metadata
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(FINISHES))
        .is_some_and(|said| said == "true")
}

/// Returns the value of the annotation [`DECIDES`] if it is a valid container name.
pub(in crate::objects) fn named(pod: &Pod) -> Option<&str> {
    let name = pod.metadata.annotations.as_ref()?.get(DECIDES)?;
    Some(name.as_str()).filter(|name| is_dns_label(name))
}

/// Returns whether an ended container had started. For a container that had not started, the
/// runtime writes the beginning of 1970 as its start. With the reason `ContainerStatusUnknown`, a
/// missing start means that the end is a placeholder of the kubelet. With any other reason, or
/// none, a missing start counts as started.
pub(in crate::objects) fn ran(exit: &ContainerStateTerminated) -> bool {
    match (line(exit.reason.as_ref()).as_deref(), &exit.started_at) {
        (Some(reason), _) if NO_START.contains(&reason) => false,
        (Some("ContainerStatusUnknown"), None) => false,
        (Some("Unknown"), _) | (_, None) => true,
        (_, Some(started)) => started.0 > Timestamp::UNIX_EPOCH,
    }
}

/// The label and the annotation that hold the completion index of a pod of an indexed Job. The Job
/// controller sets them.
pub const COMPLETION_INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// The label that holds the UID of a pod's Job. The Job controller sets the label, and it outlives
/// the owner reference.
pub const CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";

/// The reasons of a container runtime for a container whose program could not be started.
pub(in crate::objects) const NO_START: [&str; 2] = ["StartError", "ContainerCannotRun"];
