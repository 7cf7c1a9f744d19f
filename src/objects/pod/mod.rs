//! The Pod of an attempt: how it is built, what is kept of it, and what its end means.

pub mod build;
pub mod fields;
mod init;
pub(crate) mod outside;
mod progress;
pub(crate) mod start;
pub mod state;
pub mod strip;
pub mod template;
