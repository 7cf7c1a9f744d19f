//! Checks the spec of a child saga before its parent runs. Otherwise a mistake in the child would
//! be found only when the child is created, and everything that the parent did until then would
//! have to be undone.
//!
//! # Guarantees
//! The child is checked by the same rules as after its creation, as far as its params are known. A
//! value from the answer of a service decides no image, kind, account or namespace, neither in the
//! parent nor, through params, in any child.

use std::cell::Cell;

use serde_json::{Map, Value};

use super::{action::Templated, given::Params, read_scope::ReadScope};
use crate::{
    api::{SagaAction, SagaSpec},
    expression::{
        reads::Variable,
        template::{Template, node::Form},
    },
    fault::{Fault, is_broken_since},
    model::saga::SagaName,
};

/// The most levels of child sagas below the first saga.
const MAX_NESTING: usize = 8;
/// The fields of a child's spec that are taken from its parent.
const OF_THE_PARENT: [&str; 4] =
    ["serviceAccountName", "suspend", "deletionPolicy", "ttlSecondsAfterFinished"];

/// Checks the action `saga`. `reads` is what the expressions in the child's params may read.
pub(in crate::validate) fn saga(
    action: &SagaAction,
    path: &str,
    reads: &ReadScope<'_>,
    faults: &mut Vec<Fault>,
) -> Option<Templated<SagaAction>> {
    let before = faults.len();
    let path_of_spec = format!("{path}.spec");
    let Some(spec) = action.spec.as_object() else {
        faults.push(Fault::broken(
            path_of_spec,
            "must be the spec of a saga, such as {steps: [{name: reserve-stock, …}]}",
        ));
        return None;
    };
    // The first saga that nests too deep reports the fault, and nothing below it is checked.
    if nesting(spec) >= MAX_NESTING {
        let message = format!("holds more than {MAX_NESTING} sagas in each other: make it flatter");
        faults.push(Fault::broken(path_of_spec, message));
        return None;
    }
    for field in OF_THE_PARENT.iter().filter(|field| spec.contains_key(**field)) {
        faults.push(Fault::broken(
            format!("{path_of_spec}.{field}"),
            "follows the parent: leave it out",
        ));
    }
    let params = format!("{path_of_spec}.params");
    let is_param =
        |leaf: &str| leaf.strip_prefix(&params).is_some_and(|rest| rest.starts_with(['.', '[']));
    let form = |leaf: &str| if is_param(leaf) { Form::Any } else { Form::Verbatim };
    let fields = Map::from_iter([("spec".to_owned(), action.spec.clone())]);
    let template = Template::by_path(&fields, path, form, faults);
    if faults.len() > before {
        return None;
    }
    let of_another = template.fields().iter().any(|field| {
        let others = |variable: &Variable| {
            !matches!(variable, Variable::Params | Variable::Saga) || reads.params_are_of_another()
        };
        field.expression.reads().variables.iter().any(others)
    });
    let literal = template.literal().cloned();
    let given = literal.clone().or_else(|| reads.tried(&template));
    let known = given.is_some();
    let spec = given
        .and_then(|mut given| given.get_mut("spec").map(Value::take))
        .unwrap_or_else(|| action.spec.clone());
    let given = Params {
        known,
        of_another,
        acceptance: reads.acceptance(),
        work: reads.work(),
        met: &Cell::new(false),
        check_child: reads.check_child(),
    };
    check(spec, &path_of_spec, given, faults);
    if is_broken_since(faults, before) {
        return None;
    }
    match literal {
        Some(mut literal) => {
            Some((SagaAction { spec: literal.get_mut("spec").map(Value::take)? }, None))
        }
        None => Some((action.clone(), Some(template))),
    }
}

/// Adds the faults of the child's spec, each with its path in the parent.
fn check(spec: Value, path: &str, params: Params<'_>, faults: &mut Vec<Fault>) {
    let spec: SagaSpec = match serde_path_to_error::deserialize(spec) {
        Ok(spec) => spec,
        Err(error) => {
            let within = error.path().to_string();
            let within = if within == "." { String::new() } else { format!(".{within}") };
            faults.push(Fault::broken(format!("{path}{within}"), error.inner().to_string()));
            return;
        }
    };
    let who = SagaName { name: "child".into(), namespace: "default".into(), uid: "uid".into() };
    let Err(found) = (params.check_child)(&who, &spec, params) else { return };
    let at = |fault: Fault| Fault {
        path: format!("{path}{}", fault.path.strip_prefix("spec").unwrap_or(&fault.path)),
        ..fault
    };
    faults.extend(found.into_iter().map(at));
}

