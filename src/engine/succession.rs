//! A child saga that follows an earlier one of the same step: where its idempotency keys go on.
//!
//! An attempt of which nobody can tell what came of it is repeated under its key, and so is its
//! child. But that child counts from 0 what the earlier one may have counted further: it would do
//! under a key that was refused what is done already under the next one. So the later child goes on
//! where the earlier one stands. Where nobody can read that any more, a person has to say what
//! became of it.
//!
//! # Guarantees
//! What an earlier child did, or may have done, a later one repeats under the same key. What that
//! one undid, it does under a new key, and undoes under a new one: a service remembers what was
//! undone.

use crate::{
    api::{
        Direction, KeysFrom, Outcome, SagaPhase, SagaStatus, StepPhase, StepStatus, StoredSaga,
        names::{AttemptId, child_name},
        status::{Keys, is_terminal},
    },
    model::saga::ValidSaga,
};

/// Why a child cannot be made after an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// The earlier one has not ended: it may yet move its keys.
    NotEnded(String),
    /// Nobody can tell any more. One line that says what a person can do.
    Person(String),
}

/// The name of the child saga that the child of this attempt follows: that of an earlier attempt
/// under the same key, or that of the step in the saga which this one follows itself.
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
    // Of an attempt that the status does not tell of any more there may be a child, too, which is
    // then asked for by a name that it need not have.
    let forgotten = || (attempt.number > 1).then(|| of(attempt.number.saturating_sub(1)));
    unknown.map(|earlier| of(earlier.attempt)).or_else(inherited).or_else(forgotten)
}

/// Where the keys go on after this earlier child; `None` where it is gone.
///
/// # Errors
/// Why nobody can tell, or not yet.
pub fn keys_after(name: &str, earlier: Option<&StoredSaga>) -> Result<Keys, Hindrance> {
    let person = |what: &str| {
        Hindrance::Person(format!(
            "its earlier child saga {name} {what}: another one might do again what that one did; \
             say what became of it with saga.dev/settle, or leave the step out with saga.dev/skip"
        ))
    };
    let earlier = earlier
        .ok_or_else(|| person("is gone, and nobody can tell which idempotency keys it used"))?;
    let status = earlier.status.as_ref().map_err(|_| person("has a status that cannot be read"))?;
    if !is_terminal(status) {
        let is = status.phase.map_or("not seen by an operator yet", SagaPhase::as_str);
        return Err(Hindrance::NotEnded(format!(
            "waits until its earlier child saga {name} has ended, which is {is}"
        )));
    }
    // One that was never accepted did nothing, and hands on what it was given.
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

/// Whether nobody can tell whether a step was undone.
fn may_be_undone(step: &StepStatus) -> bool {
    step.phase != StepPhase::Compensated
        && step.compensation.as_ref().is_some_and(|undo| undo.uncertain)
}

/// Where the keys of one step go on; `None` where they begin.
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

/// Among so many attempts the one is looked for that made a step's child.
const MOST_CHILDREN: usize = 16;

#[cfg(test)]
mod tests;
