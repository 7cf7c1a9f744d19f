//! The rules for the outputs of a plan.

use crate::{
    api::{
        MAX_OUTPUTS, RequestAction, SagaStatus, StepPhase,
        json::{MAX_OUTPUT_DEPTH, depth_of_fields, fields_as_stored},
    },
    engine::request::missing,
    model::saga::ValidSaga,
};

/// Checks that outputs are as the API server returns them and within the limits for reading, and
/// that a skipped step leaves out no output that is read.
pub(super) fn check(
    saga: &ValidSaga,
    before: &SagaStatus,
    after: &SagaStatus,
    found: &mut Vec<String>,
) {
    for step in &after.steps {
        let old = before.steps.iter().find(|old| old.name == step.name);
        let is_new = old.is_none_or(|old| old.outputs != step.outputs);
        if let Some(outputs) = step.outputs.as_ref().filter(|_| is_new) {
            if *outputs != fields_as_stored(outputs.clone()) {
                found.push(format!(
                    "the outputs of {} will not be read back as they are written",
                    step.name
                ));
            }
            if depth_of_fields(outputs) > MAX_OUTPUT_DEPTH
                || serde_json::to_string(outputs).is_ok_and(|text| text.len() > MAX_OUTPUTS)
            {
                found.push(format!("the outputs of {} are larger than any may be", step.name));
            }
        }
        let was_skipped = step.phase == StepPhase::Skipped
            && !step.unwanted
            && old.is_none_or(|old| old.phase != StepPhase::Skipped);
        if was_skipped
            && let Err(why) = missing::check(
                saga,
                &after.steps,
                std::slice::from_ref(&step.name),
                None,
                RequestAction::Skip,
            )
        {
            found.push(format!("{} is skipped although {why}", step.name));
        }
    }
}