/// Returns the number of levels of child sagas within a spec.
fn nesting(spec: &Map<String, Value>) -> usize {
    let (mut deepest, mut open) = (0, vec![(spec, 0_usize)]);
    while let Some((spec, depth)) = open.pop() {
        deepest = deepest.max(depth);
        let steps = spec.get("steps").and_then(Value::as_array).into_iter().flatten();
        let both = steps.flat_map(|step| [Some(step), step.get("compensation")]).flatten();
        let children = both.filter_map(|of| of.pointer("/saga/spec")?.as_object());
        open.extend(children.map(|child| (child, depth.saturating_add(1))));
    }
    deepest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use serde_json::json;

    use super::super::saga::validate;
    use super::*;

    fn faults(spec: Value) -> Vec<String> {
        let who = SagaName { name: "order".into(), namespace: "shop".into(), uid: "1".into() };
        let spec = serde_json::from_value(spec).unwrap();
        validate(&who, &spec)
            .map_or_else(|faults| faults.iter().map(ToString::to_string).collect(), |_| Vec::new())
    }

    /// Returns a saga with one child of this spec, after a step that declares an output.
    fn parent(child: &Value) -> Value {
        let post = json!({"method": "POST", "url": "http://shop.svc/a"});
        json!({"params": {"order": "7", "image": "web:2"}, "steps": [
            {"name": "first", "http": post, "outputs": {"id": "${response.body.id}"}},
            {"name": "child", "dependsOn": ["first"], "saga": {"spec": child}},
        ]})
    }

    fn pod(image: &str) -> Value {
        let args = ["${params.order}", "${saga.name}"];
        json!({"name": "only", "pod": {"image": image, "args": args}})
    }

    #[test]
    fn a_child_takes_params_and_reads_them_by_itself() {
        let params =
            json!({"order": "${params.order}", "id": "${steps.first.outputs.id}", "plain": 1});
        assert_eq!(faults(parent(&json!({"params": params, "steps": [pod("web")]}))), [""; 0]);
    }

    #[test]
    fn a_mistake_in_a_child_is_found_before_its_parent_runs() {
        let pod = json!({"image": "x", "args": ["${params.there.is.none}"]});
        let child = json!({"steps": [{"name": "a", "dependsOn": ["b"], "pod": pod}]});
        let found = faults(parent(&child));
        let at = "spec.steps[1].saga.spec.steps[0]";
        assert!(
            found
                .iter()
                .any(|fault| fault.starts_with(&format!("{at}.dependsOn[0]: no step named b"))),
            "{found:?}"
        );
        assert!(
            found.iter().any(|fault| fault.starts_with(&format!("{at}.pod.args[0]: "))),
            "{found:?}"
        );
        let unreadable = faults(parent(&json!({"steps": [{"name": "a", "pod": {"image": 7}}]})));
        assert!(
            unreadable.iter().any(|fault| fault.starts_with(&format!("{at}.pod.image: "))),
            "{unreadable:?}"
        );
    }

    #[test]
    fn what_another_side_answered_chooses_nothing_in_a_child_either() {
        let child = |from: &str| {
            let params = json!({"order": "1", "image": from});
            json!({"params": params, "steps": [pod("${params.image}")]})
        };
        assert_eq!(faults(parent(&child("${params.image}"))), [""; 0]);
        let found = faults(parent(&child("${steps.first.outputs.id}")));
        let at = "spec.steps[1].saga.spec.steps[0].pod.image: ";
        assert!(matches!(found.as_slice(), [one] if one.starts_with(at)), "{found:?}");
        let step = json!({"name": "b", "saga": {"spec": child("${params.image}")}});
        let grandchild = json!({"params": {"image": "${steps.first.outputs.id}"}, "steps": [step]});
        let found = faults(parent(&grandchild));
        let at = "steps[0].saga.spec.steps[0].pod.image: ";
        assert!(matches!(found.as_slice(), [one] if one.contains(at)), "{found:?}");
    }

    #[test]
    fn what_follows_the_parent_is_left_out() {
        let child = json!({
            "serviceAccountName": "admin", "suspend": true, "deletionPolicy": "Abandon",
            "ttlSecondsAfterFinished": 1, "steps": [pod("web")],
        });
        let found = faults(parent(&child));
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(
            found.iter().all(|fault| fault.ends_with("follows the parent: leave it out")),
            "{found:?}"
        );
    }

    #[test]
    fn eight_sagas_in_each_other_are_taken_and_no_more() {
        let nested = |depth: usize| {
            (0..depth).fold(
                json!({"steps": [pod("web")]}),
                |child, _| json!({"steps": [{"name": "b", "saga": {"spec": child}}]}),
            )
        };
        assert!(
            faults(nested(8)).iter().all(|fault| !fault.contains("in each other")),
            "{:?}",
            faults(nested(8))
        );
        let found = faults(nested(9));
        assert_eq!(
            found,
            ["spec.steps[0].saga.spec: holds more than 8 sagas in each other: make it flatter"]
        );
    }
}
