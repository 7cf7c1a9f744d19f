//! The warnings with which a saga is accepted although it may fail later, or although other numbers
//! are used than it states.

use crate::{
    expression::{program::Expression, reads::Variable, template::Template},
    fault::Fault,
    model::saga::{Operation, ValidSaga},
};

/// Returns the compensations that may fail, then the numbers for which a floor or a limit is used
/// instead.
#[must_use]
pub fn warnings(saga: &ValidSaga) -> Vec<Fault> {
    let mut found = compensations_without_outputs(saga);
    found.extend(saga.raised.iter().cloned());
    found
}

/// Returns the compensations that fail if there are no outputs, so that a user can correct them in
/// time. A compensation may run although the outcome of its action is unknown, or although its
/// action failed. If the compensation then fails, the saga is stuck until a user acts.
fn compensations_without_outputs(saga: &ValidSaga) -> Vec<Fault> {
    let steps = saga.steps.iter().enumerate();
    let may_run_without = steps.filter_map(|(place, step)| {
        step.compensation
            .as_ref()
            .filter(|_| !step.action.never_in_effect())
            .map(|undo| (place, undo))
    });
    may_run_without
        .flat_map(|(place, undo)| unguarded(&format!("spec.steps[{place}].compensation"), undo))
        .collect()
}

fn unguarded(path: &str, undo: &Operation) -> Vec<Fault> {
    let kind = undo.kind();
    let bare = [("expect", &undo.expect), ("until", &undo.until)];
    let bare = bare.into_iter().filter_map(|(name, expression)| {
        Some((format!("{path}.{kind}.{name}"), expression.as_ref()?))
    });
    let rules = undo
        .answers
        .iter()
        .enumerate()
        .map(|(place, rule)| (format!("{path}.{kind}.answers[{place}].when"), &rule.when));
    let fields = undo
        .template
        .iter()
        .flat_map(Template::fields)
        .map(|field| (field.path.to_owned(), field.expression));
    let reading = |(_, expression): &(String, &Expression)| {
        expression.reads().variables.contains(&Variable::Outputs)
    };
    let warning = |(path, expression): (String, &Expression)| {
        let unguarded = expression.unguarded_outputs();
        let first = unguarded.first()?;
        let asked = if first.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
            format!(
                "write has(outputs.{first}) ? outputs.{first} : …, or name the request by \
                 action.key"
            )
        } else {
            "ask for it by in or has(), or name the request by action.key".into()
        };
        Some(Fault::new(
            path,
            format!(
                "{expression:?} reads outputs without has(): if the outcome of the action is \
                 unknown there are no outputs, and the undo fails; {asked}"
            ),
        ))
    };
    fields.chain(bare).chain(rules).filter(reading).filter_map(warning).collect()
}
