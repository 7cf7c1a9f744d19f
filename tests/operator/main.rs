//! Tests of the operator as a process, on a real cluster, with the ledger of the sample shop as the
//! evidence.
//!
//! The tests need a cluster and the operator's rights in it: `make test` provides both. Each test
//! has its own namespace and its own operator, so that all tests can run in parallel.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

#[path = "../shop/mod.rs"]
mod shop;

mod approval;
mod bad_input;
mod called_off;
mod canary;
mod cancel;
mod children;
mod clocks;
mod counts;
mod crash;
mod doubt;
mod forward;
mod gate;
mod gitops;
mod golden;
mod jobs;
mod keeper;
mod leader;
mod lifecycle;
mod line;
mod namespace;
mod neighbour;
mod objects;
mod orphans;
mod pair;
mod pause;
mod pods;
mod precheck;
mod requests;
mod room;
mod stand;
mod template;
mod told;
mod ttl;
mod unreadable;
mod values;
mod versions;
