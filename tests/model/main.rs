//! The model: explores every world (state) that small sagas can reach, with one request and one
//! fault at any point, with a second replica and with old copies of objects.
//!
//! `model` explores the shapes of `make model`. `model --full` explores the shapes of `make
//! model-full`. `--only TEXT` explores only the shapes whose names contain the text. `--random`
//! runs only the random sagas. With `SAGA_SEED=7` or `SAGA_SEED=small-7`, `--random` runs only the
//! saga of this seed. `--sweeps` runs only the sweeps.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::struct_excessive_bools,
    reason = "tests fail by panicking"
)]

mod children;
mod counts;
mod coverage;
mod mutants;
mod random;
mod search;
mod shapes;
mod show;
mod sweeps;
mod trouble;
mod walk;

use std::{
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use random::{Size, Tried};
use saga_operator::api::SagaPhase;
use search::Found;
use shapes::Shape;

/// The maximum number of reported violations per shape.
const TOLD: usize = 2;
/// The number of random sagas of `make model`, large and small. `make model-full` runs ten times as
/// many.
const RANDOM: [(Size, &str, u64); 2] = [
    (Size::Large, "5 to 64 steps", 10_000),
    (Size::Small, "1 to 4 steps, everything at once", 100_000),
];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let after = |name: &str| {
        arguments
            .iter()
            .position(|argument| argument == name)
            .and_then(|place| arguments.get(place + 1))
    };
    let full = arguments.iter().any(|argument| argument == "--full");
    if arguments.iter().any(|argument| argument == "--random") {
        return ExitCode::from(u8::from(at_random(full) > 0));
    }
    if arguments.iter().any(|argument| argument == "--sweeps") {
        return ExitCode::from(u8::from(swept() > 0));
    }
    let mut shapes = if full { shapes::full() } else { shapes::quick() };
    if let Some(text) = after("--only") {
        shapes.retain(|shape| shape.name.contains(text));
    }
    if let Some(name) = after("--mutant") {
        return ExitCode::from(u8::from(!mutants::live(name, &shapes)));
    }
    let found = explore(&shapes);
    let empty = if after("--only").is_some() { Vec::new() } else { found.coverage.empty() };
    println!("\n{}\n", found.coverage.table());
    for cell in &empty {
        println!("never reached: {cell}");
    }
    let beyond = if after("--only").is_none() { at_random(full) + swept() } else { 0 };
    let violations = found.violations.len() + beyond;
    // A mutant can only be killed if the unchanged engine violates no property.
    let hunts = cfg!(feature = "twins") && after("--only").is_none() && violations == 0;
    let (mutants, survivors) = if hunts { mutants::hunt() } else { (0, Vec::new()) };
    let killed = mutants - survivors.len();
    if after("--only").is_none() {
        counts::leave(found.states, violations, mutants, killed);
    }
    println!(
        "model: {} states, {violations} violations, {killed}/{mutants} mutants killed",
        found.states
    );
    ExitCode::from(u8::from(!(violations == 0 && survivors.is_empty() && empty.is_empty())))
}

/// Runs the random sagas, or the one saga that `SAGA_SEED` names. Returns the number of violations.
fn at_random(full: bool) -> usize {
    match std::env::var("SAGA_SEED") {
        Ok(seed) => match seed.parse() {
            Ok(seed) => told("one saga", &random::replay(seed), Instant::now()),
            Err(error) => {
                println!("{error}");
                1
            }
        },
        Err(_) => RANDOM
            .iter()
            .map(|(size, what, sagas)| {
                wandered(*size, what, if full { sagas * 10 } else { *sagas })
            })
            .sum(),
    }
}

/// Runs the given number of random sagas. Returns the number of violations, plus the number of
/// terminal phases that no saga reached.
fn wandered(size: Size, what: &str, sagas: u64) -> usize {
    let started = Instant::now();
    let tried = random::run(size, sagas);
    let never = SagaPhase::ALL
        .iter()
        .filter(|phase| phase.is_terminal() && !tried.ends.contains_key(&Some(phase.as_str())));
    let never: Vec<_> = never.filter(|_| tried.violations.is_empty()).collect();
    for phase in &never {
        println!("random: no saga ends {}", phase.as_str());
    }
    told(&format!("sagas of {what}"), &tried, started) + never.len()
}

/// Prints the results of random sagas. Returns the number of violations.
fn told(what: &str, tried: &Tried, started: Instant) -> usize {
    let ends =
        tried.ends.iter().map(|(phase, count)| format!("{} {count}", phase.unwrap_or("gone")));
    println!("random: the final phases of the sagas: {}", ends.collect::<Vec<_>>().join(", "));
    let Tried { sagas, moves, violations, .. } = tried;
    let (violations, took) = (violations.len(), started.elapsed().as_secs_f64());
    println!("random: {sagas} {what}, {moves} moves, {violations} violations ({took:.1} s)");
    violations
}

/// Runs the sweeps. Returns the number of runs that violated a property or ended in the wrong
/// state.
fn swept() -> usize {
    let (started, sweeps::Swept { sagas, runs, violations }) = (Instant::now(), sweeps::run());
    println!(
        "sweeps: {runs} runs of {sagas} sagas, {} violations ({:.1} s)",
        violations.len(),
        started.elapsed().as_secs_f64()
    );
    violations.len()
}

/// Explores every shape, two shapes at a time.
fn explore(shapes: &[Shape]) -> Found {
    let (next, all, started) = (AtomicUsize::new(0), Mutex::new(Found::default()), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(shape) = shapes.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    let found = search::search(shape, TOLD);
                    println!(
                        "{:>9} states, depth {:>2}, {:>5.1?} s  {}",
                        found.states,
                        found.depth,
                        begun.elapsed().as_secs_f64(),
                        shape.name
                    );
                    found.violations.iter().for_each(|violation| println!("{violation}"));
                    let mut all = all.lock().unwrap();
                    all.states += found.states;
                    all.depth = all.depth.max(found.depth);
                    all.violations.extend(found.violations);
                    all.properties.extend(found.properties);
                    all.coverage.add(found.coverage);
                }
            });
        }
    });
    let all = all.into_inner().unwrap();
    println!(
        "{} shapes, {} states, depth {}, {:.1} s",
        shapes.len(),
        all.states,
        all.depth,
        started.elapsed().as_secs_f64()
    );
    all
}
