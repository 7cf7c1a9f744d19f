//! What an attempt sends or creates, and what an answer means.
//!
//! # Guarantees
//! Everything here is a pure function of its arguments: no client, no clock, no randomness, no input or output.

pub mod applied;
pub mod child;
pub mod child_saga;
#[cfg(test)]
mod fixture;
pub mod http;
pub mod http_verdict;
pub mod job;
mod job_fields;
pub mod job_pods;
pub mod job_state;
pub mod job_store;
pub mod kstatus;
pub mod pod;
mod pod_detail;
mod pod_fields;
mod pod_init;
mod pod_outside;
mod pod_start;
pub mod pod_state;
pub mod pod_store;
pub mod pod_template;
