//! What is there: the children of a saga, its parent, the objects that it looks at.

pub(crate) mod child_saga;
pub mod children;
pub(crate) mod object;
pub(crate) mod parent;
