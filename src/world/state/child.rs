//! Pods and Jobs as they are in an API server, and who acts on them.

use super::trial::Ending;

use super::{
    meddling::{Cascade, Meddling},
    world::Who,
};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use std::sync::Arc;

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
pub(crate) enum Made {
    Pod(Arc<Pod>),
    /// A Job, and the pod that its controller makes of it.
    Job(Arc<Job>, Arc<Pod>),
}

/// The child of one attempt as it is.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    pub(crate) who: Who,
    /// The last part of its idempotency key.
    pub(crate) key: i64,
    /// Its number, of which its UID is made.
    pub(crate) number: u32,
    pub(crate) made: Made,
    /// Whether exit code 0 always means done.
    pub(crate) finishes: bool,
    /// The Job, while there is one.
    pub(crate) job: Option<JobNow>,
    /// The Pod itself, or the pod of the Job, while there is one.
    pub(crate) pod: Option<PodNow>,
    /// Whether the Job made its pod.
    pub(crate) has_made: bool,
}

/// What is true of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are true one by one, in any combination"
)]
pub(crate) struct PodNow {
    /// How its container ended, and when.
    pub(crate) exit: Option<(Way, Timestamp)>,
    /// When its deletion was asked for.
    pub(crate) deleted: Option<Timestamp>,
    /// Whether it bears the condition `DisruptionTarget`.
    pub(crate) disrupted: bool,
    /// Whether its node ends it, which shows with its end.
    pub(crate) by_node: bool,
    /// Whether it has the owner that it was made with.
    pub(crate) owner: bool,
    /// Whether it has its labels.
    pub(crate) labels: bool,
    /// Whether somebody's finalizer keeps it.
    pub(crate) kept: bool,
    /// Whether the Job controller has yet to count it.
    pub(crate) tracked: bool,
}

/// What is true of a Job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are true one by one, in any combination"
)]
pub(crate) struct JobNow {
    /// When its deletion was asked for, and what that takes along.
    pub(crate) deleted: Option<(Timestamp, Cascade)>,
    pub(crate) suspended: bool,
    /// Whether it is Complete or Failed, and since when.
    pub(crate) verdict: Option<(bool, Timestamp)>,
    pub(crate) owner: bool,
    pub(crate) labels: bool,
    pub(crate) kept: bool,
}

impl PodNow {
    pub(crate) const fn new(tracked: bool) -> Self {
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
    pub(crate) const fn is_told(&self) -> bool {
        self.deleted.is_some() || self.by_node
    }

    pub(crate) const fn runs(&self) -> bool {
        self.exit.is_none()
    }
}

impl JobNow {
    pub(crate) const fn new() -> Self {
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
    pub(crate) const fn is_job(&self) -> bool {
        matches!(self.made, Made::Job(..))
    }

    /// Whether a container of it runs, or may yet.
    pub(crate) fn runs(&self) -> bool {
        let may_make = !self.has_made
            && self.job.is_some_and(|job| job.deleted.is_none() && job.verdict.is_none());
        self.pod.is_some_and(|pod| pod.runs()) || may_make
    }

    /// Whether nothing of it is in the API server any more.
    pub(crate) const fn is_gone(&self) -> bool {
        self.job.is_none() && self.pod.is_none()
    }

    /// Whether the object that bears the attempt's name is there.
    pub(crate) const fn is_there(&self) -> bool {
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
    pub(crate) const ALL: [Self; 4] = [Self::Done, Self::Half, Self::No, Self::Killed];

    pub(crate) const fn code(self) -> i32 {
        match self {
            Self::Done | Self::Half => 0,
            Self::No => 1,
            Self::Killed => 143,
        }
    }

    pub(crate) const fn ending(self) -> Ending {
        match self {
            Self::Done => Ending::Done,
            Self::No => Ending::No,
            Self::Half | Self::Killed => Ending::Unknown(false),
        }
    }
}
