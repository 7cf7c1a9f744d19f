//! The table for people, and the file for programs.

use std::fmt::Write as _;

use serde_json::json;

use crate::{
    contestant::{STEPS, Who},
    run::Run,
    settings::{Settings, given},
};

/// A column: its title, its width, and a function that returns its content. Numbers are aligned to
/// the right.
type Column = (&'static str, usize, fn(&Run, Option<&Run>) -> String);

const COLUMNS: &[Column] =
    &[
        ("steps/s", 7, |run, _| {
            if run.load.slow { "-".into() } else { format!("{:.1}", run.steps_per_second) }
        }),
        ("share", 5, |run, floor| match floor {
            Some(floor) if !run.load.slow => {
                format!("{:.2}", run.steps_per_second / floor.steps_per_second)
            }
            _ => "-".into(),
        }),
        ("writes", 6, |run, _| format!("{:.2}", run.writes)),
        ("reads", 5, |run, _| format!("{:.2}", run.reads)),
        ("tries", 5, |run, _| format!("{:.2}", run.tries)),
        ("CPU ms", 6, |run, _| format!("{:.2}", run.cpu["contestant"])),
        ("API ms", 6, |run, _| format!("{:.1}", run.cpu["api-server"])),
        ("API x", 5, |run, floor| {
            floor.map_or("-".into(), |floor| {
                format!("{:.2}", run.cpu["api-server"] / floor.cpu["api-server"])
            })
        }),
        ("p50 ms", 7, |run, _| format!("{:.1}", run.delay[0])),
        ("p99 ms", 7, |run, _| format!("{:.1}", run.delay[1])),
        ("MiB", 5, |run, _| format!("{:.1}", run.memory[0])),
        ("peak", 5, |run, _| format!("{:.1}", run.memory[1])),
        ("others", 6, |run, _| format!("{:.2}", run.others)),
    ];

const LEGEND: &str = "share: steps/s as a part of the floor's. writes, reads: calls to the API \
    server per step, without leases and watches;
tries: dry runs. CPU ms, API ms: of the contestant and of the API server, per step; API x: the API \
    server's CPU as a multiple of
that of the floor. p50, p99: from the end of a step to the beginning of the next one. MiB, peak: \
    the contestant's memory at the
start, and its maximum. others: the CPU of other processes of the machine. The CPU of a slow load \
    includes the time between its chains.
";

/// Returns the whole table: a row for each run, and below them a list of the calls.
pub fn table(runs: &[Run]) -> String {
    let mut table =
        format!("chains of {STEPS} steps\n\n{:<9} {:>8} {:<6}", "work", "chains", "who");
    for (title, width, _) in COLUMNS {
        let _ = write!(table, " {title:>width$}");
    }
    table.push('\n');
    for run in runs {
        let floor = runs.iter().find(|other| {
            (other.round, other.work, other.load) == (run.round, run.work, run.load)
                && other.who == Who::Floor
        });
        let _ = write!(table, "{:<9} {:>8} {:<6}", run.work, run.load, run.who.name());
        for (_, width, cell) in COLUMNS {
            let _ = write!(table, " {:>width$}", cell(run, floor));
        }
        table.push('\n');
    }
    let _ = write!(table, "\n{LEGEND}\ncalls per step:\n");
    for run in runs {
        let mut calls: Vec<_> = run.calls.iter().collect();
        calls.sort_by(|one, other| other.1.total_cmp(one.1));
        let calls: Vec<_> =
            calls.into_iter().map(|(kind, times)| format!("{kind} {times:.2}")).collect();
        let _ = writeln!(
            table,
            "{:<9} {:>8} {:<6} {}",
            run.work,
            run.load,
            run.who.name(),
            calls.join(", ")
        );
    }
    table
}

/// Returns a short summary of one run, for the progress output.
pub fn line(run: &Run) -> String {
    let Run { round, work, load, seconds, steps_per_second, writes, .. } = run;
    let who = run.who.name();
    format!(
        "round {round}, {work} {load}, {who}: {seconds:.1} s, {steps_per_second:.1} steps/s, \
         {writes:.2} writes a step"
    )
}

/// Writes all measurements, with the settings and the commit.
pub fn write(settings: &Settings, runs: &[Run]) {
    let path = given("SAGA_BENCH_RESULT");
    let result = json!({
        "commit": given("SAGA_BENCH_COMMIT"), "steps": STEPS, "settings": settings, "runs": runs,
    });
    std::fs::write(&path, serde_json::to_string_pretty(&result).unwrap()).unwrap();
    eprintln!("bench: all results are in {path}");
}
