//! The chaos suite: runs sagas on a real API server, and causes every fault between the operator
//! and the API server at every call of a saga's life.
//!
//! ```text
//!  a run without a fault ──► its calls × the faults that apply = plans ──► lanes
//!      ──► the judge checks the shop's ledger and the history
//! ```
//!
//! | | |
//! |---|---|
//! | `SAGA_CHAOS_PLAN` | only these plans, separated by commas: `chain/crash-before@call:3` |
//! | `SAGA_CHAOS_STORIES` | only the plans of these stories |
//! | `SAGA_CHAOS_FAULTS` | only the plans with these faults |
//! | `SAGA_CHAOS_SAMPLE` | this many plans, by `SAGA_SEED`, with each pair of story and fault |
//! | `SAGA_CHAOS_LANES` | the number of plans that run in parallel |
//! | `SAGA_CHAOS_MUTANTS` | `only`: no plans, only the mutants; `none`: no mutants |
//!
//! The results are written to `build/chaos.json`, unless the run is limited to some plans, stories
//! or faults.
//!
//! The suite needs a cluster like `tests/operator`, and the faulty operator. `make chaos` provides
//! both.
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
mod mutant;
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

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let passed = runtime.block_on(sweep::all());
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
