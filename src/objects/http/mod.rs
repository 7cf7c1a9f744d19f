//! The request of an attempt, and what its answer means.

pub mod request;
pub mod verdict;
