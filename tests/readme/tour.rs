//! Runs the commands of the README's tour on the cluster that `make run` left, and compares the
//! output. `…` stands for anything. A number of retries stands for that number or more: if a
//! machine stands still for seconds, the operator loses a Lease, and its steps need another
//! attempt.

use std::{path::Path, process::Command};

/// Separates the output of one command from the output of the next command.
const MARK: &str = "-- next command --";

/// A command and the lines that it should print.
struct Stop {
    command: String,
    expected: Vec<String>,
}

fn stops(language: &str) -> Vec<Stop> {
    let mut stops: Vec<Stop> = Vec::new();
    for line in crate::blocks(language).iter().flat_map(|block| block.lines()) {
        match line.strip_prefix("$ ") {
            Some(command) => stops.push(Stop { command: command.to_owned(), expected: Vec::new() }),
            None => stops.last_mut().unwrap().expected.push(line.to_owned()),
        }
    }
    stops
}

/// Returns whether a line is as expected. `…` stands for anything, and runs of spaces count as one
/// space.
fn fits(expected: &str, printed: &str) -> bool {
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (expected, printed) = (squeeze(expected), squeeze(printed));
    let mut parts = expected.split('…');
    let Some(mut rest) = printed.strip_prefix(parts.next().unwrap()) else { return false };
    let mut last = "";
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = part;
    }
    rest.is_empty() || (last.is_empty() && expected.ends_with('…'))
}

/// Returns the same for a line of `kubectl get sagas`, whose last columns are RETRIES and AGE.
fn fits_saga(expected: &str, printed: &str) -> bool {
    let retries =
        |line: &str| line.split_whitespace().rev().nth(1).and_then(|word| word.parse::<u64>().ok());
    let without = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let last = words.len().saturating_sub(2);
        words
            .iter()
            .enumerate()
            .map(|(place, word)| if place == last { "retries" } else { *word })
            .collect::<Vec<_>>()
            .join(" ")
    };
    match (retries(expected), retries(printed)) {
        (Some(least), Some(number)) => {
            number >= least && fits(&without(expected), &without(printed))
        }
        _ => fits(expected, printed),
    }
}

/// Runs the commands of the README's blocks of one language in one shell, and compares the output.
/// Programs of this project come first in the search path.
pub fn take(language: &str, at_least: usize, needs: &str) {
    let stops = stops(language);
    assert!(stops.len() >= at_least, "there are {} commands", stops.len());
    let commands: Vec<_> = stops.iter().map(|stop| stop.command.as_str()).collect();
    let script = commands.join(&format!("\necho '{MARK}'\n"));
    let programs = Path::new(env!("CARGO_BIN_EXE_kubectl-saga")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let tour = Command::new("bash")
        .arg("-c")
        .arg(&script)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("PATH", path)
        .output()
        .unwrap();
    let (printed, errors) =
        (String::from_utf8(tour.stdout).unwrap(), String::from_utf8_lossy(&tour.stderr));
    assert!(errors.is_empty(), "{needs}: {errors}");
    for (stop, printed) in stops.iter().zip(printed.split(&format!("{MARK}\n"))) {
        let lines: Vec<_> = printed.lines().collect();
        let of_sagas = stop.expected.first().is_some_and(|head| head.contains(" RETRIES "));
        let fits = |(expected, line): (&String, &&str)| {
            if of_sagas { fits_saga(expected, line) } else { fits(expected, line) }
        };
        let same = lines.len() == stop.expected.len() && stop.expected.iter().zip(&lines).all(fits);
        assert!(
            same,
            "`{}` printed\n{printed}\nand not\n{}",
            stop.command,
            stop.expected.join("\n")
        );
    }
}

#[test]
fn the_tour_prints_what_the_readme_says() {
    take("console", 6, "the tour needs the cluster that `make run` leaves");
}

#[test]
fn an_ellipsis_stands_for_anything_and_nothing_else_does() {
    assert!(fits("a … c", "a   b c") && fits("a …", "a b") && fits("a", "a "));
    assert!(!fits("a … c", "a b d") && !fits("a", "a b") && !fits("…b", "abc"));
}

#[test]
fn a_saga_may_have_been_tried_more_often_and_not_less() {
    let expected = "order-1044  Compensated  3/3    1  …";
    assert!(
        fits_saga(expected, "order-1044  Compensated  3/3    2  9s")
            && fits_saga(expected, "order-1044 Compensated 3/3 1 9s")
    );
    assert!(
        !fits_saga(expected, "order-1044  Compensated  3/3  0  9s")
            && !fits_saga(expected, "order-1044  Failed  3/3  1  9s")
    );
    assert!(fits_saga("a  Completed  7/7  …  …", "a  Completed  7/7  0  9s"));
}
