//! The sagas that are tried, and what may happen to each: together they are what the model covers.

mod extent;
mod families;
mod sagas;

pub use self::{
    extent::Extent,
    sagas::{Kind, Steps, dags, operation, pod, request, saga},
};

use saga_operator::{
    model::saga::ValidSaga,
    world::{Fault, Rules},
};

use self::families::Shapes;

/// One saga with what may happen to it.
#[derive(Clone, Debug)]
pub struct Shape {
    pub name: String,
    pub saga: ValidSaga,
    pub rules: Rules,
}

/// The shapes of `make model`: a million worlds and more, in minutes.
pub fn quick() -> Vec<Shape> {
    let mut shapes = Shapes(Vec::new());
    let (both, calm) = ([false, true], Extent::default());
    let request = Extent { requests: 1, ..calm };
    let fault = Extent { faults: 1, ..calm };
    let all = Extent { requests: 1, faults: 1, operators: 2, staleness: 2, ..calm };
    cheap_and_special(&mut shapes);
    made_and_deleted(&mut shapes);
    shapes.clocks();
    shapes.deaf();
    shapes.versions();
    shapes.all(2, &[false], &[1, 2], Extent { wide: true, ..calm });
    shapes.all(2, &[true], &[1], Extent { wide: true, ..calm });
    shapes.all(2, &both, &[1], request);
    shapes.all(2, &[false], &[2], request);
    shapes.all(2, &[false], &[1, 2], fault);
    shapes.all(2, &[true], &[1], fault);
    shapes.all(1, &[false], &[1], Extent { wide: true, faults: 1, ..request });
    shapes.all(
        1,
        &[false],
        &[1],
        Extent { wide: true, faults: 1, operators: 2, staleness: 2, ..calm },
    );
    shapes.only(1, Steps::Requests, all);
    shapes.all(2, &[false], &[1], Extent { faults: 1, ..request });
    shapes.all(2, &[false], &[1], Extent { faults: 1, operators: 2, staleness: 2, ..calm });
    shapes.all(3, &[false], &[1, 2], calm);
    shapes.all(3, &[true], &[1], calm);
    shapes.all(3, &[false], &[1], request);
    shapes.all(3, &[false], &[1], fault);
    // Pods and Jobs as they are, with who acts on them.
    shapes.0.extend(crate::children::all());
    shapes.0
}

/// Adds the shapes of which each has few worlds.
fn cheap_and_special(shapes: &mut Shapes) {
    let calm = Extent::default();
    let (request, fault) = (Extent { requests: 1, ..calm }, Extent { faults: 1, ..calm });
    shapes.all(1, &[false], &[1, 2], Extent { wide: true, ..calm });
    shapes.all(1, &[false], &[1, 2], request);
    shapes.all(1, &[false], &[1, 2], fault);
    // What is cheap and special first: a rule that is broken shows early.
    shapes.all(1, &[false], &[1], Extent { requests: 2, ..calm });
    shapes.all(1, &[false], &[1], Extent { tokens: true, faults: 1, staleness: 1, ..request });
    shapes.all(1, &[false], &[1], Extent { faults: 1, ..request });
    shapes.all(1, &[false], &[1], Extent { faults: 1, operators: 2, staleness: 2, ..calm });
    shapes.special(fault);
    shapes.special(request);
    shapes.approvals(Extent { faults: 1, ..request });
    shapes.values(Extent { faults: 1, ..request });
}

/// Adds the shapes in which Pods and objects are made late or again.
fn made_and_deleted(shapes: &mut Shapes) {
    let calm = Extent::default();
    let request = Extent { requests: 1, ..calm };
    // What one operator was refused another one may still create: it takes two faults.
    shapes.only(
        1,
        Steps::Pods,
        Extent { faults: 2, operators: 2, once: &[Fault::Stall, Fault::Refuse], ..request },
    );
    // What is deleted may be made again: by whom, and when, its UID was written decides.
    shapes.only(1, Steps::Deletes, Extent { faults: 1, ..request });
    shapes.only(
        1,
        Steps::Deletes,
        Extent { wide: true, faults: 1, operators: 2, staleness: 2, ..calm },
    );
    shapes.only(
        1,
        Steps::Deletes,
        Extent {
            faults: 2,
            operators: 2,
            once: &[Fault::Crash, Fault::Stall, Fault::Refuse],
            ..calm
        },
    );
    // A creation that was decided in time leaves too late: the operator that made the Pod before it
    // must be gone, and a look stand still.
    shapes.only(
        1,
        Steps::Pods,
        Extent { wide: true, faults: 2, once: &[Fault::Crash, Fault::Stall], ..request },
    );
    // Which exit codes say that nothing was done: another attempt of the same work, or a request
    // for it, tells.
    shapes.only(1, Steps::FinalPods, Extent { wide: true, ..request });
    shapes.pods_again(Extent { wide: true, ..request });
}

/// The shapes of `make model-full`: those, four steps, and more at once. Everything at once is
/// searched with one step, and with two that send requests; beyond, it has more worlds than a
/// machine holds, and is wandered through by seed instead.
pub fn full() -> Vec<Shape> {
    let mut shapes = Shapes(quick());
    let calm = Extent::default();
    let (request, fault) = (Extent { requests: 1, ..calm }, Extent { faults: 1, ..calm });
    let both = Extent { faults: 1, ..request };
    shapes.only(1, Steps::Pods, Extent { operators: 2, staleness: 2, ..both });
    shapes.all(1, &[false], &[2], Extent { wide: true, ..both });
    shapes.all(2, &[true], &[2], calm);
    shapes.all(3, &[false], &[1], both);
    shapes.all(3, &[false], &[1], Extent { operators: 2, staleness: 2, ..fault });
    shapes.all(4, &[false], &[1], calm);
    shapes.all(4, &[false], &[1], request);
    shapes.all(4, &[false], &[1], fault);
    shapes.special(both);
    shapes.only(2, Steps::Requests, Extent { operators: 2, staleness: 2, ..both });
    shapes.0
}
