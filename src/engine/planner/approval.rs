//! The text with which a step asks a user for approval.

use std::borrow::Cow;

use super::state::Planner;
use crate::{
    api::{ApprovalAction, Direction, RequestAction, StepStatus, limits::KEPT_MESSAGE},
    model::saga::{Operation, Work},
    text::clip,
};

/// Returns one line which says that the step waits for approval, what is to be approved, and which
/// commands answer.
pub(in crate::engine) fn asks_for_approval(
    planner: &Planner<'_>,
    operation: &Operation,
    status: &StepStatus,
) -> String {
    let step = &status.name;
    let work = planner.resolve(operation, status, Direction::Action).map(Cow::into_owned);
    let message =
        if let Ok(Work::Approval(ApprovalAction { message })) = work { message } else { None };
    // The user's text is clipped first. Otherwise a long text would push the commands out when the
    // whole line is clipped.
    let what = message
        .map(|message| format!(" ({})", clip(message.trim(), KEPT_MESSAGE)))
        .unwrap_or_default();
    let (name, namespace) = (&planner.saga.name, &planner.saga.namespace);
    let (approve, reject) =
        (RequestAction::Approve.annotation(), RequestAction::Reject.annotation());
    format!(
        "step {step} waits for approval{what}. To approve: kubectl annotate --overwrite \
         saga/{name} {approve}={step} -n {namespace}. Or annotate {reject}={step} to reject"
    )
}
