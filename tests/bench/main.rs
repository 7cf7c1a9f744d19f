//! The benchmark: measures the costs of a step as a multiple of the minimum costs. The operator
//! and, in the same run, the floor controller of `floor.rs` run chains of three steps.
//!
//! ```text
//!  for each round, work and load:  floor ─► ours  (or ours ─► floor: the seed decides)
//!  each in a new process and namespace:
//!      one chain to warm up ─► the chains ─► audit log, /proc ─► delete the namespace
//! ```
//!
//! | variable | |
//! |---|---|
//! | `SAGA_BENCH_WORK` | the kinds of steps, separated by commas: `pods,requests` |
//! | `SAGA_BENCH_LOADS` | numbers of chains: `slow:20,100,500`; at once, or one by one (`slow:`) |
//! | `SAGA_BENCH_PACE` | milliseconds between two slow chains, by half more or less: `2000` |
//! | `SAGA_BENCH_ROUNDS` | the number of measurements of everything: `1` |
//! | `SAGA_BENCH_PATIENCE` | seconds until the chains of one load must have ended: `900` |
//! | `SAGA_SEED` | decides who is first, and when slow chains start; printed; default: the clock |
//!
//! `run.sh` has two more variables, for the port of the API server and for the build of the
//! binaries.
//!
//! The benchmark prints a table and writes `build/bench/result.json`. It does not judge times: the
//! times of a busy machine mean little, and even the ratios vary by some percent. It judges two
//! conditions: each chain completes, and no step runs twice.
//!
//! The benchmark needs a control plane with nodes that kwok simulates. `make bench` provides it.
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

/// Runs all requested measurements. Returns whether the judged conditions are met.
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
        // In the results, the floor is first, independent of the order of the runs.
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
