//! Everything that can go wrong between the operator and the API server, at every call of a saga's
//! life, on a real API server.
//!
//! ```text
//!  a run without a fault ──► its calls × the faults that make sense = plans ──► lanes
//!      ──► the shop's ledger and the history judge
//! ```
//!
//! | | |
//! |---|---|
//! | `SAGA_CHAOS_PLAN` | only this plan, or several with commas: `chain/crash-before@call:3` |
//! | `SAGA_CHAOS_STORIES` | only the plans of these stories |
//! | `SAGA_CHAOS_FAULTS` | only the plans with these faults |
//! | `SAGA_CHAOS_SAMPLE` | so many, by `SAGA_SEED`, with one of each pair of story and fault |
//! | `SAGA_CHAOS_LANES` | plans that run side by side |
//! | `SAGA_CHAOS_TWINS` | `only`: no plans, only the twins; `none`: no twins |
//!
//! What was run is told in `build/chaos.json`, unless only some plans, stories or faults were asked
//! for.
//!
//! Needs a cluster as `tests/operator` does, and the faulty operator: `make chaos` brings both.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests fail by panicking"
)]

#[path = "../operator/crash.rs"]
#[allow(dead_code, unused_imports, reason = "this binary uses a part of it")]
mod crash;
#[allow(dead_code, reason = "the faulty operator uses the rest")]
mod fault;
#[path = "../operator/gate.rs"]
mod gate;
mod history;
mod judge;
mod lane;
mod plan;
mod process;
mod report;
mod run;
mod sense;
#[path = "../shop/mod.rs"]
mod shop;
#[path = "../operator/stand/mod.rs"]
#[allow(dead_code, unused_imports, reason = "this binary uses a part of it")]
mod stand;
mod stories;
mod sweep;
mod twin;

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let passed = runtime.block_on(sweep::all());
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
