//! Tests of the resource and the code that need no cluster: `cargo test --test api`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod definition;
mod layers;
mod mutants;
mod purity;
