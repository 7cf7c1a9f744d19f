//! Everything that can go wrong between the operator and the API server, at every call of a saga's life, on a real API server.
//!
//! ```text
//!  a run without a fault ──► its calls × the faults that make sense = plans ──► lanes ──► the shop's ledger and the history judge
//! ```
//!
//! | | |
//! |---|---|
//! | `SAGA_CHAOS_PLAN` | only this plan: `checkout/crash-before@call:3`; several are separated by commas |
//! | `SAGA_CHAOS_SAMPLE` | so many of the plans, chosen by `SAGA_SEED` |
//! | `SAGA_CHAOS_LANES` | plans that run side by side |
//! | `SAGA_CHAOS_TWINS` | set to anything: no plans, only the twins |
//!
//! Needs a cluster as `tests/operator` does, and the faulty operator: `make chaos` brings both.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests fail by panicking")]

#[path = "../operator/crash.rs"]
#[allow(dead_code, unused_imports, reason = "this binary uses a part of it")]
mod crash;
#[allow(dead_code, reason = "the faulty operator uses the rest")]
mod fault;
#[path = "../operator/gate.rs"]
mod gate;
mod judge;
mod plan;
mod process;
#[path = "../shop/mod.rs"]
mod shop;
#[path = "../operator/stand.rs"]
#[allow(dead_code, reason = "this binary uses a part of it")]
mod stand;
mod story;
mod sweep;
mod twin;

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let passed = runtime.block_on(sweep::all());
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
