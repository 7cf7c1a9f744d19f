//! The memories of this process. No fact that correctness needs is kept only here.

use super::{
    attempt::{AttemptKey, KnownAttempt},
    attempts::Attempts,
    failures::Failures,
    job_pods::{JobPodMemory, JobPodsView},
    other_versions::OtherVersions,
    own_writes::OwnWrites,
    prechecks::Prechecks,
    trials::Trials,
    validated::ValidatedSagas,
};

/// What this process remembers.
#[derive(Default)]
pub struct Memory {
    /// The memory of attempts.
    pub attempts: Attempts,
    /// The memory of this process's own writes.
    pub writes: OwnWrites,
    /// The pods of Jobs.
    pub job_pods: JobPodMemory,
    /// Validated sagas with their parsed expressions.
    pub validated: ValidatedSagas,
    /// The results of prechecks, by what was tried.
    pub prechecks: Prechecks,
    /// The trials of sagas before their first step.
    pub trials: Trials,
    /// The number of consecutive failed reconciles of each saga.
    pub failures: Failures,
    /// The memory of what operators of other versions wrote.
    pub versions: OtherVersions,
}

impl Memory {
    /// Returns what observations may read.
    #[must_use]
    pub const fn view(&self) -> MemoryView<'_> {
        MemoryView(self)
    }
}

/// A read-only view of what this process remembers of attempts and their children.
#[derive(Clone, Copy)]
pub struct MemoryView<'a>(&'a Memory);

impl<'a> MemoryView<'a> {
    /// Returns a copy of what is known of an attempt.
    #[must_use]
    pub fn attempt(self, key: &AttemptKey) -> KnownAttempt {
        self.0.attempts.known(key)
    }

    /// Returns what is known of the pods of Jobs.
    #[must_use]
    pub const fn job_pods(self) -> JobPodsView<'a> {
        self.0.job_pods.view()
    }
}
