//! The binary of the operator.

use std::{io::Write, process::ExitCode};

use clap::Parser;
use saga_operator::{
    api::crd,
    controller::run,
    service::{
        args::{Cli, Command, RunArgs},
        telemetry::{self, LogOutput},
    },
};

/// The exit code for invalid arguments. clap uses the same code.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // kube and reqwest use the default provider of the process. An error only means that a provider
    // is already installed.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    match cli.command {
        Command::Crd => print_crd(),
        Command::Run(arguments) => run(*arguments),
    }
    .unwrap_or_else(|(code, sentence)| {
        eprintln!("error: {sentence}");
        code
    })
}

/// The exit code of the process, and the error message.
type ExitFailure = (ExitCode, String);

fn print_crd() -> Result<ExitCode, ExitFailure> {
    let failure =
        |error: String| (ExitCode::FAILURE, format!("cannot print the definition: {error}"));
    let yaml = crd::yaml().map_err(|error| failure(error.to_string()))?;
    std::io::stdout()
        .lock()
        .write_all(yaml.as_bytes())
        .map_err(|error| failure(error.to_string()))?;
    Ok(ExitCode::SUCCESS)
}

fn run(arguments: RunArgs) -> Result<ExitCode, ExitFailure> {
    let usage = |sentence| (ExitCode::from(USAGE), sentence);
    let config = arguments.validate(LogOutput::of_process()).map_err(usage)?;
    telemetry::init(config.log_format, &config.log_level).map_err(usage)?;
    let failure = |sentence| (ExitCode::FAILURE, sentence);
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| failure(format!("cannot start the runtime: {error}")))?;
    let ended = runtime.block_on(run::run(config));
    // Nothing waits for name look-ups: each holds a thread until the name server answers.
    runtime.shutdown_background();
    ended.map_err(failure)?;
    Ok(ExitCode::SUCCESS)
}
