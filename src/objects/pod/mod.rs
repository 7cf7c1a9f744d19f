//! The Pod of an attempt: how it is built, which fields are kept in memory, and how the outcome is
//! derived.

pub mod build;
pub mod fields;
mod init;
pub(in crate::objects) mod outside;
mod progress;
pub(crate) mod start;
pub mod state;
pub mod strip;
pub mod template;
