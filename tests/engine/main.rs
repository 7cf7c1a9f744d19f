//! The engine alone, in a world that keeps the rules of the shell: stories, properties and attacks.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::wildcard_enum_match_arm,
    clippy::struct_excessive_bools,
    clippy::too_many_lines,
    reason = "tests fail by panicking, and tables of them are long"
)]

mod executors;
mod forward;
mod held;
mod lifecycle;
mod nonsense;
mod other_side;
mod pivot;
mod properties;
mod requests;
mod retry;
mod saga;
mod script;
mod see;
mod spec;
mod undo;
mod watch;
mod world;
