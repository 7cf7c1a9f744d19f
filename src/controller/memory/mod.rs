//! The memory of this process. No other process needs it.

pub mod attempt;
pub mod attempts;
pub mod failures;
pub mod job_pods;
pub mod memories;
pub mod other_versions;
pub mod own_writes;
pub mod prechecks;
pub(in crate::controller) mod remembered;
pub mod trials;
pub mod validated;
