//! The effect of a breaker that is not closed on a saga: the steps that would call its origin wait
//! without an attempt, and their statuses say so.
//!
//! # Guarantees
//! A saga with a waiting step requeues itself for the instant at which the breaker becomes
//! half-open, and for the instant at which the step's retry deadline passes. The status of the
//! step is the same in every reconcile. Two replicas whose breakers opened at different instants do
//! not overwrite each other's statuses endlessly: an instant in the status that lies in the future
//! is kept.

use super::{
    deadline,
    state::Planner,
    throttled::{
        BlockingBreaker, BlockingLimit, THROTTLED_POLL, ThrottleReason, current, withdraw,
    },
};
use crate::{
    api::{Direction, StepStatus},
    clock::later,
    model::{
        input::{BreakerAllowance, CallCapacity},
        origin::{self, Origin},
        saga::{Operation, ValidStep, Work},
        versions::THROTTLED,
    },
};

/// Returns the breaker of the operation's origin, if the breaker admits no more calls. Requeues the
/// saga for its next change.
pub(in crate::engine) fn circuit(
    planner: &mut Planner<'_>,
    operation: &Operation,
    direction: Direction,
) -> Option<BlockingBreaker> {
    let (origin, allowance) = allowance(planner, operation)?;
    if allowance.left > 0 {
        return None;
    }
    let (until, poll) = (allowance.until, later(planner.input.now, THROTTLED_POLL));
    // While the breaker is half-open, the end of its probe enqueues a waiting saga. The poll covers
    // the case that another saga was enqueued. If the breaker is open although its instant has
    // come, the wall clock was set.
    planner.wake_at(until.filter(|until| *until > planner.input.now).unwrap_or(poll));
    Some(BlockingBreaker { origin, direction, until })
}

/// Counts an HTTP request that passes a breaker which is not closed.
pub(in crate::engine) fn count_call(planner: &mut Planner<'_>, operation: &Operation) {
    if let Some((_, allowance)) = allowance(planner, operation) {
        allowance.left = allowance.left.saturating_sub(1);
    }
}

fn allowance<'p>(
    planner: &'p mut Planner<'_>,
    operation: &Operation,
) -> Option<(Origin, &'p mut BreakerAllowance)> {
    let Work::Http(action) = &operation.work else { return None };
    // The map is usually empty. The URL is parsed only if it is not.
    let origin = if planner.allowances.is_empty() { None } else { origin::origin(&action.url) }?;
    let allowance = planner.allowances.get_mut(&origin)?;
    Some((origin, allowance))
}

/// Returns whether the step waits for its host, and is reported as waiting for a breaker.
pub(in crate::engine) fn reports_breaker(planner: &Planner<'_>, status: &StepStatus) -> bool {
    match wait(planner, &status.name) {
        Some(ThrottleReason::Circuit(_)) => true,
        Some(ThrottleReason::Limit(_)) => status.throttled.is_some(),
        None => false,
    }
}

/// Returns why the step waits for its host, or `None` if it does not wait for its host.
fn wait<'p>(planner: &'p Planner<'_>, step: &str) -> Option<&'p ThrottleReason> {
    planner
        .throttled
        .iter()
        .find(|throttled| throttled.step == step)
        .map(|throttled| &throttled.why)
}

/// Writes into the status of each step that waits for a breaker that the step does so. Removes this
/// from the statuses of steps that no longer wait for a breaker. A process that begins nothing
/// changes no status, because it does not know which steps would wait. If the cluster does not
/// store the field of the status, the message of the saga alone says which steps wait: the message
/// of a step could not be told from the one before it in the next reconcile.
pub(in crate::engine) fn report_breakers(planner: &mut Planner<'_>) {
    if planner.input.process.draining {
        return;
    }
    for place in planner.places() {
        report_breaker(planner, place);
    }
}

/// Writes into the status of the step at a place whether the step waits for a breaker.
fn report_breaker(planner: &mut Planner<'_>, place: usize) {
    let (stores, now) = (planner.input.versions.stores(THROTTLED), planner.input.now);
    let waits = |step: &ValidStep, status: &StepStatus| {
        status.throttled.is_some() || wait(planner, &step.name).is_some()
    };
    let Some(mut draft) = planner.draft(place, waits) else { return };
    let (step, status) = (draft.step, &mut draft.status);
    match wait(planner, &step.name) {
        Some(ThrottleReason::Circuit(breaker)) => {
            if stores {
                breaker.report(status, now);
            } else {
                withdraw(status);
            }
            let budget = step.operation(breaker.direction).zip(status.direction(breaker.direction));
            let left = budget
                .and_then(|(operation, record)| deadline::budget_left(planner, operation, record));
            if let Some(left) = left.filter(|left| !left.is_zero()) {
                planner.wake_at(later(now, left));
            }
        }
        // The breaker of another replica may be open. The step waits in any case until the instant
        // in its status has come.
        Some(ThrottleReason::Limit(_))
            if current(status).is_some_and(|throttle| {
                throttle.until.as_ref().is_none_or(|until| until.0 > now)
            }) => {}
        Some(ThrottleReason::Limit(_)) | None => withdraw(status),
    }
    planner.store(draft);
}

/// Takes capacity for an HTTP request to the operation's host. If a limit lets no more begin,
/// returns that limit. Other operations need no such capacity.
pub(in crate::engine) fn take_host_capacity(
    planner: &mut Planner<'_>,
    operation: &Operation,
) -> Result<(), BlockingLimit> {
    let Work::Http(action) = &operation.work else { return Ok(()) };
    // The map is usually empty. The URL is parsed only if it is not.
    if planner.host_capacity.is_empty() {
        return Ok(());
    }
    let host = origin::host(&action.url);
    match planner.host_capacity.get_mut(&host) {
        None => Ok(()),
        Some(CallCapacity { left: 0, limit }) => {
            let limit = *limit;
            // The end of an HTTP request enqueues a waiting saga. The poll covers the case that the
            // request ended in another way, for example with its process.
            planner.wake_at(later(planner.input.now, THROTTLED_POLL));
            Err(BlockingLimit { host, limit })
        }
        Some(CallCapacity { left, .. }) => {
            *left = left.saturating_sub(1);
            Ok(())
        }
    }
}
