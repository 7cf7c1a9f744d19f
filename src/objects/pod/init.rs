//! The state of the init containers of a template. They run before the deciding container and may
//! have done work.
//!
//! Two kinds of init containers are ignored: those of a Pod that was not made from a template,
//! since only a webhook can have added them, and those that keep running beside the deciding
//! container (`restartPolicy: Always`).

use k8s_openapi::api::core::v1::{
    ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod,
};

use super::fields::{is_of_template, ran};

/// Returns the statuses of the init containers that run to their end.
pub(in crate::objects) fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let beside = |name: &str| {
        let spec = pod
            .spec
            .iter()
            .flat_map(|spec| spec.init_containers.iter().flatten())
            .find(|container| container.name == name);
        spec.is_some_and(|container| container.restart_policy.as_deref() == Some("Always"))
    };
    let all = pod.status.iter().flat_map(|status| status.init_container_statuses.iter().flatten());
    all.filter(move |container| is_of_template(pod) && !beside(&container.name))
}

/// Returns the first init container that ran and failed, with its name.
pub(in crate::objects) fn failed(pod: &Pod) -> Option<(&str, &ContainerStateTerminated)> {
    statuses(pod)
        .find_map(|container| failure(container).map(|exit| (container.name.as_str(), exit)))
}

fn failure(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    container.state.as_ref()?.terminated.as_ref().filter(|exit| exit.exit_code != 0 && ran(exit))
}

/// Returns the first waiting init container, with its name.
pub(in crate::objects) fn waiting(pod: &Pod) -> Option<(&str, &ContainerStateWaiting)> {
    statuses(pod).find_map(|container| {
        Some((container.name.as_str(), container.state.as_ref()?.waiting.as_ref()?))
    })
}

/// Returns whether any sign shows that an init container started, now or earlier.
pub(in crate::objects) fn may_have_started(pod: &Pod) -> bool {
    statuses(pod).any(started)
}

fn started(container: &ContainerStatus) -> bool {
    let state = container.state.as_ref();
    let earlier = container
        .last_state
        .as_ref()
        .is_some_and(|last| last.running.is_some() || last.terminated.is_some());
    let ended = state.and_then(|state| state.terminated.as_ref()).is_some_and(ran);
    earlier
        || container.restart_count > 0
        || container.started == Some(true)
        || ended
        || state.is_some_and(|state| state.running.is_some())
}

/// Returns the statuses that the functions of this file read: at most three.
pub(in crate::objects) fn telling(pod: &Pod) -> Vec<&ContainerStatus> {
    let waits = |container: &&ContainerStatus| {
        container.state.as_ref().is_some_and(|state| state.waiting.is_some())
    };
    let of = [
        statuses(pod).find(|container| failure(container).is_some()),
        statuses(pod).find(waits),
        statuses(pod).find(|container| started(container)),
    ];
    of.into_iter().flatten().collect()
}
