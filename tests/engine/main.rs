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
    clippy::needless_pass_by_value,
    clippy::type_complexity,
    reason = "tests fail by panicking, and tables of them are long and written as values"
)]

mod answers;
mod approval;
mod cancel;
mod children;
mod circuits;
mod data;
mod deletion;
mod doubt;
mod executors;
mod forward;
mod fuzz;
mod gitops;
mod guards;
mod held;
mod jobs;
mod lifecycle;
mod nonsense;
mod numbers;
mod other_side;
mod pause;
mod pivot;
mod pods;
mod precheck;
mod properties;
mod requests;
mod retry;
mod saga;
mod scenes;
mod script;
mod see;
mod skip;
mod spec;
mod timeout;
mod ttl;
mod undo;
mod values;
mod versions;
mod wait;
mod watch;
mod way_out;
mod world;
