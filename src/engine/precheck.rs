//! What can be tried before the first step runs, so that a saga with a mistake in its last step does not have to be undone for it.
//!
//! # Guarantees
//! Only what is known already is tried: an operation that reads what steps hand on is left until it runs, and said to be unchecked.

use super::{
    data::Values,
    saga::{Operation, ValidSaga, Work},
    valid::Fault,
};
use crate::api::{Direction, StepStatus};

/// One operation that can be tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Where it stands: `spec.steps[2].compensation.pod`.
    pub path: String,
    /// The step's name.
    pub step: String,
    /// Action or compensation.
    pub direction: Direction,
    /// What is done.
    pub work: Work,
    /// Whether an earlier step writes objects, so that what is missing may be there by then.
    pub may_come: bool,
}

/// What came of the trial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precheck {
    /// What cannot work, all of it.
    pub refused: Vec<Fault>,
    /// The operations that could not be tried.
    pub unchecked: Vec<String>,
}

/// The operations of a saga that can be tried, and the paths of those that cannot.
#[must_use]
pub fn probes(saga: &ValidSaga) -> (Vec<Probe>, Vec<String>) {
    let (mut probes, mut unchecked, mut may_come) = (Vec::new(), Vec::new(), false);
    // Nothing is known of any step.
    let values = Values { saga, steps: &[] };
    for (place, step) in saga.steps.iter().enumerate() {
        for direction in [Direction::Action, Direction::Compensation] {
            let Some(operation) = step.operation(direction).filter(|operation| can_be_tried(operation)) else { continue };
            let undo = if direction == Direction::Compensation { ".compensation" } else { "" };
            let path = format!("spec.steps[{place}]{undo}.{}", operation.kind());
            let known =
                operation.template.as_ref().is_none_or(|template| template.fields().iter().all(|field| field.expression.is_fixed()));
            match values.resolve(operation, &StepStatus::default(), direction) {
                // A step that may never run may have values for the case in which it does.
                Ok(work) if known && !step.unchecked => {
                    probes.push(Probe { path, step: step.name.clone(), direction, work: work.into_owned(), may_come });
                }
                Ok(_) | Err(_) => unchecked.push(path),
            }
        }
        may_come |= matches!(step.action.work, Work::Apply(_) | Work::Delete(_));
    }
    (probes, unchecked)
}

/// Whether there is anything to be tried about an operation.
fn can_be_tried(operation: &Operation) -> bool {
    match &operation.work {
        Work::Pod(_) | Work::Job(_) | Work::Apply(_) | Work::Saga(_) => true,
        Work::Http(action) => action.tls.is_some() || action.headers.iter().flatten().any(|header| header.value_from.is_some()),
        Work::Delete(_) | Work::Until(_) | Work::UndoSaga | Work::Approval(_) | Work::Wait(_) => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

    use serde_json::{Value, json};

    use super::*;
    use crate::engine::valid::{SagaName, validate};

    fn paths(spec: Value) -> (Vec<(String, bool)>, Vec<String>) {
        let who = SagaName { name: "order".into(), namespace: "shop".into(), uid: "1".into() };
        let saga = validate(&who, &serde_json::from_value(spec).unwrap()).unwrap();
        let (probes, unchecked) = probes(&saga);
        (probes.into_iter().map(|probe| (probe.path, probe.may_come)).collect(), unchecked)
    }

    #[test]
    fn what_is_known_already_is_tried_and_all_else_is_said_to_be_unchecked() {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        let secret = json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]);
        let post = json!({"method": "POST", "url": "http://a/b"});
        let mut with_secret = post.clone();
        with_secret["headers"] = secret;
        let spec = json!({"params": {"x": "y"}, "steps": [
            {"name": "a", "http": post},
            {"name": "b", "http": with_secret, "outputs": {"id": "${response.body.id}"}},
            {"name": "c", "dependsOn": ["b"], "pod": {"image": "c", "args": ["${params.x}"]}, "compensation": {"pod": {"image": "c", "args": ["${action.key}"]}}},
            {"name": "d", "dependsOn": ["b"], "pod": {"image": "d", "args": ["${steps.b.outputs.id}"]}},
            {"name": "e", "apply": {"manifest": map}},
            {"name": "f", "pod": {"image": "f"}, "precheck": "Skip"},
            {"name": "g", "when": "params.x == 'z'", "pod": {"image": "g"}},
            {"name": "h", "approval": {}},
        ]});
        let (tried, unchecked) = paths(spec);
        let of = |path: &str, may_come| (format!("spec.steps[{path}"), may_come);
        assert_eq!(tried, [of("1].http", false), of("2].pod", false), of("4].apply", false), of("6].pod", true)]);
        assert_eq!(unchecked, ["spec.steps[2].compensation.pod", "spec.steps[3].pod", "spec.steps[5].pod"]);
    }
}
