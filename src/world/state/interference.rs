//! How users and nodes may interfere with children.

/// How the deletion of a Job treats its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cascade {
    /// The garbage collector deletes the pods after the Job is gone.
    Background,
    /// The pods are deleted first.
    Foreground,
    /// The pods stay, without an owner.
    Orphan,
}

/// How a user or a node interferes with a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Interference {
    /// Deletes the pod.
    DeletePod,
    /// Evicts the pod, as a drain does.
    EvictPod,
    /// The node shuts down and ends the pod.
    EndByNode,
    /// Deletes the Job.
    DeleteJob(Cascade),
    /// Suspends the Job.
    Suspend,
    /// Removes the owner from the Pod or the Job.
    StripOwner,
    /// Removes the labels from the Pod or the Job.
    StripLabels,
    /// Removes the operator's labels from the pod of a Job.
    StripPodLabels,
    /// Adds a finalizer to the Pod or the Job, and never removes it.
    Keep,
}

impl Interference {
    /// The interference that is possible with a Pod.
    pub const OF_PODS: [Self; 6] = [
        Self::DeletePod,
        Self::EvictPod,
        Self::EndByNode,
        Self::StripOwner,
        Self::StripLabels,
        Self::Keep,
    ];
    /// The interference that is possible with a Job.
    pub const OF_JOBS: [Self; 9] = [
        Self::EvictPod,
        Self::DeleteJob(Cascade::Background),
        Self::DeleteJob(Cascade::Foreground),
        Self::DeleteJob(Cascade::Orphan),
        Self::Suspend,
        Self::StripOwner,
        Self::StripLabels,
        Self::StripPodLabels,
        Self::Keep,
    ];
}
