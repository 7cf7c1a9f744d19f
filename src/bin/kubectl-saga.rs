//! The binary of `kubectl saga`.

use std::process::ExitCode;

use clap::Parser;
use saga_operator::plugin::{args::PluginCli, shell};

fn main() -> ExitCode {
    shell::run(&PluginCli::parse())
}
