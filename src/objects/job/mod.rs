//! The Job of an attempt and its pods: how the Job is built, which fields are kept in memory, and
//! how the outcome is derived.

pub mod build;
pub mod fields;
pub mod known_pods;
pub mod pods;
pub mod state;
pub mod strip;
