//! The HTTP request of an attempt, and the outcome that its answer gives.

pub mod request;
pub mod verdict;
