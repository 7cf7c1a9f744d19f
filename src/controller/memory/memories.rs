//! The memories of this process. No fact that correctness needs is kept only here.

use super::{
    attempts::Attempts, failures::Failures, job_pods::JobPodMemory, other_versions::OtherVersions,
    own_writes::OwnWrites, prechecks::Prechecks, validated::ValidatedSagas,
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
    /// The results of prechecks.
    pub prechecks: Prechecks,
    /// The number of consecutive failed reconciles of each saga.
    pub failures: Failures,
    /// The memory of what operators of other versions wrote.
    pub versions: OtherVersions,
}
