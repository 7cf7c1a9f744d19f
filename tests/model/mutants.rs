//! Mutants: the engine with one rule broken. For each mutant, the model must find a violation.

use std::{
    process::{Command, Stdio},
    sync::{Mutex, atomic::AtomicUsize, atomic::Ordering},
};

use saga_operator::mutants::Mutant;

use crate::shapes::Shape;

/// Mutants that are only visible on a real API server. The chaos suite kills them.
const ELSEWHERE: [Mutant; 2] = [Mutant::Adopt, Mutant::Tenure];

/// The shapes in which a mutant must be visible: those whose names contain the text. They are
/// searched first.
#[cfg(feature = "twins")]
const SHOWS_IN: [(Mutant, &str); 32] = [
    (Mutant::ZeroIsDone, AS_IT_IS),
    (Mutant::ForgetsSuccess, AS_IT_IS),
    (Mutant::JobCountsAll, AS_IT_IS),
    (Mutant::OwnerOnly, AS_IT_IS),
    (Mutant::OrphanStays, AS_IT_IS),
    (Mutant::JobKept, AS_IT_IS),
    (Mutant::Skew, "Pods x1 Compensate in order; [Crash, Stall, SetBack]"),
    (Mutant::ClockSet, "Pods x1 Compensate in order; [Crash, Stall, SetBack]"),
    (
        Mutant::UnknownEarly,
        "Pods x1 Compensate in order; [Crash, Freeze], two operators, clocks [20, -20]",
    ),
    (Mutant::DropsFields, LATER),
    (Mutant::StrangeWords, LATER),
    (Mutant::LeavesLate, "[Crash, Stall]"),
    (Mutant::RefusalProves, "[Stall, Refuse]"),
    (Mutant::NumbersDrift, "s1 sends"),
    (Mutant::RejectDone, "Approval x1"),
    (Mutant::ApprovalUndone, "Approval x1"),
    (Mutant::UndoDependants, PIVOT),
    (Mutant::Dependencies, "side by side, pivot"),
    (Mutant::FailureStops, PIVOT),
    (Mutant::Slots, PIVOT),
    (Mutant::RetriesStop, "side by side, pivot"),
    (Mutant::Pivot, PIVOT),
    (Mutant::PivotUncertain, PIVOT),
    (Mutant::OwnWrites, "request@token, fault, stale"),
    (Mutant::TwoSeconds, "request@token, fault, stale"),
    (Mutant::TokenTwice, "request@token, fault, stale"),
    (Mutant::Executor, "two operators, stale"),
    (Mutant::UndoOrder, "[[], []] Pods x1 Compensate in order; request"),
    (Mutant::MapOrder, "s1 sends a map"),
    (Mutant::DeepOutputs, "s1 sends deep"),
    (Mutant::SkipLeavesOut, "s1 sends 100.0"),
    (Mutant::Floors, "delays of 1ns"),
];
#[cfg(feature = "twins")]
const AS_IT_IS: &str = "as it is";
#[cfg(feature = "twins")]
const LATER: &str = "Later {";
#[cfg(feature = "twins")]
const PIVOT: &str = "in order, pivot";

/// Returns the number of mutants, and the names of the survivors.
pub fn hunt() -> (usize, Vec<&'static str>) {
    let mutants: Vec<_> = Mutant::ALL.iter().filter(|mutant| !ELSEWHERE.contains(mutant)).collect();
    let (next, survivors) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(mutant) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !is_killed(mutant.as_str()) {
                        survivors.lock().unwrap().push(mutant.as_str());
                    }
                }
            });
        }
    });
    (mutants.len(), survivors.into_inner().unwrap())
}

/// Runs the mutant in a new process, because a rule is broken for a whole process. Returns whether
/// the mutant was killed.
fn is_killed(name: &str) -> bool {
    let program = std::env::current_exe().unwrap();
    let ran =
        Command::new(program).args(["--mutant", name]).stderr(Stdio::inherit()).output().unwrap();
    print!("{}", String::from_utf8_lossy(&ran.stdout));
    ran.status.success()
}

/// Breaks the rule in this process. Returns whether the model finds a violation.
#[cfg(feature = "twins")]
pub fn live(name: &str, shapes: &[Shape]) -> bool {
    let Some(mutant) = Mutant::ALL.iter().find(|mutant| mutant.as_str() == name) else {
        println!("there is no mutant {name}");
        return false;
    };
    saga_operator::mutants::switch_off(*mutant);
    let text = SHOWS_IN.iter().find(|(known, _)| known == mutant).map(|(_, text)| *text);
    let (first, last): (Vec<_>, Vec<_>) =
        shapes.iter().partition(|shape| text.is_some_and(|text| shape.name.contains(text)));
    if let Some(text) = text.filter(|_| first.is_empty()) {
        println!("the mutant {name} should show in shapes named {text:?}, and there are none");
        return false;
    }
    let shapes = [first, last].concat();
    let (mut states, started) = (0, std::time::Instant::now());
    for shape in shapes {
        let found = crate::search::search(shape, 1);
        states += found.states;
        if let Some(broken) = found.properties.first() {
            println!(
                "mutant {name:<20} killed by {broken:?} after {states} states in {:.1?}: {}",
                started.elapsed(),
                shape.name
            );
            return true;
        }
    }
    println!("mutant {name:<20} SURVIVES {states} states in {:.1?}", started.elapsed());
    false
}

#[cfg(not(feature = "twins"))]
pub fn live(name: &str, _: &[Shape]) -> bool {
    println!("this build has no mutant {name}: build with --features twins");
    false
}
