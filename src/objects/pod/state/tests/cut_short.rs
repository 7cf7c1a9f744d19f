//! Pods that something else ended, before or after their container started.

use super::*;

pub(super) fn ended_before_the_start() -> Vec<Fixture> {
    let drained = disruption_target("EvictionByEvictionAPI", deleted(fails(not_found())));
    let pulls = waiting("ImagePullBackOff", "no such image");
    let preempted = disruption_target("PreemptionByScheduler", deleted(unbound(pending("", ""))));
    vec![
        (
            "evicted at the door",
            rejected("Evicted"),
            Disrupted("no container started: Evicted: Pod was rejected"),
        ),
        ("no room at the door", rejected("OutOfcpu"), Disrupted("no container started: OutOfcpu")),
        (
            "refused for what it is",
            rejected("SysctlForbidden"),
            Nothing("no container started: SysctlForbidden"),
        ),
        (
            "evicted",
            fails_by("Evicted", not_found()),
            Disrupted("no container started: Evicted: see node"),
        ),
        ("drained", drained, Disrupted("no container started: EvictionByEvictionAPI: makes room")),
        (
            "node shut down",
            fails_by("Terminated", not_found()),
            Disrupted("no container started: Terminated"),
        ),
        ("preempted unbound", preempted, Disrupted("was bound to no node: PreemptionByScheduler")),
        (
            "deleted unbound, kept by a finalizer",
            deleted(unbound(pending("", ""))),
            Nothing("was bound to no node: was deleted"),
        ),
        (
            "deleted while pulling",
            deleted(fails(not_found())),
            Nothing("no container started: was deleted"),
        ),
        (
            "deadline while pulling",
            fails_by("DeadlineExceeded", pulls),
            Nothing(
                "no container started: DeadlineExceeded: see node; ImagePullBackOff: no such image",
            ),
        ),
    ]
}

pub(super) fn ended_after_the_start() -> Vec<Fixture> {
    let drained = disruption_target("EvictionByEvictionAPI", deleted(fails(error(1))));
    vec![
        (
            "evicted",
            fails_by("Evicted", error(143)),
            Unknown("was ended with exit code 143 and may have done its work: Evicted: see node"),
        ),
        (
            "evicted, graceful exit 1",
            fails_by("Evicted", error(1)),
            Unknown("was ended with exit code 1 and"),
        ),
        (
            "evicted, graceful exit 0",
            fails_by("Evicted", done()),
            Unknown("was ended with exit code 0 and"),
        ),
        (
            "evicted, lost",
            step_has("lastState", not_found(), fails_by("Evicted", not_found())),
            Unknown("was ended with exit code 137 and"),
        ),
        (
            "drained",
            drained,
            Unknown(
                "was ended with exit code 1 and may have done its work: EvictionByEvictionAPI: \
                 makes room",
            ),
        ),
        (
            "deleted",
            deleted(fails(error(137))),
            Unknown("was ended with exit code 137 and may have done its work: was deleted"),
        ),
        (
            "deadline",
            fails_by("DeadlineExceeded", error(143)),
            Unknown("was ended with exit code 143 and"),
        ),
        (
            "node shut down",
            fails_by("Terminated", error(143)),
            Unknown("was ended with exit code 143 and"),
        ),
    ]
}

pub(super) fn lost_after_the_start() -> Vec<Fixture> {
    let lost = step_has("lastState", not_found(), fails(not_found()));
    let lost_again = step_has("lastState", not_found(), fails(no_program()));
    vec![
        (
            "node came back",
            fails(exited(255, "Unknown")),
            Unknown("was ended with exit code 255 and"),
        ),
        (
            "lost, had run",
            lost,
            Unknown(
                "was ended with exit code 137 and may have done its work: ContainerStatusUnknown: \
                 The container",
            ),
        ),
        (
            "lost, had an id",
            step_has("containerID", json!("containerd://1"), fails(not_found())),
            Unknown("was ended with exit code 137 and"),
        ),
        ("lost, started again in vain", lost_again, Unknown("was ended with exit code 128 and")),
    ]
}

/// The phase was set by somebody who cannot know what the node did.
pub(super) fn ended_over_an_old_status() -> Vec<Fixture> {
    let no_node = |pod| disruption_target("DeletionByPodGC", pod);
    let creating = || waiting("ContainerCreating", "");
    vec![
        (
            "node gone while running",
            no_node(fails(running())),
            Unknown("may have done its work: DeletionByPodGC: makes room"),
        ),
        (
            "node gone while creating",
            no_node(fails(creating())),
            Unknown("may have done its work: DeletionByPodGC"),
        ),
        (
            "node gone, no statuses",
            no_node(on_node(json!({"phase": "Failed"}))),
            Unknown("may have done its work: DeletionByPodGC"),
        ),
        (
            "node out of service",
            deleted(fails(creating())),
            Unknown("may have done its work: was deleted; ContainerCreating"),
        ),
        (
            "nothing else known",
            on_node(json!({"phase": "Failed"})),
            Unknown("may have done its work: no reason is given"),
        ),
        ("node lost", rejected("NodeLost"), Unknown("may have done its work: NodeLost")),
    ]
}
