//! Families of shapes: sagas that have something in common, with the events that are possible.

use std::time::Duration;

use saga_operator::{
    api::OnFailure,
    expression::template::{Template, node::Form},
    world::{Later, ReplicaFault, Rules},
};
use serde_json::{Map, Value, json};

use super::{Extent, Kind, Shape, Steps, dags, saga, sagas::Dag};

const BOTH: [OnFailure; 2] = [OnFailure::Compensate, OnFailure::Hold];

pub(super) struct Shapes(pub(super) Vec<Shape>);

impl Shapes {
    fn add(&mut self, dag: &Dag, kind: Kind, extent: Extent) {
        let Kind { steps, undo, attempts, on_failure, parallel, pivot } = kind;
        let order = if parallel { "side by side" } else { "in order" };
        let more = format!(
            "{}{}",
            if undo { "" } else { ", no undo" },
            pivot.map(|pivot| format!(", pivot s{pivot}")).unwrap_or_default()
        );
        let name = format!(
            "{dag:?} {steps:?} x{attempts} {on_failure:?} {order}{more}; {}",
            extent.text()
        );
        let rules = Rules { remakes: u32::from(steps == Steps::Deletes), ..extent.rules() };
        self.0.push(Shape { name, saga: saga(dag, kind), rules });
    }

    /// Adds every graph of `steps` steps, with Pods and with HTTP requests, for the given numbers
    /// of attempts and orders, and for both policies.
    pub(super) fn all(&mut self, steps: usize, orders: &[bool], attempts: &[u32], extent: Extent) {
        for dag in dags(steps) {
            for kind in [Steps::Pods, Steps::Requests] {
                for on_failure in BOTH {
                    for attempts in attempts {
                        for parallel in orders {
                            let kind = Kind {
                                steps: kind,
                                undo: true,
                                attempts: *attempts,
                                on_failure,
                                parallel: *parallel,
                                pivot: None,
                            };
                            self.add(&dag, kind, extent);
                        }
                    }
                }
            }
        }
    }

    /// Adds every graph of `steps` steps, with steps of one kind, with one attempt, in order.
    pub(super) fn only(&mut self, steps: usize, kind: Steps, extent: Extent) {
        for dag in dags(steps) {
            for on_failure in BOTH {
                let kind = Kind {
                    steps: kind,
                    undo: true,
                    attempts: 1,
                    on_failure,
                    parallel: false,
                    pivot: None,
                };
                self.add(&dag, kind, extent);
            }
        }
    }

    /// Adds sagas of one Pod whose exit code 1 is final, with two attempts. In half of them, the
    /// step is the pivot.
    pub(super) fn pods_again(&mut self, extent: Extent) {
        for on_failure in BOTH {
            for pivot in [None, Some(0)] {
                let kind = Kind {
                    steps: Steps::FinalPods,
                    undo: true,
                    attempts: 2,
                    on_failure,
                    parallel: false,
                    pivot,
                };
                self.add(&dags(1)[0], kind, extent);
            }
        }
    }

    /// Adds sagas with an approval.
    pub(super) fn approvals(&mut self, extent: Extent) {
        for on_failure in BOTH {
            for dag in dags(2) {
                let kind = Kind {
                    steps: Steps::Approval,
                    undo: true,
                    attempts: 1,
                    on_failure,
                    parallel: true,
                    pivot: None,
                };
                self.add(&dag, kind, extent);
                self.add(&dag, Kind { steps: Steps::PodsAndApproval, ..kind }, extent);
            }
        }
    }

    /// Adds special sagas: with pivots, with steps that only wait, and with steps without a
    /// compensation.
    pub(super) fn special(&mut self, extent: Extent) {
        for on_failure in BOTH {
            let kind = Kind {
                steps: Steps::Pods,
                undo: true,
                attempts: 1,
                on_failure,
                parallel: true,
                pivot: None,
            };
            for dag in dags(2) {
                self.add(
                    &dag,
                    Kind { steps: Steps::Requests, pivot: Some(0), attempts: 2, ..kind },
                    extent,
                );
                self.add(&dag, Kind { pivot: Some(1), parallel: false, ..kind }, extent);
                self.add(&dag, Kind { steps: Steps::Approval, ..kind }, extent);
                self.add(&dag, Kind { steps: Steps::Wait, ..kind }, extent);
                self.add(&dag, Kind { undo: false, parallel: false, ..kind }, extent);
            }
        }
    }
}

/// Returns cases of outputs of a step, with the expression of a later step that reads them. The
/// cases are: a number that the API server returns in another form, a value that is nested more
/// deeply than a status may hold, and a map whose keys have no defined order.
fn values() -> [(&'static str, Map<String, Value>, &'static str); 3] {
    let fields = |value: Value| value.as_object().cloned().unwrap_or_default();
    let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
    let map = json!({"v": {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}});
    [
        ("100.0", fields(json!({"v": 100.0})), "${steps.s0.outputs.v}"),
        ("deep", fields(json!({"v": deep})), "${steps.s0.outputs.v}"),
        ("a map", fields(map), "${steps.s0.outputs.v.map(k, k)}"),
    ]
}

