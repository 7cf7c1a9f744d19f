//! Reduces a Pod to the fields that are kept in memory.
//!
//! # Guarantees
//! - [`crate::objects::pod::state`] and [`crate::objects::pod::build`] read the same from a
//!   stripped Pod as from the complete Pod. The size of a stripped Pod is bounded, whatever
//!   containers, conditions and messages the server sent.
//! - A Pod that was seen to succeed stays a success, even if it is told to stop later
//!   ([`keep_success`]).

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{
    api::core::v1::{
        ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
        ContainerStatus, Pod, PodCondition, PodSpec, PodStatus,
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};

use super::{
    fields::{
        COMPLETION_INDEX, CONTROLLER_UID, DISRUPTION, SCHEDULED, deciding, finishes,
        finishes_on_sigterm, is_of_template, runs_beside,
    },
    state::{handed_on, state},
};
use crate::{
    api::names::{LABEL_ATTEMPT, LABEL_DIRECTION, LABEL_MANAGED_BY, LABEL_SAGA, LABEL_STEP},
    manifest::pod_template::DECIDES,
    model::observation::{ChildState, End},
    objects::{pod, rules, unreadable::marked},
    text::{MAX_LINE, one_line, tail},
};

/// Removes all fields that no code reads. Never write a stripped Pod back to the API server.
pub fn strip(pod: &mut Pod) {
    let status = pod.status.as_ref().map(|status| self::status(pod, status));
    let decides = is_of_template(pod).then(|| (DECIDES.to_owned(), deciding(pod).to_owned()));
    let annotations: BTreeMap<_, _> =
        decides.into_iter().chain(finishes(Some(finishes_on_sigterm(pod)))).collect();
    pod.metadata = metadata(
        std::mem::take(&mut pod.metadata),
        Some(annotations).filter(|kept| !kept.is_empty()),
    );
    pod.spec =
        pod.spec.take().map(|PodSpec { node_name, termination_grace_period_seconds, .. }| {
            PodSpec { node_name, termination_grace_period_seconds, ..PodSpec::default() }
        });
    pod.status = status;
}

/// Keeps the success that an earlier version of a stripped Pod showed. `before`: the previous
/// version. If the Pod was told to stop after its success, the earlier status is kept and the
/// deletion is dropped.
pub fn keep_success(pod: &mut Pod, before: Option<&Pod>) {
    let succeeded =
        |pod: &Pod| matches!(state(pod, Duration::ZERO), ChildState::Ended(End::Succeeded(_)));
    let Some(before) =
        before.filter(|before| before.metadata.uid == pod.metadata.uid && succeeded(before))
    else {
        return;
    };
    if rules::keeps_success(succeeded(pod)) {
        pod.status.clone_from(&before.status);
        (pod.metadata.deletion_timestamp, pod.metadata.deletion_grace_period_seconds) =
            (None, None);
    }
}

/// Returns the identity, the version, the controller, the operator's labels, the given annotations,
/// the mark of an object that cannot be read, and the instants that are read.
pub(in crate::objects) fn metadata(
    meta: ObjectMeta,
    mut annotations: Option<BTreeMap<String, String>>,
) -> ObjectMeta {
    const OURS: [&str; 6] = [
        LABEL_MANAGED_BY,
        LABEL_SAGA,
        LABEL_STEP,
        LABEL_DIRECTION,
        LABEL_ATTEMPT,
        COMPLETION_INDEX,
    ];
    if let Some((key, why)) = marked(&meta) {
        annotations.get_or_insert_default().insert(key, why);
    }
    let controller = |owners: Vec<OwnerReference>| {
        owners.into_iter().find(|owner| owner.controller == Some(true)).map(|owner| vec![owner])
    };
    let owner_references = meta.owner_references.and_then(controller);
    // This label identifies a pod that its Job released.
    let is_ours =
        |key: &str| OURS.contains(&key) || (key == CONTROLLER_UID && owner_references.is_none());
    ObjectMeta {
        name: meta.name,
        namespace: meta.namespace,
        uid: meta.uid,
        resource_version: meta.resource_version,
        creation_timestamp: meta.creation_timestamp,
        deletion_timestamp: meta.deletion_timestamp,
        deletion_grace_period_seconds: meta.deletion_grace_period_seconds,
        labels: meta
            .labels
            .map(|labels| labels.into_iter().filter(|(key, _)| is_ours(key)).collect()),
        annotations,
        owner_references,
        ..ObjectMeta::default()
    }
}

fn status(pod: &Pod, status: &PodStatus) -> PodStatus {
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let first =
        |type_: &str| conditions.iter().find(|condition| condition.type_ == type_).map(condition);
    let containers = status.container_statuses.as_deref().unwrap_or_default();
    let deciding = deciding(pod);
    let step = containers.iter().find(|container| container.name == deciding).map(container);
    // For the other containers only the fact that one of them runs is kept.
    let beside = containers.iter().find(|container| runs_beside(deciding, container)).map(|_| {
        ContainerStatus {
            state: Some(ContainerState {
                running: Some(ContainerStateRunning::default()),
                ..ContainerState::default()
            }),
            ..ContainerStatus::default()
        }
    });
    PodStatus {
        phase: line(status.phase.as_ref()),
        reason: line(status.reason.as_ref()),
        message: line(status.message.as_ref()),
        conditions: Some([first(SCHEDULED), first(DISRUPTION)].into_iter().flatten().collect()),
        container_statuses: Some([step, beside].into_iter().flatten().collect()),
        init_container_statuses: Some(pod::init::telling(pod).into_iter().map(container).collect()),
        ..PodStatus::default()
    }
}

fn condition(condition: &PodCondition) -> PodCondition {
    PodCondition {
        type_: condition.type_.clone(),
        status: line(Some(&condition.status)).unwrap_or_default(),
        reason: line(condition.reason.as_ref()),
        message: line(condition.message.as_ref()),
        ..PodCondition::default()
    }
}

fn container(container: &ContainerStatus) -> ContainerStatus {
    ContainerStatus {
        name: one_line(&container.name),
        state: container.state.as_ref().map(|state| ContainerState {
            running: state.running.as_ref().map(|_| ContainerStateRunning::default()),
            terminated: state.terminated.as_ref().map(terminated),
            waiting: state.waiting.as_ref().map(waiting),
        }),
        last_state: container.last_state.as_ref().map(|last| ContainerState {
            running: last.running.as_ref().map(|_| ContainerStateRunning::default()),
            terminated: last.terminated.as_ref().map(|_| ContainerStateTerminated::default()),
            waiting: None,
        }),
        restart_count: container.restart_count,
        started: container.started,
        container_id: line(container.container_id.as_ref()),
        ..ContainerStatus::default()
    }
}

fn terminated(exit: &ContainerStateTerminated) -> ContainerStateTerminated {
    ContainerStateTerminated {
        exit_code: exit.exit_code,
        reason: line(exit.reason.as_ref()),
        message: said(exit),
        started_at: exit.started_at.clone(),
        finished_at: exit.finished_at.clone(),
        ..ContainerStateTerminated::default()
    }
}

/// Returns the outputs of a container that exited with 0, unchanged. For any other container it
/// returns the end of the termination message.
fn said(exit: &ContainerStateTerminated) -> Option<String> {
    if exit.exit_code == 0 {
        return exit.message.clone().filter(|_| handed_on(exit).is_some());
    }
    exit.message.as_ref().map(|message| tail(message, MAX_LINE))
}

fn waiting(waiting: &ContainerStateWaiting) -> ContainerStateWaiting {
    ContainerStateWaiting {
        reason: line(waiting.reason.as_ref()),
        message: line(waiting.message.as_ref()),
    }
}

/// Returns the text as one bounded line, which is the form in which every reader uses it.
fn line(text: Option<&String>) -> Option<String> {
    text.map(|text| one_line(text))
}

#[cfg(test)]
mod tests;
