//! What steps and the saga hand on, as the status can hold it.
//!
//! # Guarantees
//! What a step hands on is bounded where it is taken ([`MAX_OUTPUTS`] and [`MAX_OUTPUT_DEPTH`] for
//! one, [`MAX_ALL_OUTPUTS`] for all), and is from then on what the API server gives back, whether
//! it comes from an answer, an object, a Pod, a child saga or a person: all of it passes through
//! [`taken`].

use serde_json::{Map, Value};

use super::settlement::Settlement;
use crate::{
    api::{
        Direction, MAX_OUTPUTS, StepStatus,
        json::{MAX_OUTPUT_DEPTH, depth_of_fields, fields_as_stored},
        limits::MAX_ALL_OUTPUTS,
    },
    engine::planner::state::Pass,
    model::plan::Notice,
    mutants::{Twin, broken},
};

/// A success that hands on what its outputs came to.
pub(crate) fn settled_with(
    pass: &Pass<'_>,
    direction: Direction,
    outputs: Option<Result<Value, String>>,
) -> Settlement {
    with_outputs(
        pass,
        direction,
        match outputs {
            None => Ok(None),
            Some(Ok(Value::Object(outputs))) => Ok(Some(outputs)),
            Some(Ok(_)) => Err("outputs are no object".into()),
            Some(Err(error)) => Err(error),
        },
    )
}

/// A success that hands this on. Where that cannot be taken, the step counts as one that may
/// have been done: whoever reads it would find nothing.
pub(crate) fn with_outputs(
    pass: &Pass<'_>,
    direction: Direction,
    outputs: Result<Option<Map<String, Value>>, String>,
) -> Settlement {
    let outputs = outputs.map(|outputs| outputs.filter(|_| direction == Direction::Action));
    let taken = outputs.and_then(|outputs| outputs.map(|outputs| taken(pass, outputs)).transpose());
    match taken {
        Ok(outputs) => Settlement { outputs, ..Settlement::succeeded() },
        Err(error) => Settlement::unknown_for_good(format!(
            "it was done, but what it hands on cannot be taken: {error}"
        )),
    }
}

/// What a step hands on as it will be read back from the status, wherever it comes from.
///
/// # Errors
/// Why the status has no room for it, in one line.
pub(crate) fn taken(
    pass: &Pass<'_>,
    outputs: Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    let outputs = as_taken(outputs, "the outputs of a step")?;
    let (bytes, known) = (
        size(&outputs),
        pass.status
            .steps
            .iter()
            .filter_map(|status| status.outputs.as_ref())
            .map(size)
            .sum::<usize>(),
    );
    if known.saturating_add(bytes) > MAX_ALL_OUTPUTS {
        return Err(format!(
            "the outputs of all steps may have at most {MAX_ALL_OUTPUTS} bytes together, and \
             these add {bytes} to {known}"
        ));
    }
    Ok(outputs)
}

/// Writes down what the saga hands on, at its end.
pub(crate) fn hand_on(pass: &mut Pass<'_>) {
    let Some(template) = &pass.saga.outputs else { return };
    let nobody = StepStatus::default();
    let outputs =
        template.evaluate(&pass.values().scope(&nobody, None, None)).and_then(|outputs| {
            match outputs {
                Value::Object(outputs) => as_taken(outputs, "spec.outputs"),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_) => Err("spec.outputs are no object".into()),
            }
        });
    match outputs {
        Ok(outputs) => pass.status.outputs = Some(outputs),
        Err(message) => {
            let message = format!("the saga is Completed and hands nothing on: {message}");
            pass.effects.push(crate::model::plan::Effect::Publish(Notice {
                warning: true,
                reason: "NoOutputs",
                message,
            }));
        }
    }
}

/// The bytes of outputs as JSON.
pub(crate) fn size(outputs: &Map<String, Value>) -> usize {
    serde_json::to_string(outputs).map_or(usize::MAX, |text| text.len())
}

/// What is handed on as the API server will give it back. `what`: whose outputs they are.
pub(crate) fn as_taken(
    outputs: Map<String, Value>,
    what: &str,
) -> Result<Map<String, Value>, String> {
    // The bound comes first: it bounds what goes down into them from here on.
    if depth_of_fields(&outputs) > MAX_OUTPUT_DEPTH && !broken(Twin::DeepOutputs) {
        return Err(format!(
            "{what} may be nested at most {MAX_OUTPUT_DEPTH} deep, and these are nested deeper"
        ));
    }
    let outputs = if broken(Twin::NumbersDrift) { outputs } else { fields_as_stored(outputs) };
    let bytes = size(&outputs);
    if bytes > MAX_OUTPUTS {
        return Err(format!("{what} may have at most {MAX_OUTPUTS} bytes, and these have {bytes}"));
    }
    Ok(outputs)
}
