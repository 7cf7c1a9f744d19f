//! `kubectl saga`: what a person can do with sagas from a shell.
//!
//! ```text
//!  arguments, file ──► manifest ──► script ──► simulate ──► report ──► standard output
//!  (shell)             (valid saga) (what happens)  (engine, world)  (text)     (shell)
//! ```
//!
//! # Guarantees
//! Only [`shell`] reads and writes anything; all else are functions of values. Nothing decides
//! here: sagas are judged by [`crate::validate::saga`], and what happens to them is the engine's
//! doing in the [`crate::world`].

pub mod args;
mod fields;
mod manifest;
mod report;
mod script;
pub mod shell;
mod simulate;
mod timeline;
