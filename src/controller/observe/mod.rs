//! Observes the cluster: the children of a saga, its parent, and the objects that its steps handle.

mod child_saga;
pub mod children;
pub(in crate::controller) mod leftovers;
pub(in crate::controller) mod object;
pub(in crate::controller) mod parent;
mod request;
pub(in crate::controller) mod sources;
mod workload;
