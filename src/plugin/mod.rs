//! `kubectl saga`: the commands with which a user examines sagas in a shell.
//!
//! ```text
//!  arguments, file ──► manifest ──► script ──► simulate ──► report ──► standard output
//!  (shell)             (valid saga) (what happens)  (engine, world)  (text)     (shell)
//! ```
//!
//! # Guarantees
//! Only [`shell`] performs input and output. All other modules are functions of values. This folder
//! decides nothing about sagas: [`crate::validate::saga`] checks sagas, and the engine processes
//! them in the [`crate::world`].

pub mod args;
mod fields;
mod manifest;
mod report;
mod script;
pub mod shell;
mod simulate;
mod timeline;
