//! Objects that a step applies, deletes or waits for, and whether they are as the step wants them.
//!
//! # Guarantees
//! - An attempt on an object cannot be stopped. If its time passes, an apply or a deletion may be
//!   in effect, and a wait is not in effect.
//! - The outputs that are taken of an object are bounded before the object is dropped.
//! - An object is deleted under the UID that the status names. An object that is created again
//!   under the same name is never deleted by the same attempt.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::outputs;
use crate::{
    api::{Direction, StepStatus, limits::KEPT_MESSAGE, names::AttemptId},
    clock::later,
    coordination::fence::FRESH,
    engine::{
        attempt,
        planner::state::Planner,
        rules,
        settlement::{Settlement, Verdict, not_started},
    },
    model::{
        observation::{ChildState, JudgedObject, Present},
        saga::{Operation, ValidStep, Work},
        values::Values,
    },
    objects::kstatus,
    text::clip,
};

/// An observed object, and whether the attempt's time has passed.
pub(in crate::engine) struct ObjectView<'a> {
    pub(in crate::engine) judged: &'a JudgedObject,
    /// The time since this process first saw the object.
    pub(in crate::engine) age: Duration,
    pub(in crate::engine) overdue: bool,
    /// The instant at which the attempt's time passes.
    pub(in crate::engine) limit: Timestamp,
}

/// Judges the deletion of an object. The object is deleted under the UID that the status names, and
/// the UID is written before the delete is sent. Returns `None` if the operation deletes nothing,
/// or if the observed state needs no special rule.
pub(in crate::engine) fn judge_deletion(
    planner: &mut Planner<'_>,
    operation: &Operation,
    status: &mut StepStatus,
    id: &AttemptId,
    overdue: bool,
) -> Option<Verdict> {
    let child = planner.input.surroundings.children.get(id)?;
    let active =
        status.direction_mut(id.direction).active.as_mut().filter(|_| operation.deletes())?;
    let written = active.child_uid.clone();
    // Without a recorded UID no process asked for the deletion, whatever is observed of the object.
    if overdue
        && written.is_none()
        && matches!(
            child,
            ChildState::Present(Present::Standing { .. }) | ChildState::Active { .. }
        )
    {
        let when = if planner.status.cancel_requested.is_some() {
            "not begun"
        } else {
            "not begun within its time limit"
        };
        let why = if let ChildState::Active { detail, .. } = child {
            format!(": {detail}")
        } else {
            String::new()
        };
        return Some(not_started(format!("{when}{why}")));
    }
    let (ChildState::Present(Present::Standing { uid, .. })
    | ChildState::Active { uid: Some(uid), .. }) = child
    else {
        return None;
    };
    if written.as_ref().is_some_and(|written| written != uid) {
        // The old object is gone: another object was created under the same name.
        return Some(Settlement::succeeded().into());
    }
    if written.is_none() && !planner.input.process.draining {
        active.child_uid = Some(uid.clone());
        // The message describes what an earlier attempt waited for. What this attempt waits for is
        // written after it has waited for a while.
        status.message = None;
    }
    let ChildState::Present(Present::Standing { refused, known_for, .. }) = child else {
        return None;
    };
    Some(match overdue {
        true if *refused && rules::may_be_late(*known_for) => {
            planner.wake_at(later(planner.input.now, FRESH.saturating_sub(*known_for)));
            Verdict::Wait
        }
        true if *refused => not_started("not deleted within its time limit"),
        true => gave_up(operation, "it is still there"),
        false if planner.input.process.draining => Verdict::Wait,
        false => Verdict::Begin,
    })
}

/// Returns what the step of an attempt says of an object, by `until` or else by the object's own
/// status. Afterwards the object is not needed any more.
#[must_use]
pub fn judged(values: &Values<'_>, id: &AttemptId, object: &Value) -> JudgedObject {
    let uid = object.pointer("/metadata/uid").and_then(Value::as_str).map(str::to_owned);
    let step = values.saga.steps.iter().find(|step| step.name == id.step);
    let Some((step, operation)) = step.and_then(|step| Some((step, step.operation(id.direction)?)))
    else {
        return JudgedObject { uid, missing: Some("no such step".into()), outputs: None };
    };
    let unknown = StepStatus::default();
    let status = values.steps.iter().find(|status| status.name == id.step).unwrap_or(&unknown);
    let acted = values.acted(status);
    let scope = values.object_scope(status, id.direction, acted.as_ref(), object);
    let missing = match &operation.until {
        // An expression that reads a missing field fails. The field may be added later.
        Some(until) => match until.holds(&scope) {
            Ok(holds) => (!holds).then(|| format!("until {until:?} holds")),
            Err(error) => Some(format!("until it holds: {error}")),
        },
        None => kstatus::unready(object),
    };
    let missing = missing.map(|missing| clip(&missing, KEPT_MESSAGE));
    let outputs = step
        .outputs
        .as_ref()
        .filter(|_| id.direction == Direction::Action && missing.is_none())
        .map(|outputs| outputs::bounded(outputs.evaluate(&scope)));
    JudgedObject { uid, missing, outputs }
}

/// Judges an attempt whose object exists, by what the step says of the object.
pub(in crate::engine) fn judge_object(
    planner: &mut Planner<'_>,
    step: &ValidStep,
    status: &mut StepStatus,
    id: &AttemptId,
    view: &ObjectView<'_>,
) -> Verdict {
    let Some(operation) = step.operation(id.direction) else { return Verdict::Wait };
    let ObjectView { judged: JudgedObject { uid, missing, outputs }, age, overdue, limit } = view;
    let Some(missing) = missing else {
        let outputs = outputs.clone().transpose();
        return outputs::with_outputs(planner, &id.step, id.direction, outputs).into();
    };
    if *overdue {
        return gave_up(operation, missing);
    }
    attempt::progress::note_child(
        planner,
        status,
        id.direction,
        (uid.as_ref(), *age),
        (&format!("waits: {missing}"), None),
    );
    planner.wake_at(*limit);
    Verdict::Wait
}

/// Returns the outcome of an attempt whose time passed before its object was as the step wants it:
/// Failed if the step only waits for the object, or else Unknown.
pub(in crate::engine) fn gave_up(operation: &Operation, missing: &str) -> Verdict {
    let message = format!("not within its time limit: {missing}");
    match operation.work {
        Work::Until(_) => not_started(message),
        Work::Apply(_)
        | Work::Delete(_)
        | Work::Saga(_)
        | Work::UndoSaga
        | Work::Pod(_)
        | Work::Job(_)
        | Work::Http(_)
        | Work::Approval(_)
        | Work::Wait(_) => Settlement::unknown(message, None).into(),
    }
}
