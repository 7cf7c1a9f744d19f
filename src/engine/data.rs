//! What flows between steps: the values that expressions read, what an action comes to with them,
//! what an answer means, and what a step hands on.
//!
//! # Guarantees
//! An action comes to the same each time it is asked for: an expression reads only steps that are
//! done by then. What a step hands on is bounded where it is taken ([`MAX_OUTPUTS`] and
//! [`MAX_OUTPUT_DEPTH`] for one, [`MAX_ALL_OUTPUTS`] for all), and is from then on what the API
//! server gives back, whether it comes from an answer, an object, a Pod, a child saga or a person:
//! all of it passes through [`Pass::taken`].

use serde_json::{Map, Value};

use super::{answer, grant::MAX_ALL_OUTPUTS, pass::Pass, settle::Settlement, step::StepEvent};
use crate::{
    api::{
        Direction, MAX_OUTPUTS, StepStatus,
        json::{MAX_OUTPUT_DEPTH, depth_of_fields, fields_as_stored},
    },
    model::{observation::ChildState, plan::Notice, saga::ValidStep},
    mutants::{Twin, broken},
};

/// Whether a step is wanted that is about to begin for the first time.
///
/// # Errors
/// One line: its `when` cannot be evaluated.
pub(super) fn is_wanted(
    pass: &Pass<'_>,
    step: &ValidStep,
    status: &StepStatus,
) -> Result<bool, String> {
    let Some(when) = &step.when else { return Ok(true) };
    when.holds(&pass.values().scope(status, None, None)).map_err(|error| format!("when: {error}"))
}

/// Skips a step that is not wanted.
pub(super) fn leave_out(pass: &mut Pass<'_>, status: &mut StepStatus) {
    pass.move_step(status, StepEvent::Skip);
    status.unwanted = true;
    status.message = Some("not wanted: its when is false".into());
    status.completed_at =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime(pass.seen.now));
}

/// Fails a step for good that cannot begin, without an attempt.
pub(super) fn cannot_begin(
    pass: &mut Pass<'_>,
    status: &mut StepStatus,
    direction: Direction,
    why: &str,
) {
    status.message = Some(crate::text::clip(why, super::settle::KEPT_MESSAGE));
    status.next_attempt_at = None;
    pass.give_up(status, direction);
}

/// What the end of a child means that was done, or answered.
pub(super) fn judge_end(
    pass: &Pass<'_>,
    step: &ValidStep,
    status: &StepStatus,
    direction: Direction,
    end: &ChildState,
) -> Option<Settlement> {
    match end {
        ChildState::Succeeded(outputs) => Some(with_outputs(
            pass,
            direction,
            outputs.clone().map_or(Ok(None), |map| Ok(Some(map))),
        )),
        ChildState::Answered(answer) => {
            Some(answer::judge_answer(pass, step, status, direction, answer))
        }
        ChildState::Absent(_)
        | ChildState::Active { .. }
        | ChildState::Object { .. }
        | ChildState::Saga(_)
        | ChildState::Standing { .. }
        | ChildState::Refused { .. }
        | ChildState::Elsewhere { .. }
        | ChildState::CalledOff { .. }
        | ChildState::Failed(_)
        | ChildState::Unknown { .. } => None,
    }
}

/// A success that hands on what its outputs came to.
pub(super) fn settled_with(
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
pub(super) fn with_outputs(
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
pub(super) fn taken(
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
pub(super) fn hand_on(pass: &mut Pass<'_>) {
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
pub(super) fn size(outputs: &Map<String, Value>) -> usize {
    serde_json::to_string(outputs).map_or(usize::MAX, |text| text.len())
}

/// What is handed on as the API server will give it back. `what`: whose outputs they are.
fn as_taken(outputs: Map<String, Value>, what: &str) -> Result<Map<String, Value>, String> {
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