impl Shapes {
    /// Adds sagas in which an HTTP request sends the outputs of the previous step.
    pub(super) fn values(&mut self, extent: Extent) {
        let dag = vec![vec![], vec![0]];
        let kind = Kind {
            steps: Steps::Requests,
            undo: true,
            attempts: 2,
            on_failure: OnFailure::Hold,
            parallel: false,
            pivot: None,
        };
        for (what, outputs, body) in values() {
            let mut saga = saga(&dag, kind);
            let action = json!({"method": "POST", "url": "http://shop/s1", "body": {"v": body}});
            let template = Template::parse(
                action.as_object().unwrap(),
                "spec.steps[1].http",
                |_| Form::Any,
                &mut Vec::new(),
            );
            saga.steps[1].action.template = Some(template);
            let rules = Rules { outputs: [("s0".to_owned(), outputs)].into(), ..extent.rules() };
            self.0.push(Shape { name: format!("s1 sends {what}; {}", extent.text()), saga, rules });
        }
    }
}

impl Shapes {
    /// Adds sagas whose delays are below the floors, with enough attempts for both floors.
    pub(super) fn floors(&mut self, extent: Extent) {
        for on_failure in BOTH {
            let kind = Kind {
                steps: Steps::Requests,
                undo: true,
                attempts: 4,
                on_failure,
                parallel: false,
                pivot: None,
            };
            let mut saga = saga(&dags(1)[0], kind);
            let step = &mut saga.steps[0];
            for operation in [Some(&mut step.action), step.compensation.as_mut()] {
                let retry = &mut operation.unwrap().retry;
                (retry.initial_delay, retry.max_delay) =
                    (Duration::from_nanos(1), Duration::from_nanos(1));
            }
            let name = format!("{on_failure:?}, delays of 1ns; {}", extent.text());
            self.0.push(Shape { name, saga, rules: extent.rules() });
        }
    }
}

impl Shapes {
    /// Adds shapes with replicas whose clocks differ or are changed.
    pub(super) fn clocks(&mut self) {
        let calm = Extent { operators: 2, ..Extent::default() };
        for clocks in [[0, -40], [0, 40], [20, -20]] {
            self.all(1, &[false], &[2], Extent { clocks, ..calm });
            self.only(
                1,
                Steps::Requests,
                Extent {
                    clocks,
                    faults: 2,
                    once: &[ReplicaFault::Crash, ReplicaFault::Freeze],
                    ..calm
                },
            );
        }
        self.only(
            1,
            Steps::Pods,
            Extent {
                clocks: [20, -20],
                faults: 2,
                once: &[ReplicaFault::Crash, ReplicaFault::Freeze],
                ..calm
            },
        );
        for once in [&[ReplicaFault::SetAhead], &[ReplicaFault::SetBack]] {
            let set = Extent { requests: 1, faults: 1, once, ..Extent::default() };
            self.all(1, &[false], &[1, 2], set);
            self.approvals(set);
        }
        self.all(
            1,
            &[false],
            &[2],
            Extent { faults: 2, once: &[ReplicaFault::SetAhead, ReplicaFault::SetBack], ..calm },
        );
        // An operator that reads an intent late knows the age of the intent only from the clocks.
        self.only(
            1,
            Steps::Pods,
            Extent {
                faults: 3,
                once: &[ReplicaFault::Crash, ReplicaFault::Stall, ReplicaFault::SetBack],
                ..Extent::default()
            },
        );
        self.only(
            1,
            Steps::Pods,
            Extent { faults: 2, once: &[ReplicaFault::Crash, ReplicaFault::SetBack], ..calm },
        );
        self.all(2, &[false], &[1], Extent { clocks: [0, -40], ..calm });
    }
}

impl Shapes {
    /// Adds shapes with replicas whose watches break. These replicas notice missed changes by their
    /// timers, or when they list all objects again.
    pub(super) fn deaf(&mut self) {
        let deaf = Extent { faults: 1, once: &[ReplicaFault::Deafen], ..Extent::default() };
        self.all(1, &[false], &[1, 2], Extent { requests: 1, ..deaf });
        self.all(1, &[false], &[1], Extent { wide: true, ..deaf });
        self.all(2, &[false, true], &[1], deaf);
        self.approvals(Extent { requests: 1, ..deaf });
        self.all(
            1,
            &[false],
            &[1],
            Extent {
                faults: 2,
                once: &[ReplicaFault::Deafen, ReplicaFault::Crash],
                operators: 2,
                ..deaf
            },
        );
    }

    /// Adds shapes with a replica of this version and a replica of a later version. After a crash,
    /// the later one either returns or stays away.
    pub(super) fn versions(&mut self) {
        for (word, stays) in [(false, true), (true, true), (true, false)] {
            let both =
                Extent { operators: 2, later: Some(Later { word, stays }), ..Extent::default() };
            // Each write is converted to the form in which the API server stores it. The conversion
            // makes the search slower.
            self.all(1, &[false], &[1], Extent { faults: 1, once: &[ReplicaFault::Crash], ..both });
            self.only(2, Steps::Requests, both);
        }
    }
}
