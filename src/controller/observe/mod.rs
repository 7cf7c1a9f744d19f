//! Observes the cluster: the children of a saga, its parent, and the objects that its steps handle.
//!
//! # Guarantees
//! An observation reads and changes nothing: neither the cluster nor what this process remembers.
//! It takes views to read. What it learned besides the state of a child is returned as values
//! ([`learned::Learned`]), also if a read failed half-way. The reconcile notes these values.

mod child_saga;
pub mod children;
pub(in crate::controller) mod learned;
pub(in crate::controller) mod leftovers;
pub(in crate::controller) mod object;
pub(in crate::controller) mod parent;
mod request;
pub(in crate::controller) mod sources;
mod workload;
