//! Observes the cluster: the children of a saga, its parent, and the objects that its steps handle.

mod child_saga;
pub mod children;
pub(crate) mod leftovers;
pub(crate) mod object;
pub(crate) mod parent;
mod request;
pub(crate) mod sources;
mod workload;
