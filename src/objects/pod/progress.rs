//! The progress of an active Pod: what it does or waits for, and what keeps it from continuing.
//!
//! # Guarantees
//! The text is one line of at most 256 characters that names the reason of the scheduler or the
//! kubelet.
//!
//! # Caveats
//! If a volume cannot be mounted, for example because its Secret is missing, only the events of the
//! Pod show the reason. The text then says that the container is being created.

use k8s_openapi::api::core::v1::{ContainerStateWaiting, Pod};

use super::{
    fields::{container_state, deleting, node, phase, reason, unscheduled},
    start::never_bound,
};
use crate::{
    model::observation::PodTrouble,
    objects::{pod, unreadable},
    text::{labelled, line, one_line},
};

/// The reasons with which a kubelet reports that an image is not available.
const NO_IMAGE: [&str; 7] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
];
/// The reasons with which a kubelet reports that a container cannot be created or keeps crashing.
const NO_CONTAINER: [&str; 6] = [
    "CreateContainerConfigError",
    "CreateContainerError",
    "PreCreateHookError",
    "PreStartHookError",
    "RunContainerError",
    "CrashLoopBackOff",
];

/// Returns what an active Pod does or waits for, and its trouble.
pub(in crate::objects) fn detail(pod: &Pod) -> (String, Option<PodTrouble>) {
    let phase = phase(pod);
    let (text, trouble) = if deleting(pod) {
        ("is being deleted".into(), None)
    } else if let Some(why) = unreadable::why_unreadable(pod) {
        (unreadable::detail(why), None)
    } else if phase == "Unknown" || reason(pod).as_deref() == Some("NodeLost") {
        (format!("{} does not answer", node(pod)), Some(PodTrouble::Node))
    } else if !matches!(phase.as_str(), "" | "Pending" | "Running") {
        (format!("is in the phase `{phase}`, which is not known here"), None)
    } else {
        of_container(pod).unwrap_or_else(|| of_binding(pod))
    };
    (one_line(&text), trouble)
}

/// Returns what the deciding container does or waits for, once the kubelet reports its state.
fn of_container(pod: &Pod) -> Option<(String, Option<PodTrouble>)> {
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

/// Returns the trouble of a waiting container, if its reason shows that the container cannot start
/// without help.
fn trouble(waiting: &ContainerStateWaiting) -> Option<PodTrouble> {
    let reason = line(waiting.reason.as_ref())?;
    let among = |reasons: &[&str]| reasons.contains(&reason.as_str());
    match () {
        () if among(&NO_IMAGE) => Some(PodTrouble::Image),
        () if among(&NO_CONTAINER) => Some(PodTrouble::Container),
        () => None,
    }
}

/// Returns the progress of a Pod about which no kubelet has reported anything.
fn of_binding(pod: &Pod) -> (String, Option<PodTrouble>) {
    if !never_bound(pod) {
        return (format!("waits for {} to start it", node(pod)), None);
    }
    let why = unscheduled(pod)
        .and_then(|condition| labelled(condition.reason.as_ref(), condition.message.as_ref()));
    match why {
        Some(why) => (format!("is not scheduled: {why}"), Some(PodTrouble::Scheduling)),
        None => ("waits to be scheduled".into(), None),
    }
}
