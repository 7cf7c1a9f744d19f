//! A user's statement about an uncertain attempt: whether it was done.
//!
//! # Guarantees
//! The statement is accepted only while the step is uncertain and no attempt of the step is active.
//! An attempt that ended in this reconcile counts as active, because the user may have meant an
//! earlier attempt.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde_json::{Map, Value};

use super::{missing, sentence::are};
use crate::{
    api::{Direction, ManualOutcome, Outcome, RequestAction, StepStatus},
    engine::{
        attempt::{outputs, settle::move_key},
        planner::{
            change,
            doubt::{direction_of, is_uncertain, newest_message},
            state::{Planner, is_active},
            transition::StepEvent,
            undo_set,
        },
        rules,
    },
    text::clip,
};

/// The most characters of an earlier message that are kept.
const EARLIER: usize = 300;

/// Returns whether the step may be settled by a user's statement.
pub(in crate::engine) fn may_be_settled(planner: &Planner<'_>, status: &StepStatus) -> bool {
    let before = planner
        .input
        .stored
        .status
        .as_ref()
        .ok()
        .and_then(|before| before.steps.iter().find(|step| step.name == status.name));
    let under_way = is_active(status) || before.is_some_and(is_active);
    rules::may_be_settled(is_uncertain(status, direction_of(status)), under_way)
}

/// Settles a step by a user's statement. The caller has checked that the step may be settled.
pub(in crate::engine) fn settle_manually(
    planner: &mut Planner<'_>,
    name: &str,
    word: &ManualOutcome,
) -> Result<String, String> {
    let backward = planner
        .status
        .steps
        .iter()
        .any(|status| status.name == name && direction_of(status) == Direction::Compensation);
    let names = [name.to_owned()];
    let outputs = match word {
        ManualOutcome::Succeeded(Some(_)) if backward => {
            return Err(
                "a compensation has no outputs: write only the step's name and Succeeded".into()
            );
        }
        ManualOutcome::Succeeded(outputs) => outputs
            .as_ref()
            .map(|outputs| outputs::taken(planner, name, outputs.clone()))
            .transpose()?,
        ManualOutcome::Failed => None,
    };
    if matches!(word, ManualOutcome::Succeeded(_)) && !backward && !undo_set::is_backward(planner) {
        missing::check(
            planner.saga,
            &planner.status.steps,
            &names,
            outputs.as_ref(),
            RequestAction::Settle,
        )?;
    }
    change::change_steps(planner, &names, |planner, _, status| {
        apply_outcome(planner, status, word, outputs.as_ref());
    });
    Ok(are(
        &names,
        match (word, backward) {
            (ManualOutcome::Failed, false) => "settled: nothing was done",
            (ManualOutcome::Failed, true) => "settled: it was not undone",
            (ManualOutcome::Succeeded(_), false) => "done",
            (ManualOutcome::Succeeded(_), true) => "undone",
        },
    ))
}

fn apply_outcome(
    planner: &mut Planner<'_>,
    status: &mut StepStatus,
    word: &ManualOutcome,
    outputs: Option<&Map<String, Value>>,
) {
    let direction = direction_of(status);
    let earlier = newest_message(status, direction);
    let record = status.direction_mut(direction);
    match word {
        ManualOutcome::Failed => {
            move_key(record);
            record.last_outcome = Some(Outcome::Failed);
            let earlier = earlier.map(|earlier| format!(", after {}", clip(&earlier, EARLIER)));
            let earlier = earlier.unwrap_or_default();
            status.message = Some(format!("settled by request as Failed{earlier}"));
        }
        ManualOutcome::Succeeded(_) => {
            record.uncertain = false;
            record.last_outcome = Some(Outcome::Succeeded);
            status.message = None;
            status.next_attempt_at = None;
            status.retry_requested = false;
            if direction == Direction::Action {
                status.completed_at = Some(MicroTime(planner.input.now));
                status.outputs = outputs.cloned();
            }
            planner.move_step(status, StepEvent::Settle);
        }
    }
}
