//! Pods and Jobs as they are in an API server, and who acts on them.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};

use super::{
    meddling::{Cascade, Meddling},
    trial::Ending,
    world::Who,
};

/// How a world plays the Pods and Jobs of attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Children {
    /// As Pods by number, whose end the other side chooses. Jobs are played as Pods are.
    ByNumber,
    /// As they are in an API server, where others act on them.
    AsTheyAre {
        /// How often somebody meddles.
        meddles: usize,
        /// How they may meddle.
        kinds: Vec<Meddling>,
    },
}

/// What was made, as the API server got it.
#[derive(Clone, Debug)]
pub(in crate::world) enum Made {
    Pod(Arc<Pod>),
    /// A Job, and the pod that its controller makes of it.
    Job(Arc<Job>, Arc<Pod>),
}

/// The child of one attempt as it is.
#[derive(Clone, Debug)]
pub(in crate::world) struct Child {
    pub(in crate::world) who: Who,
    /// The last part of its idempotency key.
    pub(in crate::world) key: i64,
    /// Its number, of which its UID is made.
    pub(in crate::world) number: u32,
    pub(in crate::world) made: Made,
    /// Whether exit code 0 always means done.
    pub(in crate::world) finishes: bool,
    /// The Job, while there is one.
    pub(in crate::world) job: Option<JobNow>,
    /// The Pod itself, or the pod of the Job, while there is one.
    pub(in crate::world) pod: Option<PodNow>,
    /// Whether the Job made its pod.
    pub(in crate::world) has_made: bool,
}

/// What is true of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are true one by one, in any combination"
)]
pub(in crate::world) struct PodNow {
    /// How its container ended, and when.
    pub(in crate::world) exit: Option<(Way, Timestamp)>,
    /// When its deletion was asked for.
    pub(in crate::world) deleted: Option<Timestamp>,
    /// Whether it bears the condition `DisruptionTarget`.
    pub(in crate::world) disrupted: bool,
    /// Whether its node ends it, which shows with its end.
    pub(in crate::world) by_node: bool,
    /// Whether it has the owner that it was made with.
    pub(in crate::world) owner: bool,
    /// Whether it has its labels.
    pub(in crate::world) labels: bool,
    /// Whether somebody's finalizer keeps it.
    pub(in crate::world) kept: bool,
    /// Whether the Job controller has yet to count it.
    pub(in crate::world) tracked: bool,
}

/// What is true of a Job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are true one by one, in any combination"
)]
pub(in crate::world) struct JobNow {
    /// When its deletion was asked for, and what that takes along.
    pub(in crate::world) deleted: Option<(Timestamp, Cascade)>,
    pub(in crate::world) suspended: bool,
    /// Whether it is Complete or Failed, and since when.
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

    /// Whether its container was told to go, or had been when it ended.
    pub(in crate::world) const fn is_told(&self) -> bool {
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

impl Child {
    pub(in crate::world) const fn is_job(&self) -> bool {
        matches!(self.made, Made::Job(..))
    }

    /// Whether a container of it runs, or may yet.
    pub(in crate::world) fn runs(&self) -> bool {
        let may_make = !self.has_made
            && self.job.is_some_and(|job| job.deleted.is_none() && job.verdict.is_none());
        self.pod.is_some_and(|pod| pod.runs()) || may_make
    }

    /// Whether nothing of it is in the API server any more.
    pub(in crate::world) const fn is_gone(&self) -> bool {
        self.job.is_none() && self.pod.is_none()
    }

    /// Whether the object that bears the attempt's name is there.
    pub(in crate::world) const fn is_there(&self) -> bool {
        if self.is_job() { self.job.is_some() } else { self.pod.is_some() }
    }
}

/// One thing that happens to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Turn {
    /// The number of the child.
    pub child: u32,
    /// What happens to it.
    pub doing: Doing,
}

/// What happens to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Doing {
    /// Its container ends.
    Exit(Way),
    /// Its pod, which ended and is deleted, goes.
    RemovePod,
    /// The Job controller makes its pod.
    MakePod,
    /// The Job controller counts its pod, and says how the Job ended.
    Count,
    /// The Job controller lets go of a pod that it does not count.
    LetGo,
    /// The garbage collector deletes the pod of a Job that is deleted in the foreground, or gone.
    Collect,
    /// The garbage collector takes the owner from the pod of a Job that is deleted without it.
    Orphan,
    /// The Job, which is deleted, goes.
    RemoveJob,
    /// Somebody meddles with it.
    Meddle(Meddling),
}

/// How a container ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Way {
    /// With 0, its work done.
    Done,
    /// With 0 because it was told to go, half its work done.
    Half,
    /// With 1: it says that its work was not done.
    No,
    /// By the signal that told it to go, before it did anything.
    Killed,
}

impl Way {
    pub(in crate::world) const ALL: [Self; 4] = [Self::Done, Self::Half, Self::No, Self::Killed];

    pub(in crate::world) const fn code(self) -> i32 {
        match self {
            Self::Done | Self::Half => 0,
            Self::No => 1,
            Self::Killed => 143,
        }
    }

    pub(in crate::world) const fn ending(self) -> Ending {
        match self {
            Self::Done => Ending::Done,
            Self::No => Ending::No,
            Self::Half | Self::Killed => Ending::Unknown(false),
        }
    }
}
