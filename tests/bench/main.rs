//! What a step costs, as a multiple of the least that it can cost: chains of three steps, carried
//! through by the operator and, in the same run, by the floor controller of `floor.rs`.
//!
//! ```text
//!  for each round, work and load:  floor ─► ours  (or ours ─► floor: the seed says)
//!  each in a fresh process and namespace:
//!      one chain to warm up ─► the chains ─► audit log, /proc ─► namespace gone
//! ```
//!
//! | variable | |
//! |---|---|
//! | `SAGA_BENCH_WORK` | what a step is, separated by commas: `pods,requests` |
//! | `SAGA_BENCH_LOADS` | how many chains: `slow:20,100,500`; at once, or one by one (`slow:`) |
//! | `SAGA_BENCH_PACE` | milliseconds between two slow chains, by half more or less: `2000` |
//! | `SAGA_BENCH_ROUNDS` | how often all of it is measured: `1` |
//! | `SAGA_BENCH_PATIENCE` | seconds until the chains of one load must have ended: `900` |
//! | `SAGA_SEED` | who goes first, and when slow chains come; printed; by the clock if not given |
//!
//! `run.sh` has two more, about the API server's port and how the binaries are built.
//!
//! Prints a table and writes `build/bench/result.json`. No time is judged here: those of a busy
//! machine mean little, and even the shares move by some percent. What must hold is judged: each
//! chain completes, and no step is run twice.
//!
//! Needs a control plane whose nodes kwok plays: `make bench` brings it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a run that cannot go on panics"
)]

mod audit;
mod contestant;
mod place;
mod process;
mod report;
mod run;
mod service;
mod settings;

use std::process::ExitCode;

use contestant::Who;
use settings::Settings;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if runtime.block_on(bench()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Measures all that is asked for; whether what must hold did.
async fn bench() -> bool {
    let settings = Settings::read();
    eprintln!("bench: SAGA_SEED={}", settings.seed);
    let mut runs = Vec::new();
    for (round, work, load) in settings.cases() {
        let mut order = [Who::Floor, Who::Ours];
        if settings.draw(runs.len() as u64) % 2 == 1 {
            order.reverse();
        }
        let mut pair = Vec::new();
        for who in order {
            let run = run::measure(&settings, round, who, work, load).await;
            eprintln!("bench: {}", report::line(&run));
            pair.push(run);
        }
        // Whoever went first, the floor is read first.
        pair.sort_by_key(|run| run.who);
        runs.append(&mut pair);
    }
    println!("{}", report::table(&runs));
    report::write(&settings, &runs);
    let faults: Vec<_> = runs
        .iter()
        .flat_map(|run| run.faults.iter().map(|fault| format!("{}: {fault}", report::line(run))))
        .collect();
    for fault in &faults {
        println!("bench: FAILED {fault}");
    }
    println!("bench: {} runs, {} faults", runs.len(), faults.len());
    faults.is_empty()
}
