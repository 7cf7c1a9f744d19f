//! The sagas that the model explores, and the events that are possible for each. Together they are
//! the coverage of the model.

mod extent;
mod families;
mod sagas;

pub use self::{
    extent::Extent,
    sagas::{Kind, Steps, dags, operation, pod, request, saga},
};

use saga_operator::{
    model::saga::ValidSaga,
    world::{ReplicaFault, Rules},
};

use self::families::Shapes;

/// A saga, with the rules about the events that are possible.
#[derive(Clone, Debug)]
pub struct Shape {
    pub name: String,
    pub saga: ValidSaga,
    pub rules: Rules,
}

/// Returns the shapes of `make model`: more than a million worlds, in minutes.
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
    // Pods and Jobs as in an API server, with users and nodes that interfere.
    shapes.0.extend(crate::children::all());
    shapes.0
}

/// Adds the shapes that have few worlds each.
fn cheap_and_special(shapes: &mut Shapes) {
    let calm = Extent::default();
    let (request, fault) = (Extent { requests: 1, ..calm }, Extent { faults: 1, ..calm });
    shapes.all(1, &[false], &[1, 2], Extent { wide: true, ..calm });
    shapes.all(1, &[false], &[1, 2], request);
    shapes.all(1, &[false], &[1, 2], fault);
    // The cheap and special shapes come first, so that a broken rule is found early.
    shapes.all(1, &[false], &[1], Extent { requests: 2, ..calm });
    shapes.all(1, &[false], &[1], Extent { tokens: true, faults: 1, staleness: 1, ..request });
    shapes.all(1, &[false], &[1], Extent { faults: 1, ..request });
    shapes.all(1, &[false], &[1], Extent { faults: 1, operators: 2, staleness: 2, ..calm });
    shapes.special(fault);
    shapes.special(request);
    shapes.approvals(Extent { faults: 1, ..request });
    shapes.values(Extent { faults: 1, ..request });
    shapes.floors(calm);
}

/// Adds the shapes in which Pods and objects are created late or again.
fn made_and_deleted(shapes: &mut Shapes) {
    let calm = Extent::default();
    let request = Extent { requests: 1, ..calm };
    // If a create of one replica was refused, another replica may still create the child. This
    // situation needs two faults.
    shapes.only(
        1,
        Steps::Pods,
        Extent {
            faults: 2,
            operators: 2,
            once: &[ReplicaFault::Stall, ReplicaFault::Refuse],
            ..request
        },
    );
    // A deleted object can be created again. The rules depend on who writes the UID of the object,
    // and when.
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
            once: &[ReplicaFault::Crash, ReplicaFault::Stall, ReplicaFault::Refuse],
            ..calm
        },
    );
    // A create that was decided in time is sent too late. For this situation, the operator that
    // created the Pod earlier must be gone, and a reconcile must stall.
    shapes.only(
        1,
        Steps::Pods,
        Extent {
            wide: true,
            faults: 2,
            once: &[ReplicaFault::Crash, ReplicaFault::Stall],
            ..request
        },
    );
    // Final exit codes say that no work was done. A second attempt of the same work, or a request
    // for it, shows whether the operator uses them correctly.
    shapes.only(1, Steps::FinalPods, Extent { wide: true, ..request });
    shapes.pods_again(Extent { wide: true, ..request });
}

/// Returns the shapes of `make model-full`: the shapes of `make model`, sagas of four steps, and
/// more events at the same time. All kinds of events at the same time are searched for sagas of one
/// step, and for sagas of two steps that send HTTP requests. Larger sagas have more worlds than fit
/// into the memory of a machine. The random walks cover them instead.
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
