//! The thin shell of `kubectl saga`: reads the file and the clock, writes the report, says how it
//! went.
//!
//! # Guarantees
//! Reports go to standard output, all else to standard error. Exit code 0 when the simulation ran,
//! however the saga ended; 1 where the file is no valid saga or cannot be read; 2 where the
//! arguments cannot be used.

use std::{
    io::{self, Read, Write},
    path::Path,
    process::ExitCode,
    time::Instant,
};

use super::{
    args::{Cli, Command, SimulateArgs},
    manifest,
    report::report,
    script::Script,
    simulate,
};
use crate::validate::warnings::warnings;

/// The exit code of a command line that cannot be used, as clap's own.
const USAGE: u8 = 2;

/// Why nothing was done, line by line, and with which code the process ends.
struct Failure {
    code: ExitCode,
    sentences: Vec<String>,
}

/// Does what the command line says.
#[must_use]
pub fn run(cli: &Cli) -> ExitCode {
    let Command::Simulate(arguments) = &cli.command;
    let done = simulate(arguments).and_then(|text| print(&text));
    done.map_or_else(
        |Failure { code, sentences }| {
            for sentence in sentences {
                eprintln!("error: {sentence}");
            }
            code
        },
        |()| ExitCode::SUCCESS,
    )
}

fn simulate(arguments: &SimulateArgs) -> Result<String, Failure> {
    let (name, text) = read(&arguments.filename)?;
    let invalid = |faults: Vec<String>| Failure {
        code: ExitCode::FAILURE,
        sentences: faults.into_iter().map(|fault| format!("{name}: {fault}")).collect(),
    };
    let manifests = manifest::read(&text).map_err(invalid)?;
    let sagas: Vec<_> = manifests.iter().map(|manifest| &manifest.saga).collect();
    let usage = |sentence| Failure { code: ExitCode::from(USAGE), sentences: vec![sentence] };
    let script = Script::new(arguments, &sagas).map_err(usage)?;
    let origin = Instant::now();
    let reports = manifests.iter().map(|manifest| {
        let saga = &manifest.saga;
        if manifest.has_status {
            eprintln!(
                "note: {}: its status is not read, the simulation begins at the beginning",
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

/// The file's name in sentences, and its text.
fn read(file: &Path) -> Result<(String, String), Failure> {
    let (name, text) = if file == Path::new("-") {
        let mut text = String::new();
        ("standard input".to_owned(), io::stdin().lock().read_to_string(&mut text).map(|_| text))
    } else {
        (file.display().to_string(), std::fs::read_to_string(file))
    };
    let failure = |error: io::Error| Failure {
        code: ExitCode::FAILURE,
        sentences: vec![format!("cannot read {name}: {error}")],
    };
    let text = text.map_err(failure)?;
    Ok((name, text))
}

fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        // Who reads only the beginning has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure {
            code: ExitCode::FAILURE,
            sentences: vec![format!("cannot write the report: {error}")],
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}
