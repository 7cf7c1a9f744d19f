//! Tests of how a real API server handles the resource: what it accepts, refuses, changes and
//! prints.
//!
//! The tests need a cluster: `make cluster` starts one, and `make test` passes its address to these
//! tests.
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
