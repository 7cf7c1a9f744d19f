//! The outputs of steps and of the saga, in the form in which the status can store them.
//!
//! # Guarantees
//! The outputs of a step are bounded when they are taken: [`MAX_OUTPUTS`] and [`MAX_OUTPUT_DEPTH`]
//! for one step, [`MAX_ALL_OUTPUTS`] for all steps. From then on they equal what the API server
//! returns. This holds for outputs of an answer, an object, a Pod, a child saga or a user, because
//! all of them pass through [`taken`].

use serde_json::{Map, Value};

use crate::{
    api::{
        Direction, MAX_OUTPUTS, StepStatus,
        json::{MAX_OUTPUT_DEPTH, depth_of_fields, fields_as_stored},
        limits::MAX_ALL_OUTPUTS,
        rules as stored,
    },
    engine::{planner::state::Planner, rules, settlement::Settlement},
    model::plan::Notice,
};

/// Returns a success with the evaluated outputs of the step.
pub(in crate::engine) fn settled_with(
    planner: &Planner<'_>,
    step: &str,
    direction: Direction,
    outputs: Option<Result<Value, String>>,
) -> Settlement {
    with_outputs(planner, step, direction, outputs.map(fields).transpose())
}

/// Returns evaluated outputs of a step as the status can store them.
///
/// # Errors
/// One line which says why the status cannot store the outputs, whatever the outputs of the other
/// steps are.
pub(in crate::engine) fn bounded(
    outputs: Result<Value, String>,
) -> Result<Map<String, Value>, String> {
    as_taken(fields(outputs)?, "the outputs of a step")
}

fn fields(outputs: Result<Value, String>) -> Result<Map<String, Value>, String> {
    match outputs? {
        Value::Object(outputs) => Ok(outputs),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err("outputs are no object".into())
        }
    }
}

/// Returns a success with these outputs. If the outputs cannot be taken, returns a permanent
/// Unknown instead, because the steps that read the outputs would find nothing. A compensation has
/// no outputs.
pub(in crate::engine) fn with_outputs(
    planner: &Planner<'_>,
    step: &str,
    direction: Direction,
    outputs: Result<Option<Map<String, Value>>, String>,
) -> Settlement {
    let outputs = outputs.map(|outputs| outputs.filter(|_| direction == Direction::Action));
    let taken = outputs
        .and_then(|outputs| outputs.map(|outputs| taken(planner, step, outputs)).transpose());
    match taken {
        Ok(outputs) => Settlement { outputs, ..Settlement::succeeded() },
        Err(error) => Settlement::unknown_for_good(format!(
            "the action succeeded, but its outputs cannot be stored: {error}"
        )),
    }
}

/// Returns the outputs of a step as they will be read back from the status. All sources of outputs
/// use this function. Outputs that the step had before do not count, because these replace them.
///
/// # Errors
/// One line which says why the status cannot store the outputs.
pub(in crate::engine) fn taken(
    planner: &Planner<'_>,
    step: &str,
    outputs: Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    let outputs = as_taken(outputs, "the outputs of a step")?;
    let (bytes, known) = (
        size(&outputs),
        planner
            .status
            .steps
            .iter()
            .filter(|status| status.name != step)
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

/// Writes the outputs of the saga to its status when the saga ends. Publishes a warning if there
/// are none.
pub(in crate::engine) fn hand_on(planner: &mut Planner<'_>) {
    let Some(template) = &planner.saga.outputs else { return };
    let nobody = StepStatus::default();
    let outputs =
        template.evaluate(&planner.values().scope(&nobody, None, None)).and_then(|outputs| {
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
        Ok(outputs) => planner.status.outputs = Some(outputs),
        Err(message) => {
            let message = format!("the saga is Completed without outputs: {message}");
            planner.effects.push(crate::model::plan::Effect::Publish(Notice {
                warning: true,
                reason: "NoOutputs",
                message,
            }));
        }
    }
}

/// Returns the size of outputs in bytes of JSON.
pub(in crate::engine) fn size(outputs: &Map<String, Value>) -> usize {
    serde_json::to_string(outputs).map_or(usize::MAX, |text| text.len())
}

/// Returns outputs as the API server will return them. `what`: the owner of the outputs, for error
/// messages.
pub(in crate::engine) fn as_taken(
    outputs: Map<String, Value>,
    what: &str,
) -> Result<Map<String, Value>, String> {
    // The depth is checked first, because everything below walks down into the outputs.
    if rules::is_too_deep(depth_of_fields(&outputs)) {
        return Err(format!(
            "{what} may be nested at most {MAX_OUTPUT_DEPTH} deep, and these are nested deeper"
        ));
    }
    let outputs = stored::read_back(outputs, fields_as_stored);
    let bytes = size(&outputs);
    if bytes > MAX_OUTPUTS {
        return Err(format!("{what} may have at most {MAX_OUTPUTS} bytes, and these have {bytes}"));
    }
    Ok(outputs)
}
