//! The operator with faults between the operator and the API server. Optionally, one of its guards
//! is switched off. The command line is the same as that of the operator, and the environment
//! contains the plan.
//!
//! | | |
//! |---|---|
//! | `SAGA_FAULT` | one fault: `crash-before@call:3` |
//! | `SAGA_MUTANT` | the guard that is switched off: `own-writes` |
//! | `SAGA_TRACE` | a file to which every call adds a line |
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a tool of the tests fails by panicking"
)]

use std::{env, fs::File, process::ExitCode};

use clap::Parser;
use saga_operator::{
    controller::run,
    mutants::{self, Mutant},
    service::{
        args::{Cli, Command},
        telemetry::{self, LogOutput},
    },
};

mod answers;
mod calls;
#[allow(dead_code, reason = "the harness uses the rest")]
mod fault;
mod layer;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("error: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let Command::Run(arguments) = Cli::parse().command else {
        return Err("the only command here is run".into());
    };
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let config = arguments.validate(LogOutput::Redirected)?;
    telemetry::init(config.log_format, &config.log_level)?;
    let strike = env::var("SAGA_FAULT").ok().map(|fault| fault.parse()).transpose()?;
    if let Ok(name) = env::var("SAGA_MUTANT") {
        let mutant = Mutant::ALL
            .iter()
            .copied()
            .find(|mutant| mutant.as_str() == name)
            .ok_or_else(|| format!("{name} is no guard"))?;
        mutants::switch_off(mutant);
    }
    let open = |path: String| {
        File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|error| format!("{path}: {error}"))
    };
    let trace = env::var("SAGA_TRACE").ok().map(open).transpose()?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(run::run_with(config, layer::FaultLayer::new(strike, trace)))
}
