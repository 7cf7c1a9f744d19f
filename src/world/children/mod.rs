//! The children of attempts as they are in the API server: Pods and Jobs with owners, labels,
//! finalizers and deletions, and who acts on them.
//!
//! ```text
//!  people, drains ──► Turn::Meddle ─┐
//!  kubelet, Job controller, GC ─────┴─► Child (what is true) ──► Pod, Job (real values) ─┐
//!    ┌───────────────────────────────────────────────────────────────────────────────────┘
//!    ├── watch ──► View (what an operator was shown)
//!    └── live read ──► look ──► objects::* ──► ChildState
//! ```
//!
//! # Guarantees
//! - What a child is taken for is decided by [`crate::objects`] alone, on real values that are
//!   built from what is true here.
//! - What a program did that exits with 0 after it was told to go is open: all its work, or half of
//!   it.
//! - An operator that is up, or stands still in a look, is shown each change at once; one that was
//!   restarted sees what stands there then.
//!
//! # Assumptions
//! - Kubelet, Job controller and garbage collector are prompt: the clock goes on only once they
//!   have nothing to do but to make a pod. A container that is told to go ends before the clock
//!   goes on. So no child is ever stuck on a node.
//! - What a Job counts that is neither deleted nor suspended is its own business: a pod of it that
//!   is evicted ends with 0 only with its work done.
//! - A child loses its owner or its labels, and a Job is deleted, only once the status names it,
//!   where an operator may crash: before, nobody could tell whose it is, or that there was one
//!   whose pod may run.
//! - Nobody takes the Job controller's own labels from a pod.
//!
//! # Caveats
//! One container, bound to a node when its pod is made; one pod of a Job, and nobody resumes a Job
//! that was suspended. The Job controller sets its condition with the count. No watch lags behind
//! another one.

pub(super) mod actors;
pub(super) mod identity;
pub(super) mod look;
pub(super) mod meddle;
pub(super) mod perform;
pub(super) mod values;
pub(super) mod watch;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};

use super::{Who, World, gather::pod_uid, process::Process};
use crate::world::other_side;

pub(super) use self::watch::View;
pub use self::{
    actors::{Doing, Turn, Way},
    meddle::{Cascade, Meddling},
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
enum Made {
    Pod(Arc<Pod>),
    /// A Job, and the pod that its controller makes of it.
    Job(Arc<Job>, Arc<Pod>),
}

/// The child of one attempt as it is.
#[derive(Clone, Debug)]
pub(super) struct Child {
    who: Who,
    /// The last part of its idempotency key.
    key: i64,
    /// Its number, of which its UID is made.
    number: u32,
    made: Made,
    /// Whether exit code 0 always means done.
    finishes: bool,
    /// The Job, while there is one.
    job: Option<JobNow>,
    /// The Pod itself, or the pod of the Job, while there is one.
    pod: Option<PodNow>,
    /// Whether the Job made its pod.
    has_made: bool,
}

/// What is true of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are true one by one, in any combination"
)]
struct PodNow {
    /// How its container ended, and when.
    exit: Option<(Way, Timestamp)>,
    /// When its deletion was asked for.
    deleted: Option<Timestamp>,
    /// Whether it bears the condition `DisruptionTarget`.
    disrupted: bool,
    /// Whether its node ends it, which shows with its end.
    by_node: bool,
    /// Whether it has the owner that it was made with.
    owner: bool,
    /// Whether it has its labels.
    labels: bool,
    /// Whether somebody's finalizer keeps it.
    kept: bool,
    /// Whether the Job controller has yet to count it.
    tracked: bool,
}

/// What is true of a Job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are true one by one, in any combination"
)]
struct JobNow {
    /// When its deletion was asked for, and what that takes along.
    deleted: Option<(Timestamp, Cascade)>,
    suspended: bool,
    /// Whether it is Complete or Failed, and since when.
    verdict: Option<(bool, Timestamp)>,
    owner: bool,
    labels: bool,
    kept: bool,
}

impl PodNow {
    const fn new(tracked: bool) -> Self {
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
    const fn is_told(&self) -> bool {
        self.deleted.is_some() || self.by_node
    }

    const fn runs(&self) -> bool {
        self.exit.is_none()
    }
}

impl JobNow {
    const fn new() -> Self {
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
    const fn is_job(&self) -> bool {
        matches!(self.made, Made::Job(..))
    }

    /// Whether a container of it runs, or may yet.
    fn runs(&self) -> bool {
        let may_make = !self.has_made
            && self.job.is_some_and(|job| job.deleted.is_none() && job.verdict.is_none());
        self.pod.is_some_and(|pod| pod.runs()) || may_make
    }

    /// Whether nothing of it is in the API server any more.
    const fn is_gone(&self) -> bool {
        self.job.is_none() && self.pod.is_none()
    }

    /// Whether the object that bears the attempt's name is there.
    const fn is_there(&self) -> bool {
        if self.is_job() { self.job.is_some() } else { self.pod.is_some() }
    }
}

/// How people and nodes meddled with children so far, in order.
#[must_use]
pub fn meddled(world: &World) -> &[Meddling] {
    &world.meddled
}

/// Whether this world plays the children of attempts as they are.
pub(super) fn has_children(world: &World) -> bool {
    matches!(world.rules.children, Children::AsTheyAre { .. })
}

/// Whether the child of an attempt is played as it is.
pub(super) fn plays(world: &World, who: Who) -> bool {
    has_children(world) && other_side::is_program(world, who)
}

/// Whether this operator was shown that an attempt is done.
pub(super) fn was_shown(world: &World, process: usize, who: Who) -> bool {
    world.processes.get(process).is_some_and(|process| process.view.proofs.contains(&who))
}

/// The child that bears the name of an attempt.
fn there(world: &World, who: Who) -> Option<&Child> {
    world.children.iter().find(|child| child.who == who && child.is_there())
}

/// The number of the child that bears the name of an attempt.
pub(super) fn number_there(world: &World, who: Who) -> Option<u32> {
    there(world, who).map(|child| child.number)
}

/// Forgets what cannot matter any more: what runs no more and belongs to attempts that are
/// settled.
pub(super) fn forget_children(world: &mut World) {
    let World { trials, children, processes, .. } = world;
    children.retain(|child| {
        !child.is_gone() && (child.runs() || trials.iter().any(|trial| trial.who == child.who))
    });
    for Process { memory, view, .. } in processes {
        let wanted = |who| {
            trials.iter().any(|trial| trial.who == who)
                || memory.iter().any(|known| known.who == who)
        };
        let own = memory.iter().filter_map(|known| known.child).map(|(_, number)| number);
        let named: Vec<_> =
            own.chain(trials.iter().filter_map(|trial| trial.pod)).map(pod_uid).collect();
        let known = |uid: &str| named.iter().any(|named| named == uid);
        view.keep_only(children, wanted, known);
    }
}
