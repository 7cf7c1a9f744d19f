//! The replicas, and what each replica knows.

use jiff::Timestamp;

use super::{
    attempt::AttemptRef,
    cache::ChildCache,
    execution::AttemptEnd,
    fault::ReplicaFault,
    reconcile::{Act, Cursor},
};

/// The message for an HTTP request that its replica called off.
pub(in crate::world) const CALLED_OFF: &str = "the operator lost its Lease before an answer came";

/// One replica.
#[derive(Clone, Debug)]
pub(in crate::world) struct Replica {
    pub(in crate::world) life: Life,
    /// The number of the id under which the replica sends HTTP requests.
    pub(in crate::world) executor: usize,
    /// The numbers of the ids under which the replica sent HTTP requests before.
    pub(in crate::world) former: Vec<usize>,
    /// The least version of the saga from which the replica decides.
    pub(in crate::world) floor: u64,
    /// The next reconcile that the last plan asked for.
    pub(in crate::world) wake: Option<Timestamp>,
    /// Whether a trigger asks the replica to reconcile.
    pub(in crate::world) triggered: bool,
    /// Whether the watches are broken: the replica receives no change until it lists again.
    pub(in crate::world) watches_broken: bool,
    /// Whether the replica is of a later version.
    pub(in crate::world) later: bool,
    pub(in crate::world) memory: Vec<AttemptMemory>,
    /// What the watches showed of the children, if children are simulated as real objects.
    pub(in crate::world) cache: ChildCache,
}

/// Whether a replica runs.
#[derive(Clone, Debug)]
pub(in crate::world) enum Life {
    Up,
    Down,
    /// The replica is halted in the middle of a reconcile, or between two.
    Halted(Halted),
}

/// The state of a halted replica.
#[derive(Clone, Debug)]
pub(in crate::world) struct Halted {
    pub(in crate::world) since: Timestamp,
    /// [`ReplicaFault::Freeze`] or [`ReplicaFault::Stall`].
    pub(in crate::world) how: ReplicaFault,
    /// The acts of the reconcile that are not done yet.
    pub(in crate::world) rest: Vec<Act>,
    pub(in crate::world) cursor: Cursor,
}

/// What a replica remembers of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::world) struct AttemptMemory {
    pub(in crate::world) attempt: AttemptRef,
    /// When the replica first read the intent.
    pub(in crate::world) first_read: Timestamp,
    /// When the replica first knew the Pod, and the number of the Pod.
    pub(in crate::world) child: Option<(Timestamp, u32)>,
    /// The end of the wait after the API server refused to create the Pod.
    pub(in crate::world) refused: Option<Timestamp>,
    /// When the replica sent its own HTTP request, while the request is under way.
    pub(in crate::world) flight: Option<Timestamp>,
    pub(in crate::world) end: Option<KnownEnd>,
}

/// How an attempt ended, as far as a replica knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::world) enum KnownEnd {
    /// The service answered.
    Answered(AttemptEnd),
    /// The replica gave up before an answer came.
    Aborted,
    /// The replica called the attempt off before an answer came, since its Lease lapsed.
    CalledOff,
}

/// An id under which HTTP requests are sent, with its Lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::world) struct Executor {
    /// The instant since which the Lease is not renewed any more.
    pub(in crate::world) lapsed: Option<Timestamp>,
}

/// Returns the text of an executor id.
pub(in crate::world) fn executor_id(number: usize) -> String {
    format!("process-{number}")
}

impl Replica {
    pub(in crate::world) fn new(executor: usize, later: bool) -> Self {
        Self {
            life: Life::Up,
            executor,
            former: Vec::new(),
            floor: 0,
            wake: None,
            triggered: true,
            watches_broken: false,
            later,
            memory: Vec::new(),
            cache: ChildCache::default(),
        }
    }

    pub(in crate::world) const fn is_up(&self) -> bool {
        matches!(self.life, Life::Up)
    }

    pub(in crate::world) const fn is_down(&self) -> bool {
        matches!(self.life, Life::Down)
    }

    pub(in crate::world) fn memory_of(
        &mut self,
        attempt: AttemptRef,
        now: Timestamp,
    ) -> &mut AttemptMemory {
        let place =
            self.memory.iter().position(|known| known.attempt == attempt).unwrap_or_else(|| {
                self.memory.push(AttemptMemory {
                    attempt,
                    first_read: now,
                    child: None,
                    refused: None,
                    flight: None,
                    end: None,
                });
                self.memory.len().saturating_sub(1)
            });
        // The element was just found, or just pushed.
        #[expect(clippy::indexing_slicing, reason = "the place of an element")]
        &mut self.memory[place]
    }

    /// Returns the attempts that a halted replica will begin when it resumes.
    pub(in crate::world) fn to_begin(&self) -> Vec<AttemptRef> {
        match &self.life {
            Life::Halted(halted) => halted.rest.iter().filter_map(Act::begins).collect(),
            Life::Up | Life::Down => Vec::new(),
        }
    }
}
