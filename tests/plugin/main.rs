//! Tests of `kubectl saga` as a process, without a cluster.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod refused;
mod simulate;

use std::{
    io::Write,
    process::{Command, Stdio},
};

/// The output and the exit code of `kubectl-saga simulate`.
struct Said {
    code: i32,
    output: String,
    errors: String,
}

/// Runs `kubectl-saga simulate` in the project's folder, with this text on its standard input.
fn simulate(arguments: &[&str], input: &str) -> Said {
    let mut process = Command::new(env!("CARGO_BIN_EXE_kubectl-saga"))
        .arg("simulate")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A process that refuses its arguments does not read its input.
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    let done = process.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: done.status.code().unwrap(), output: text(done.stdout), errors: text(done.stderr) }
}

/// Returns the report of a simulation that succeeds and writes no errors.
fn report(arguments: &[&str], input: &str) -> String {
    let Said { code, output, errors } = simulate(arguments, input);
    assert_eq!((code, errors.as_str()), (0, ""), "{output}");
    output
}
