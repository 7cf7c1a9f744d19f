//! The input and output of `kubectl saga`: reads the file and the clock, writes the report, and
//! sets the exit code.
//!
//! # Guarantees
//! The report is written to standard output. All other text is written to standard error. The exit
//! code is 0 if the simulation ran, however the saga ended. It is 1 if the file cannot be read or
//! contains an invalid saga, and 2 if the arguments are unusable.

use std::{
    io::{self, Read, Write},
    path::Path,
    process::ExitCode,
    time::Instant,
};

use super::{
    args::{PluginCli, PluginCommand, SimulateArgs},
    manifest,
    report::report,
    script::Script,
    simulate,
};
use crate::validate::warnings::warnings;

/// The exit code for an unusable command line, the same as clap's.
const USAGE: u8 = 2;

/// Why the command failed, one sentence per line, and the exit code of the process.
struct CommandFailure {
    code: ExitCode,
    sentences: Vec<String>,
}

/// Runs the command of the command line.
#[must_use]
pub fn run(cli: &PluginCli) -> ExitCode {
    let PluginCommand::Simulate(arguments) = &cli.command;
    let done = simulate(arguments).and_then(|text| print(&text));
    done.map_or_else(
        |CommandFailure { code, sentences }| {
            for sentence in sentences {
                eprintln!("error: {sentence}");
            }
            code
        },
        |()| ExitCode::SUCCESS,
    )
}

fn simulate(arguments: &SimulateArgs) -> Result<String, CommandFailure> {
    let (name, text) = read(&arguments.filename)?;
    let invalid = |faults: Vec<String>| CommandFailure {
        code: ExitCode::FAILURE,
        sentences: faults.into_iter().map(|fault| format!("{name}: {fault}")).collect(),
    };
    let manifests = manifest::read(&text).map_err(invalid)?;
    let sagas: Vec<_> = manifests.iter().map(|manifest| &manifest.saga).collect();
    let usage =
        |sentence| CommandFailure { code: ExitCode::from(USAGE), sentences: vec![sentence] };
    let script = Script::new(arguments, &sagas).map_err(usage)?;
    let origin = Instant::now();
    let reports = manifests.iter().map(|manifest| {
        let saga = &manifest.saga;
        if manifest.has_status {
            eprintln!(
                "note: {}: its status is ignored, and the simulation starts before the first step",
                saga.name
            );
        }
        for warning in warnings(saga) {
            eprintln!("warning: {}: {warning}", saga.name);
        }
        report(saga, &simulate::run(manifest, &script, origin))
    });
    Ok(reports.collect::<Vec<_>>().join("\n"))
}

/// Returns the name of the file for use in messages, and the text of the file.
fn read(file: &Path) -> Result<(String, String), CommandFailure> {
    let (name, text) = if file == Path::new("-") {
        let mut text = String::new();
        ("standard input".to_owned(), io::stdin().lock().read_to_string(&mut text).map(|_| text))
    } else {
        (file.display().to_string(), std::fs::read_to_string(file))
    };
    let failure = |error: io::Error| CommandFailure {
        code: ExitCode::FAILURE,
        sentences: vec![format!("cannot read {name}: {error}")],
    };
    let text = text.map_err(failure)?;
    Ok((name, text))
}

fn print(text: &str) -> Result<(), CommandFailure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        // If the reader closed the pipe early, the reader has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CommandFailure {
            code: ExitCode::FAILURE,
            sentences: vec![format!("cannot write the report: {error}")],
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}
