//! Judges every active attempt, and acts on the verdict.

use super::{begin, judge, settle::apply};
use crate::{
    api::{Direction, StepStatus, names::AttemptId},
    clock::later,
    engine::{
        planner::{deadline, state::Pass, throttle},
        settlement::{STOP_POLL, Settlement, Verdict},
    },
    model::{plan::Effect, saga::ValidStep},
};

/// Judges every active attempt of the saga in both directions, and acts on the verdicts.
pub(crate) fn settle_all(pass: &mut Pass<'_>) {
    pass.each_step(|pass, place, step, status| {
        for direction in [Direction::Action, Direction::Compensation] {
            settle(pass, place, step, status, direction);
        }
    });
}

pub(crate) fn settle(
    pass: &mut Pass<'_>,
    place: usize,
    step: &ValidStep,
    status: &mut StepStatus,
    direction: Direction,
) {
    let Some(operation) = step.operation(direction) else { return };
    let Some(record) = status.direction(direction).cloned() else { return };
    let Some(active) = record.active.clone() else { return };
    let id = AttemptId { step: step.name.clone(), direction, number: record.attempt };
    match judge::judge(pass, step, &record, &active, &id, status) {
        Verdict::Begin if pass.seen.draining || !throttle::take_room(pass, operation) => {}
        Verdict::Wait => {}
        Verdict::Begin => match begin::begins_with(pass, operation, status, direction, &record) {
            Ok(work) => {
                // The record is read again, because `judge` may have written the UID of the object
                // to delete.
                let record = status.direction(direction).cloned().unwrap_or(record);
                let identity = begin::identity(pass, &step.name, direction, &record);
                let limit = deadline::limit(pass, operation, direction, &record);
                pass.wake_at(limit);
                begin::begin_effect(pass, identity, place, work, (operation, &record));
            }
            Err(why) => {
                apply(pass, operation, &active, &id, status, Settlement::unknown_for_good(why));
            }
        },
        Verdict::Stop => {
            pass.effects.push(Effect::Stop(id));
            pass.wake_at(later(pass.seen.now, STOP_POLL));
        }
        Verdict::Settled(settlement) => apply(pass, operation, &active, &id, status, settlement),
    }
}
