//! What an observation learns besides the state of a child. An observation changes nothing itself:
//! it returns what it learned, and the reconcile notes it.

use std::time::{Duration, Instant};

use crate::{
    controller::{
        lease::others::Interest,
        memory::{
            attempt::{AttemptFact, AttemptKey, KnownAttempt},
            memories::MemoryView,
        },
        queue::SagaRef,
    },
    model::observation::End,
    objects::job::known_pods::KnownPods,
};

/// One thing that an observation learned.
#[derive(Clone, Debug)]
pub(in crate::controller) enum Learned {
    /// A fact about an attempt.
    Attempt {
        /// The attempt.
        key: AttemptKey,
        /// The fact.
        fact: AttemptFact,
    },
    /// What a live read showed of the pods of a Job that is gone.
    JobPods {
        /// The UID of the Job.
        job: String,
        /// The pods, as the live read showed them.
        pods: KnownPods,
    },
    /// What a saga needs of the executor of another process.
    Executor {
        /// The id of the executor.
        id: String,
        /// The saga.
        saga: SagaRef,
        /// What the saga needs.
        interest: Interest,
    },
}

/// What is known of one attempt during an observation: what this process remembers, and what the
/// observation has learned so far.
pub(super) struct AttemptView<'a> {
    memory: MemoryView<'a>,
    pub(super) key: &'a AttemptKey,
    learned: Vec<Learned>,
}

impl<'a> AttemptView<'a> {
    pub(super) const fn new(memory: MemoryView<'a>, key: &'a AttemptKey) -> Self {
        Self { memory, key, learned: Vec::new() }
    }

    /// Returns everything that the observation learned, in the order in which it learned it.
    pub(super) fn into_learned(self) -> Vec<Learned> {
        self.learned
    }

    /// Returns what is known now. The memory is read anew each time, because the watches write to
    /// it while an observation waits for the API server.
    pub(super) fn known(&self) -> KnownAttempt {
        let mut known = self.memory.attempt(self.key);
        for learned in &self.learned {
            match learned {
                Learned::Attempt { key: _, fact } => known.learn(fact.clone()),
                Learned::JobPods { .. } | Learned::Executor { .. } => {}
            }
        }
        known
    }

    /// Returns the end of the attempt, as this process knows it. `there`: whether something of the
    /// attempt exists.
    pub(super) fn end(&mut self, there: bool) -> Option<End> {
        if there {
            self.learn(AttemptFact::Exists);
        }
        self.known().end
    }

    /// Returns the UID of the child, if this process ever saw the child.
    pub(super) fn child(&self) -> Option<String> {
        self.known().child.map(|(_, uid)| uid)
    }

    /// Returns how long this process has known the child.
    pub(super) fn age(&self) -> Duration {
        self.known().child.map_or(Duration::ZERO, |(since, _)| since.elapsed())
    }

    /// Returns how long this process has known that the child is terminating. The first call starts
    /// the measurement.
    pub(super) fn terminating_for(&mut self) -> Duration {
        let since = self.known().deleting_since.unwrap_or_else(Instant::now);
        self.learn(AttemptFact::Terminating { since });
        since.elapsed()
    }

    /// Returns how long this process has known that another container holds up the end of the
    /// child. The first call starts the measurement.
    pub(super) fn held_up_for(&mut self) -> Duration {
        let since = self.known().held_up_since.unwrap_or_else(Instant::now);
        self.learn(AttemptFact::HeldUp { since });
        since.elapsed()
    }

    /// Learns that the child exists.
    pub(super) fn child_seen(&mut self, uid: &str) {
        self.learn(AttemptFact::ChildSeen { uid: uid.to_owned(), since: Instant::now() });
    }

    /// Learns that the attempt ended.
    pub(super) fn ended(&mut self, end: End) {
        self.learn(AttemptFact::Ended(end));
    }

    /// Learns what a live read showed of the pods of a Job.
    pub(super) fn pods_listed(&mut self, job: &str, pods: KnownPods) {
        self.learned.push(Learned::JobPods { job: job.to_owned(), pods });
    }

    /// Learns what a saga needs of the executor of another process.
    pub(super) fn needs(&mut self, id: &str, saga: SagaRef, interest: Interest) {
        self.learned.push(Learned::Executor { id: id.to_owned(), saga, interest });
    }

    fn learn(&mut self, fact: AttemptFact) {
        self.learned.push(Learned::Attempt { key: self.key.clone(), fact });
    }
}
