//! Observes the cluster: the children of a saga, its parent, and the objects that its steps handle.

pub(crate) mod child_saga;
pub mod children;
pub(crate) mod object;
pub(crate) mod parent;
