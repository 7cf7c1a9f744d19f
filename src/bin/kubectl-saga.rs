//! The binary of `kubectl saga`.

use std::process::ExitCode;

use clap::Parser;
use saga_operator::plugin::{args::Cli, shell};

fn main() -> ExitCode {
    shell::run(&Cli::parse())
}
