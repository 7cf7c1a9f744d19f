//! What must hold of a status that was just written.

use super::{begins, must::must, requests::requests, settled::settled, versions};
use crate::{
    api::{Direction, SagaPhase, SagaStatus, status::stalled_reason},
    engine::invariants,
    world::{
        query,
        state::{
            object::{SagaObject, active_in},
            property::{Property, Violation},
            world::World,
        },
    },
};

/// Checks the status that was just written. `before`: the saga before the write.
pub(in super::super) fn write(world: &World, before: &SagaObject, violations: &mut Vec<Violation>) {
    let (old, new, saga) = (before.status(), world.status(), world.object().saga());
    for sentence in invariants::check(saga, new) {
        violations.push(Violation::new(Property::Consistent, sentence));
    }
    let holds = ["InvalidSpec", "SpecChanged", "InvalidStatus"];
    let held = stalled_reason(new).is_some_and(|reason| holds.contains(&reason));
    must(violations, !held, Property::Consistent, || {
        format!("the saga is held: {:?}", new.message)
    });
    versions::write(world, before, violations);
    phases(old, new, violations);
    keys(world, old, new, violations);
    monotone(old, new, violations);
    requests(world, old, new, saga, violations);
    let (were, are) = (active_in(old).count(), active_in(new).count());
    must(violations, are <= saga.max_parallel.max(were), Property::Parallel, || {
        format!("{are} attempts are under way")
    });
    for (attempt, record) in active_in(new) {
        if !before.is_active(attempt) {
            begins::intent(world, before, attempt, record, violations);
        }
    }
    for (attempt, record) in before.active() {
        if !world.object().is_active(attempt) {
            settled(world, new, attempt, record, violations);
        }
    }
}

fn phases(old: &SagaStatus, new: &SagaStatus, violations: &mut Vec<Violation>) {
    let turned = || format!("the saga turns from {:?} to {:?}", old.phase, new.phase);
    if old.phase.is_some_and(SagaPhase::is_terminal) {
        let asked = old.phase == Some(SagaPhase::Completed) && new.compensation_requested.is_some();
        must(violations, old.phase == new.phase || asked, Property::Absorbing, turned);
    }
    let back = [Some(SagaPhase::Compensating), Some(SagaPhase::CompensationFailed)];
    if back.contains(&old.phase) {
        let ended = matches!(new.phase, Some(SagaPhase::Compensated | SagaPhase::Cancelled));
        must(violations, back.contains(&new.phase) || ended, Property::OneWay, turned);
    }
}

/// Checks that a key changes only if nothing was done under it and nothing can be done under it any
/// more.
fn keys(world: &World, old: &SagaStatus, new: &SagaStatus, violations: &mut Vec<Violation>) {
    for (place, (before, after)) in old.steps.iter().zip(&new.steps).enumerate() {
        for direction in [Direction::Action, Direction::Compensation] {
            let (Some(was), Some(is)) = (before.direction(direction), after.direction(direction))
            else {
                continue;
            };
            if was.failures == is.failures {
                continue;
            }
            let done = world.truth().get(place).and_then(|truth| truth.key_done(direction))
                == Some(was.failures);
            let may_be = query::may_be_done(world, place, direction, was.failures, None);
            must(violations, !done && !may_be, Property::OneIdentity, || {
                format!(
                    "the key of step {} moves, and under the old one something was done, or may be",
                    before.name
                )
            });
            let under_way =
                was.active.is_some() && is.active.is_some() && was.attempt == is.attempt;
            must(violations, !under_way, Property::OneIdentity, || {
                format!("the key of step {} moves while an attempt is under way", before.name)
            });
        }
    }
}

fn monotone(old: &SagaStatus, new: &SagaStatus, violations: &mut Vec<Violation>) {
    let fell = old.settled > new.settled
        || old.retry_requests > new.retry_requests
        || old.handled_tokens.len() > new.handled_tokens.len();
    must(violations, !fell, Property::Monotone, || "a counter of the saga fell".into());
    for (before, after) in old.steps.iter().zip(&new.steps) {
        for direction in [Direction::Action, Direction::Compensation] {
            let Some(was) = before.direction(direction) else { continue };
            let Some(is) = after.direction(direction) else {
                violations.push(Violation::new(
                    Property::Monotone,
                    format!("the attempts of step {} are forgotten", before.name),
                ));
                continue;
            };
            let counters = [
                (was.attempt, is.attempt),
                (was.failures, is.failures),
                (was.disruptions, is.disruptions),
            ];
            let fell = counters.iter().any(|(was, is)| was > is) || was.sequence > is.sequence;
            must(violations, !fell, Property::Monotone, || {
                format!("a counter of step {} fell", before.name)
            });
            let rewritten = was
                .attempts
                .iter()
                .any(|was| is.attempts.iter().any(|is| is.attempt == was.attempt && is != was));
            must(violations, !rewritten, Property::Monotone, || {
                format!("an outcome of step {} is rewritten", before.name)
            });
        }
    }
}
