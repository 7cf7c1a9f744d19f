//! Tests that the sample shop keeps its guarantees, and that the samples fit the shop and the
//! resource.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod behaviour;
mod examples;
mod ledger;
mod server;
#[path = "../shop/mod.rs"]
mod shop;
