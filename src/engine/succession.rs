//! Where the idempotency keys of a child saga continue if it follows an earlier child saga of the
//! same step.
//!
//! An attempt with an Unknown outcome is repeated under its key, and so is its child. The new child
//! counts its keys from 0, but the earlier child may have counted further. The new child would then
//! act under a key that was refused, although the work is done already under the next key. For this
//! reason the new child continues where the earlier child stands. If the earlier child can no
//! longer be read, a user has to settle the step.
//!
//! # Guarantees
//! If an earlier child did something, or may have done it, a later child repeats it under the same
//! key. If the earlier child undid a step, the later child does the step under a new key, and also
//! undoes it under a new key, because a service remembers what was undone.

use crate::{
    api::{
        Direction, KeysFrom, Outcome, SagaPhase, SagaStatus, StepPhase, StepStatus, StoredSaga,
        names::{AttemptId, child_name},
        status::{Keys, is_terminal},
    },
    model::saga::ValidSaga,
};

/// Why a child cannot be created after an earlier child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// The earlier child has not ended, so it may still change its keys.
    NotEnded(String),
    /// The keys are unknown for ever. The value is one line that says what a user can do.
    Person(String),
}

/// Returns the name of the earlier child saga that the child of this attempt follows; `None` if it
/// follows none. The earlier child is the child of an earlier attempt under the same key. If there
/// is none, it is the child of the same step in the saga that this saga follows.
#[must_use]
pub fn earlier_child(saga: &ValidSaga, status: &SagaStatus, attempt: &AttemptId) -> Option<String> {
    let step = status.steps.iter().find(|step| step.name == attempt.step)?;
    let record = step.direction(attempt.direction).filter(|record| record.uncertain)?;
    let unknown =
        record.attempts.iter().rev().find(|earlier| {
            earlier.attempt < attempt.number && earlier.outcome == Outcome::Unknown
        });
    let inherited = || {
        step.keys_from.as_ref().filter(|_| attempt.direction == Direction::Action)?.child.clone()
    };
    let of = |number| child_name(&saga.name, &saga.uid, &AttemptId { number, ..attempt.clone() });
    // An attempt whose record was dropped from the status may have a child, too. Then the name of
    // the previous attempt's child is used, although the child of that name may not exist.
    let forgotten = || (attempt.number > 1).then(|| of(attempt.number.saturating_sub(1)));
    unknown.map(|earlier| of(earlier.attempt)).or_else(inherited).or_else(forgotten)
}

/// Returns where the keys continue after this earlier child. `earlier` is `None` if the earlier
/// child is gone.
///
/// # Errors
/// Why the keys are unknown, or not known yet.
pub fn keys_after(name: &str, earlier: Option<&StoredSaga>) -> Result<Keys, Hindrance> {
    let person = |what: &str| {
        Hindrance::Person(format!(
            "its earlier child saga {name} {what}: a new child saga could repeat what the earlier \
             one did; settle the step with saga.dev/settle, or leave the step out with \
             saga.dev/skip"
        ))
    };
    let earlier = earlier.ok_or_else(|| person("is gone, and its idempotency keys are unknown"))?;
    let status = earlier.status.as_ref().map_err(|_| person("has a status that cannot be read"))?;
    if !is_terminal(status) {
        let is = status.phase.map_or("not seen by an operator yet", SagaPhase::as_str);
        return Err(Hindrance::NotEnded(format!(
            "waits until its earlier child saga {name} has ended, which is {is}"
        )));
    }
    // A child that was never accepted did nothing, and passes on the keys that it was given.
    if status.spec_hash.is_none() {
        return Ok(earlier.keys_from.clone());
    }
    if let Some(step) = status.steps.iter().find(|step| may_be_undone(step)) {
        return Err(person(&format!("may have undone its step {}, or not", step.name)));
    }
    Ok(status
        .steps
        .iter()
        .filter_map(|step| Some((step.name.clone(), keys_of(earlier, step)?)))
        .collect())
}

/// Returns whether it is unknown if a step was undone.
fn may_be_undone(step: &StepStatus) -> bool {
    step.phase != StepPhase::Compensated
        && step.compensation.as_ref().is_some_and(|undo| undo.uncertain)
}

/// Returns where the keys of one step continue; `None` if they begin at 0.
fn keys_of(saga: &StoredSaga, step: &StepStatus) -> Option<KeysFrom> {
    let before = step.keys_from.clone().unwrap_or_default();
    let Some(action) = step.action.as_ref().filter(|action| action.attempt > 0) else {
        return step.keys_from.clone();
    };
    let undone = step.phase == StepPhase::Compensated;
    let undo = step.compensation.as_ref().map_or(before.compensation, |undo| undo.failures);
    let may_have_acted =
        !undone && (action.uncertain || action.last_outcome == Some(Outcome::Succeeded));
    let (name, uid) = (saga.metadata.name.as_deref()?, saga.metadata.uid.as_deref()?);
    let own = |child: &str| {
        let made_by =
            |number| AttemptId { step: step.name.clone(), direction: Direction::Action, number };
        (1..=action.attempt)
            .rev()
            .take(MOST_CHILDREN)
            .any(|number| child_name(name, uid, &made_by(number)) == child)
    };
    let child = step.child.as_ref().map(|child| child.name.clone()).filter(|child| own(child));
    let keys = KeysFrom {
        action: action.failures.saturating_add(undone.into()),
        compensation: undo.saturating_add(undone.into()),
        may_have_acted,
        child: child.or(before.child).filter(|_| may_have_acted),
    };
    (keys != KeysFrom::default()).then_some(keys)
}

/// How many attempts, the newest first, are searched for the attempt that created a step's child.
const MOST_CHILDREN: usize = 16;

#[cfg(test)]
mod tests;
