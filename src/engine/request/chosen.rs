//! The steps that a request of a user is about, if the request is allowed for all of them.

use super::{allowed, sentence::words, settle_manually};
use crate::{
    api::{Direction, RequestAction, RequestBody, StepPhase, StepStatus},
    engine::planner::{
        state::{Planner, is_active},
        undo_set::is_backward,
    },
    model::saga::{ValidStep, Work},
};

/// Returns the names of the steps that a request is about. Returns an error if the request is not
/// allowed for all of them.
pub(super) fn chosen(
    planner: &Planner<'_>,
    action: RequestAction,
    body: &RequestBody,
) -> Result<Vec<String>, String> {
    let way = if is_backward(planner) { Direction::Compensation } else { Direction::Action };
    let phases = allowed::in_step_phases(action, way);
    let answers = matches!(action, RequestAction::Reject | RequestAction::Approve);
    let settles = action == RequestAction::Settle;
    let may = |step: &ValidStep, status: &StepStatus| {
        let free = !is_active(status) || status.phase == StepPhase::Waiting;
        let answerable = !answers || matches!(step.action.work, Work::Approval(_));
        phases.contains(&status.phase)
            && answerable
            && (if settles { settle_manually::may_be_settled(planner, status) } else { free })
    };
    let steps = || planner.saga.steps.iter().zip(&planner.status.steps);
    let able: Vec<_> = steps()
        .filter(|(step, status)| may(step, status))
        .map(|(step, _)| step.name.clone())
        .collect();
    let allowed = || {
        let while_undone = match way {
            Direction::Action => "",
            Direction::Compensation => "while the saga is being undone, ",
        };
        let now = if able.is_empty() {
            "none is now".into()
        } else {
            format!("now {}", words(able.iter().map(String::as_str)))
        };
        let which = match (answers, settles) {
            (true, _) => " for an approval",
            (false, true) => " and may have acted, with no attempt under way",
            (false, false) => "",
        };
        let phases = words(phases.iter().map(|phase| phase.as_str()));
        let phases = if phases.is_empty() {
            "no steps".into()
        } else {
            format!("steps that are {phases}{which}")
        };
        format!("{while_undone}{action} is allowed for {phases}: {now}")
    };
    let RequestBody::Steps(names) = body else {
        return if able.is_empty() { Err(allowed()) } else { Ok(able) };
    };
    for name in names {
        let Some((step, status)) = steps().find(|(step, _)| step.name == *name) else {
            return Err(format!("the saga has no step {name}; {}", allowed()));
        };
        if !may(step, status) {
            let active = if is_active(status) && status.phase != StepPhase::Waiting {
                " and has an attempt under way"
            } else {
                ""
            };
            return Err(format!("step {name} is {}{active}; {}", status.phase.as_str(), allowed()));
        }
    }
    Ok(names.clone())
}
