//! Judges every active attempt, and acts on the verdict.

use super::{begin, judge, settle::apply};
use crate::{
    api::{Direction, StepStatus, names::AttemptId},
    clock::later,
    engine::{
        planner::{
            deadline,
            state::{Planner, is_active},
            throttle,
        },
        settlement::{STOP_POLL, Settlement, Verdict},
    },
    model::{plan::Effect, saga::ValidStep},
};

/// Judges every active attempt of the saga in both directions, and acts on the verdicts.
pub(in crate::engine) fn settle_all(planner: &mut Planner<'_>) {
    for place in planner.places() {
        let Some(mut draft) = planner.draft(place, |_, status| is_active(status)) else { continue };
        for direction in [Direction::Action, Direction::Compensation] {
            settle(planner, draft.step, &mut draft.status, direction);
        }
        planner.store(draft);
    }
}

pub(in crate::engine) fn settle(
    planner: &mut Planner<'_>,
    step: &ValidStep,
    status: &mut StepStatus,
    direction: Direction,
) {
    let Some(operation) = step.operation(direction) else { return };
    let Some(record) = status.direction(direction).cloned() else { return };
    let Some(active) = record.active.clone() else { return };
    let id = AttemptId { step: step.name.clone(), direction, number: record.attempt };
    match judge::judge(planner, step, &record, &active, &id, status) {
        Verdict::Begin
            if planner.input.process.draining
                || throttle::take_host_capacity(planner, operation).is_err() => {}
        Verdict::Wait => {}
        Verdict::Begin => {
            match begin::begins_with(planner, operation, status, direction, &record) {
                Ok(work) => {
                    // The record is read again, because `judge` may have written the UID of the
                    // object to delete.
                    let record = status.direction(direction).cloned().unwrap_or(record);
                    let identity = begin::identity(planner, &step.name, direction, &record);
                    let limit = deadline::limit(planner, operation, direction, &record);
                    planner.wake_at(limit);
                    begin::begin_effect(planner, identity, work, (operation, &record));
                }
                Err(why) => {
                    apply(
                        planner,
                        operation,
                        &active,
                        &id,
                        status,
                        Settlement::unknown_for_good(why),
                    );
                }
            }
        }
        Verdict::Stop => {
            planner.effects.push(Effect::Stop(id));
            planner.wake_at(later(planner.input.now, STOP_POLL));
        }
        Verdict::Settled(settlement) => apply(planner, operation, &active, &id, status, settlement),
    }
}
