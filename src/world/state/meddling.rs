//! How people and nodes may meddle with children.

/// What a deletion takes along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cascade {
    /// The garbage collector deletes the pods once the Job is gone.
    Background,
    /// The pods are deleted first.
    Foreground,
    /// The pods are let go of.
    Orphan,
}

/// How somebody meddles with a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Meddling {
    /// Deletes the pod.
    DeletePod,
    /// Evicts the pod: a drain.
    EvictPod,
    /// The node shuts down and ends the pod.
    EndByNode,
    /// Deletes the Job.
    DeleteJob(Cascade),
    /// Suspends the Job.
    Suspend,
    /// Takes the owner from the Pod or the Job.
    StripOwner,
    /// Takes the labels from the Pod or the Job.
    StripLabels,
    /// Takes the operator's labels from the pod of a Job.
    StripPodLabels,
    /// Puts a finalizer on the Pod or the Job, and never takes it off.
    Keep,
}

impl Meddling {
    /// What can be done to a Pod.
    pub const OF_PODS: [Self; 6] = [
        Self::DeletePod,
        Self::EvictPod,
        Self::EndByNode,
        Self::StripOwner,
        Self::StripLabels,
        Self::Keep,
    ];
    /// What can be done to a Job.
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
