//! What this process remembers, and nobody else needs.

pub mod attempts;
pub mod failures;
pub mod job_pods;
pub mod own_writes;
pub mod prechecks;
pub(crate) mod remembered;
pub mod validated;
