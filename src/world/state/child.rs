//! Pods and Jobs as they are in an API server, and what happens to them.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};

use super::{
    attempt::AttemptRef,
    execution::AttemptEnd,
    interference::{Cascade, Interference},
};

/// How a world simulates the Pods and Jobs of attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Children {
    /// By number only: a move chooses how a Pod ends. Jobs are simulated as Pods.
    ByNumber,
    /// As real objects in an API server, which other parties change too.
    AsTheyAre {
        /// How often users and nodes interfere, at most.
        interferences: usize,
        /// How users and nodes may interfere.
        kinds: Vec<Interference>,
    },
}

/// What was created, as the API server received it.
#[derive(Clone, Debug)]
pub(in crate::world) enum Made {
    Pod(Arc<Pod>),
    /// A Job, and the pod that the Job controller creates for the Job.
    Job(Arc<Job>, Arc<Pod>),
}

/// The child of one attempt as it is in the API server.
#[derive(Clone, Debug)]
pub(in crate::world) struct StoredChild {
    pub(in crate::world) attempt: AttemptRef,
    /// The last part of the idempotency key of the attempt.
    pub(in crate::world) key: i64,
    /// The number of the child. The UID is built from the number.
    pub(in crate::world) number: u32,
    pub(in crate::world) made: Made,
    /// Whether exit code 0 always means that the work was done.
    pub(in crate::world) finishes: bool,
    /// The Job, while it exists.
    pub(in crate::world) job: Option<JobNow>,
    /// The Pod itself, or the pod of the Job, while it exists.
    pub(in crate::world) pod: Option<PodNow>,
    /// Whether the Job created its pod.
    pub(in crate::world) has_made: bool,
}

/// The facts about a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are true one by one, in any combination"
)]
pub(in crate::world) struct PodNow {
    /// How and when the container ended.
    pub(in crate::world) exit: Option<(ContainerExit, Timestamp)>,
    /// When the deletion of the pod was requested.
    pub(in crate::world) deleted: Option<Timestamp>,
    /// Whether the pod has the condition `DisruptionTarget`.
    pub(in crate::world) disrupted: bool,
    /// Whether the node ends the pod. The pod shows this only after its container ended.
    pub(in crate::world) by_node: bool,
    /// Whether the pod still has the owner with which it was created.
    pub(in crate::world) owner: bool,
    /// Whether the pod still has its labels.
    pub(in crate::world) labels: bool,
    /// Whether a foreign finalizer keeps the pod.
    pub(in crate::world) kept: bool,
    /// Whether the Job controller has not counted the pod yet.
    pub(in crate::world) tracked: bool,
}

/// The facts about a Job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are true one by one, in any combination"
)]
pub(in crate::world) struct JobNow {
    /// When the deletion of the Job was requested, and how the deletion cascades.
    pub(in crate::world) deleted: Option<(Timestamp, Cascade)>,
    pub(in crate::world) suspended: bool,
    /// Whether the Job is Complete (`true`) or Failed, and since when.
    pub(in crate::world) verdict: Option<(bool, Timestamp)>,
    pub(in crate::world) owner: bool,
    pub(in crate::world) labels: bool,
    pub(in crate::world) kept: bool,
}

impl PodNow {
    pub(in crate::world) const fn new(tracked: bool) -> Self {
        Self {
            exit: None,
            deleted: None,
            disrupted: false,
            by_node: false,
            owner: true,
            labels: true,
            kept: false,
            tracked,
        }
    }

    /// Returns whether the container was told to stop, or had been told to stop when it ended.
    pub(in crate::world) const fn was_asked_to_stop(&self) -> bool {
        self.deleted.is_some() || self.by_node
    }

    pub(in crate::world) const fn runs(&self) -> bool {
        self.exit.is_none()
    }
}

impl JobNow {
    pub(in crate::world) const fn new() -> Self {
        Self {
            deleted: None,
            suspended: false,
            verdict: None,
            owner: true,
            labels: true,
            kept: false,
        }
    }
}

impl StoredChild {
    pub(in crate::world) const fn is_job(&self) -> bool {
        matches!(self.made, Made::Job(..))
    }

    /// Returns whether a container of the child runs, or may still start.
    pub(in crate::world) fn runs(&self) -> bool {
        let may_make = !self.has_made
            && self.job.is_some_and(|job| job.deleted.is_none() && job.verdict.is_none());
        self.pod.is_some_and(|pod| pod.runs()) || may_make
    }

    /// Returns whether the API server no longer holds any object of the child.
    pub(in crate::world) const fn is_gone(&self) -> bool {
        self.job.is_none() && self.pod.is_none()
    }

    /// Returns the UID of the object with the attempt's name.
    pub(in crate::world) fn uid(&self) -> String {
        pod_uid(self.number)
    }

    /// Returns the UID of the Pod itself, or of the pod of the Job.
    pub(in crate::world) fn uid_of_pod(&self) -> String {
        if self.is_job() { format!("{}-0", self.uid()) } else { self.uid() }
    }

    /// Returns whether the object with the attempt's name exists.
    pub(in crate::world) const fn exists(&self) -> bool {
        if self.is_job() { self.job.is_some() } else { self.pod.is_some() }
    }
}

/// One event of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChildMove {
    /// The number of the child.
    pub child: u32,
    /// What happens to the child.
    pub what: ChildChange,
}

/// What happens to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChildChange {
    /// The container ends.
    Exit(ContainerExit),
    /// The pod, which ended and is terminating, is removed.
    RemovePod,
    /// The Job controller creates the pod.
    MakePod,
    /// The Job controller counts the pod, and records how the Job ended.
    Count,
    /// The Job controller releases a pod that it does not count.
    LetGo,
    /// The garbage collector deletes the pod of a Job that is deleted in the foreground, or that is
    /// gone.
    Collect,
    /// The garbage collector removes the owner from the pod of a Job that is deleted without its
    /// pods.
    Orphan,
    /// The Job, which is terminating, is removed.
    RemoveJob,
    /// A user or a node interferes with the child.
    Interfere(Interference),
}

/// How a container ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContainerExit {
    /// With exit code 0, after all of its work.
    Done,
    /// With exit code 0 because it was told to stop, after half of its work.
    Half,
    /// With exit code 1: the program reports that its work was not done.
    No,
    /// By the signal that told it to stop, before any of its work.
    Killed,
}

impl ContainerExit {
    pub(in crate::world) const ALL: [Self; 4] = [Self::Done, Self::Half, Self::No, Self::Killed];

    pub(in crate::world) const fn code(self) -> i32 {
        match self {
            Self::Done | Self::Half => 0,
            Self::No => 1,
            Self::Killed => 143,
        }
    }

    pub(in crate::world) const fn ending(self) -> AttemptEnd {
        match self {
            Self::Done => AttemptEnd::Done,
            Self::No => AttemptEnd::No,
            Self::Half | Self::Killed => AttemptEnd::Unknown(false),
        }
    }
}

/// Returns the UID of a Pod by its number.
pub(in crate::world) fn pod_uid(pod: u32) -> String {
    format!("pod-{pod}")
}

/// Returns the number of a Pod by its UID.
pub(in crate::world) fn pod_number(uid: &str) -> Option<u32> {
    uid.strip_prefix("pod-")?.parse().ok()
}
