//! Shapes of one step whose Pods and Jobs behave as in an API server. Users and nodes interfere
//! with them.

use std::time::Instant;

use saga_operator::{
    api::{JobAction, OnFailure, PodAction},
    model::saga::Work,
    world::{Children, Interference, ReplicaFault, Rules},
};
use serde_json::json;

use crate::shapes::{Kind, Shape, Steps, dags, saga};

/// The properties of a shape with one step.
#[derive(Clone, Copy, Debug)]
struct Interfered {
    jobs: bool,
    /// Whether exit code 0 always means that the work was done.
    finishes: bool,
    /// The maximum number of interferences by a user or a node.
    interferences: usize,
    /// The maximum number of crashes of the operator.
    crashes: usize,
    attempts: u32,
    undo: bool,
}

impl Interfered {
    const fn pod(interferences: usize, crashes: usize) -> Self {
        Self { jobs: false, finishes: false, interferences, crashes, attempts: 1, undo: false }
    }

    const fn job(interferences: usize, crashes: usize) -> Self {
        Self { jobs: true, ..Self::pod(interferences, crashes) }
    }

    fn work(self) -> Work {
        let finishes_on_sigterm = self.finishes.then_some(true);
        if self.jobs {
            let spec =
                json!({"template": {"spec": {"containers": [{"name": "step", "image": "image"}]}}});
            Work::Job(JobAction {
                metadata: None,
                spec,
                final_exit_codes: None,
                finishes_on_sigterm,
            })
        } else {
            Work::Pod(PodAction {
                image: Some("image".into()),
                finishes_on_sigterm,
                ..PodAction::default()
            })
        }
    }

    fn shape(self) -> Shape {
        let Self { jobs, finishes, interferences, crashes, attempts, undo } = self;
        let on_failure = if undo { OnFailure::Compensate } else { OnFailure::Hold };
        let mut saga = saga(
            &dags(1)[0],
            Kind { steps: Steps::Pods, undo, attempts, on_failure, parallel: false, pivot: None },
        );
        for step in &mut saga.steps {
            step.action.work = self.work();
            if let Some(undo) = &mut step.compensation {
                undo.work = self.work();
            }
        }
        let kinds =
            if jobs { Interference::OF_JOBS.to_vec() } else { Interference::OF_PODS.to_vec() };
        let mut rules = Rules::calm(Instant::now());
        rules.children = Children::AsTheyAre { interferences, kinds };
        (rules.faults, rules.fault_kinds) = (crashes, vec![ReplicaFault::Crash]);
        let what = if jobs { "a Job" } else { "a Pod" };
        let words = [
            (finishes, "finishes".to_owned()),
            (undo, "undone".to_owned()),
            (attempts > 1, format!("x{attempts}")),
            (interferences > 0, format!("meddled with {interferences} times")),
            (crashes > 0, "crash".to_owned()),
        ];
        let more = words
            .into_iter()
            .filter(|(holds, _)| *holds)
            .map(|(_, word)| format!(", {word}"))
            .collect::<Vec<_>>()
            .concat();
        Shape { name: format!("{what} as it is{more}"), saga, rules }
    }
}

/// Returns all shapes, small ones first.
pub fn all() -> Vec<Shape> {
    let mut all = Vec::new();
    for one in [Interfered::pod, Interfered::job] {
        all.extend([one(1, 0), one(2, 0), Interfered { finishes: true, ..one(2, 0) }]);
        all.extend([
            one(1, 1),
            Interfered { attempts: 2, ..one(1, 0) },
            Interfered { undo: true, ..one(1, 0) },
        ]);
    }
    all.extend([Interfered::pod(2, 1), Interfered::job(2, 1)]);
    all.into_iter().map(Interfered::shape).collect()
}
