//! The engine with one rule broken, again and again: each time the model has to notice.

use std::{
    process::{Command, Stdio},
    sync::{Mutex, atomic::AtomicUsize, atomic::Ordering},
};

use saga_operator::twins::Twin;
#[cfg(feature = "twins")]
use saga_operator::world::Fault;

use crate::shapes::Shape;

/// Twins that only show on a real API server; the chaos suite kills them.
const ELSEWHERE: [Twin; 2] = [Twin::Adopt, Twin::Tenure];

/// Twins of the rules for Pods and Jobs: they show where these are as they are.
#[cfg(feature = "twins")]
const OF_CHILDREN: [Twin; 6] =
    [Twin::ZeroIsDone, Twin::ForgetsSuccess, Twin::JobCountsAll, Twin::OwnerOnly, Twin::OrphanStays, Twin::JobKept];
/// Twins that show where a clock is set.
#[cfg(feature = "twins")]
const OF_CLOCKS: [Twin; 2] = [Twin::Skew, Twin::ClockSet];
/// Twins that show where two operators are of two versions.
#[cfg(feature = "twins")]
const OF_VERSIONS: [Twin; 2] = [Twin::DropsFields, Twin::StrangeWords];

/// Whether a twin is to show in a shape, if it shows anywhere.
#[cfg(feature = "twins")]
fn may_show(twin: Twin, shape: &Shape) -> bool {
    let (rules, as_they_are) = (&shape.rules, crate::children::is_one(shape));
    if OF_CHILDREN.contains(&twin) {
        as_they_are
    } else if OF_CLOCKS.contains(&twin) {
        rules.each_fault_once && rules.fault_kinds.contains(&Fault::SetBack)
    } else if OF_VERSIONS.contains(&twin) {
        rules.later.is_some()
    } else {
        !as_they_are
    }
}

/// How many twins there are, and the names of those that survive.
pub fn hunt() -> (usize, Vec<&'static str>) {
    let twins: Vec<_> = Twin::ALL.iter().filter(|twin| !ELSEWHERE.contains(twin)).collect();
    let (next, survivors) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(twin) = twins.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !is_killed(twin.as_str()) {
                        survivors.lock().unwrap().push(twin.as_str());
                    }
                }
            });
        }
    });
    (twins.len(), survivors.into_inner().unwrap())
}

/// A rule is broken for a whole process: each twin lives in one of its own.
fn is_killed(name: &str) -> bool {
    let program = std::env::current_exe().unwrap();
    let ran = Command::new(program).args(["--twin", name]).stderr(Stdio::inherit()).output().unwrap();
    print!("{}", String::from_utf8_lossy(&ran.stdout));
    ran.status.success()
}

/// This process breaks the rule, and says whether the model notices.
#[cfg(feature = "twins")]
pub fn live(name: &str, shapes: &[Shape]) -> bool {
    let Some(twin) = Twin::ALL.iter().find(|twin| twin.as_str() == name) else {
        println!("there is no twin {name}");
        return false;
    };
    saga_operator::twins::switch_off(*twin);
    // First where it is to show.
    let (first, last): (Vec<_>, Vec<_>) = shapes.iter().partition(|shape| may_show(*twin, shape));
    let shapes = [first, last].concat();
    let (mut states, started) = (0, std::time::Instant::now());
    for shape in shapes {
        let found = crate::search::search(shape, 1);
        states += found.states;
        if let Some(broken) = found.laws.first() {
            println!("twin {name:<20} killed by {broken:?} after {states} states in {:.1?}: {}", started.elapsed(), shape.name);
            return true;
        }
    }
    println!("twin {name:<20} SURVIVES {states} states in {:.1?}", started.elapsed());
    false
}

#[cfg(not(feature = "twins"))]
pub fn live(name: &str, _: &[Shape]) -> bool {
    println!("the twin {name} is not in here: build with --features twins");
    false
}
