//! What the resource promises on paper. No cluster is needed: `cargo test --test api`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod definition;
mod layers;
mod purity;
