//! What a Pod that goes on does or waits for, and what keeps it from going on.
//!
//! # Guarantees
//! One line of at most 256 characters, which names the reason that the scheduler or the kubelet
//! gives.
//!
//! # Caveats
//! A volume that cannot be mounted, for example of a Secret that is missing, shows in the events of
//! the Pod alone: it reads as a Pod whose container is being created.

use k8s_openapi::api::core::v1::{ContainerStateWaiting, Pod};

use super::{
    fields::{container_state, deleting, node, phase, reason, unscheduled},
    start::never_bound,
};
use crate::{
    model::observation::Trouble,
    objects::pod,
    text::{labelled, line, one_line},
};

/// With which a kubelet says that an image cannot be had.
const NO_IMAGE: [&str; 7] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];
/// With which it says that a container cannot be made, or not be kept up.
const NO_CONTAINER: [&str; 6] = [
    "CreateContainerConfigError",
    "CreateContainerError",
    "PreCreateHookError",
    "PreStartHookError",
    "RunContainerError",
    "CrashLoopBackOff",
];

/// What a Pod that goes on does or waits for, and the trouble that it has.
pub(crate) fn detail(pod: &Pod) -> (String, Option<Trouble>) {
    let phase = phase(pod);
    let (text, trouble) = if deleting(pod) {
        ("is being deleted".into(), None)
    } else if phase == "Unknown" || reason(pod).as_deref() == Some("NodeLost") {
        (format!("{} does not answer", node(pod)), Some(Trouble::Node))
    } else if !matches!(phase.as_str(), "" | "Pending" | "Running") {
        (format!("is in the phase `{phase}`, which is not known here"), None)
    } else {
        of_container(pod).unwrap_or_else(|| of_binding(pod))
    };
    (one_line(&text), trouble)
}

/// What the step's container does or waits for, once the kubelet speaks of it.
fn of_container(pod: &Pod) -> Option<(String, Option<Trouble>)> {
    let node = node(pod);
    let state = container_state(pod)?;
    Some(match (&state.terminated, &state.running, &state.waiting) {
        (Some(exit), _, _) => (
            format!(
                "has exited with code {}; the end of the pod on {node} is awaited",
                exit.exit_code
            ),
            None,
        ),
        (None, Some(_), _) => (format!("runs on {node}"), None),
        (None, None, Some(waiting)) => {
            if let Some((name, before)) =
                pod::init::waiting(pod).filter(|(_, before)| trouble(before).is_some())
            {
                let why =
                    labelled(before.reason.as_ref(), before.message.as_ref()).unwrap_or_default();
                return Some((
                    format!("waits on {node}: init container {}: {why}", one_line(name)),
                    trouble(before),
                ));
            }
            let why = labelled(waiting.reason.as_ref(), waiting.message.as_ref());
            (
                format!("waits on {node}: {}", why.as_deref().unwrap_or("no reason is given")),
                trouble(waiting),
            )
        }
        (None, None, None) => (format!("waits on {node}"), None),
    })
}

/// What a container waits for that does not come by itself.
fn trouble(waiting: &ContainerStateWaiting) -> Option<Trouble> {
    let reason = line(waiting.reason.as_ref())?;
    let among = |reasons: &[&str]| reasons.contains(&reason.as_str());
    match () {
        () if among(&NO_IMAGE) => Some(Trouble::Image),
        () if among(&NO_CONTAINER) => Some(Trouble::Container),
        () => None,
    }
}

/// How far a Pod of which no kubelet speaks has come.
fn of_binding(pod: &Pod) -> (String, Option<Trouble>) {
    if !never_bound(pod) {
        return (format!("waits for {} to start it", node(pod)), None);
    }
    let why = unscheduled(pod)
        .and_then(|condition| labelled(condition.reason.as_ref(), condition.message.as_ref()));
    match why {
        Some(why) => (format!("is not scheduled: {why}"), Some(Trouble::Scheduling)),
        None => ("waits to be scheduled".into(), None),
    }
}
