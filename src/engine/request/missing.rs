//! Outputs that other steps read and that a skipped step would not have.
//!
//! An expression that reads a missing output fails permanently. This failure may happen long after
//! the skip of the step that would have had the output. The expression may belong to a step or to a
//! compensation. Therefore a skip is refused if it does not give the outputs that other steps read.
//!
//! # Guarantees
//! Only a field that is read by its name without a test of its existence counts
//! ([`Expression::unguarded_outputs_of`]). A read of all outputs, and a read of a field whose
//! name is computed, may find no output.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::{
    api::{RequestAction, StepPhase, StepStatus},
    expression::{program::Expression, template::Template},
    model::saga::{Operation, ValidSaga, ValidStep},
};

/// The most outputs that a refusal names.
const TOLD: usize = 4;

/// Checks whether these steps may be skipped or settled as Succeeded. `given`: the outputs that the
/// request gives for one step.
///
/// # Errors
/// A sentence which names the readers of the missing outputs and says how to give the outputs.
pub(in crate::engine) fn check(
    saga: &ValidSaga,
    statuses: &[StepStatus],
    skipped: &[String],
    given: Option<&Map<String, Value>>,
    request: RequestAction,
) -> Result<(), String> {
    let mut missing = Vec::new();
    for status in statuses.iter().filter(|status| skipped.contains(&status.name)) {
        let given = given.or(status.outputs.as_ref());
        let readers = saga
            .steps
            .iter()
            .zip(statuses)
            .filter(|(step, status)| !is_done(status) && !skipped.contains(&step.name));
        for (reader, field) in readers.flat_map(|(step, _)| reads(step, &status.name)) {
            let read = (status.name.as_str(), reader, field);
            if !given.is_some_and(|given| given.contains_key(&read.2)) && !missing.contains(&read) {
                missing.push(read);
            }
        }
    }
    let Some((first, ..)) = missing.first() else { return Ok(()) };
    let told: Vec<_> = missing
        .iter()
        .take(TOLD)
        .map(|(step, reader, field)| format!("{reader} reads {field} of step {step}"))
        .collect();
    let more = missing.len().saturating_sub(TOLD);
    let more = if more > 0 { format!(", and {more} more are read") } else { String::new() };
    let of_first = missing.iter().filter(|(step, ..)| step == first);
    let fields: BTreeSet<_> =
        of_first.map(|(_, _, field)| format!("{}:…", Value::from(field.as_str()))).collect();
    let fields: Vec<_> = fields.into_iter().collect();
    let alone = if skipped.len() > 1 { ", one step at a time," } else { "" };
    let (annotation, word) =
        (request.annotation(), if request == RequestAction::Settle { "=Succeeded" } else { "" });
    Err(format!(
        "{}{more}, and the request does not give it: write{alone} \
         {annotation}={first}{word}={{{}}}",
        told.join(", "),
        fields.join(",")
    ))
}

const fn is_done(status: &StepStatus) -> bool {
    matches!(status.phase, StepPhase::Completed | StepPhase::Skipped)
}

/// Returns what a step and its compensation read of the outputs of the step `of`: pairs of the
/// reader and the field.
fn reads(step: &ValidStep, of: &str) -> Vec<(String, String)> {
    let (name, when) = (&step.name, step.when.as_ref());
    let own = step
        .outputs
        .iter()
        .flat_map(in_template)
        .chain(in_operation(&step.action))
        .map(|expression| (expression, when));
    let own = when
        .into_iter()
        .map(|when| (when, None))
        .chain(own)
        .map(|read| (format!("step {name}"), read));
    let undo = step
        .compensation
        .iter()
        .flat_map(in_operation)
        .map(|expression| (format!("the compensation of step {name}"), (expression, when)));
    let fields = |(reader, (expression, when)): (String, (&Expression, Option<&Expression>))| {
        let fields = if expression.reads().steps.contains(of) {
            expression.unguarded_outputs_of(of, when)
        } else {
            Vec::new()
        };
        fields.into_iter().map(move |field| (reader.clone(), field))
    };
    own.chain(undo).flat_map(fields).collect()
}

fn in_operation(operation: &Operation) -> impl Iterator<Item = &Expression> {
    let bare = [&operation.expect, &operation.until].into_iter().flatten();
    operation.template.iter().flat_map(in_template).chain(bare)
}

fn in_template(template: &Template) -> impl Iterator<Item = &Expression> {
    template.fields().into_iter().map(|field| field.expression)
}
