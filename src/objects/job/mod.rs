//! The Job of an attempt, and its Pods: how it is built, what is kept of it, and what its end
//! means.

pub mod build;
pub mod fields;
pub mod pods;
pub mod state;
pub mod strip;
