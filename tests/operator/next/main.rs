//! The operator as a later version might be: the same command line, one more field and one more
//! word in the status, and other message texts. See `src/api/next.rs`.

use std::process::ExitCode;

use clap::Parser;
use saga_operator::{
    api::crd,
    controller::run,
    service::{
        args::{Cli, Command},
        telemetry::{self, LogOutput},
    },
};

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
    let _installed = rustls::crypto::ring::default_provider().install_default();
    match Cli::parse().command {
        Command::Crd => {
            print!("{}", crd::yaml().map_err(|error| error.to_string())?);
            Ok(())
        }
        Command::Run(arguments) => {
            let config = arguments.validate(LogOutput::Redirected)?;
            telemetry::init(config.log_format, &config.log_level)?;
            let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
            runtime.block_on(run::run(config))
        }
    }
}
