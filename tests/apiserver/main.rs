//! What a real API server makes of the resource: what it accepts, refuses, changes and prints.
//!
//! Needs a cluster: `make cluster` starts one, `make test` tells these tests where it is.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod admission;
mod definition;
mod installation;
mod numbers;
mod policies;
mod printing;
mod status;
mod support;
mod town;
mod updates;
