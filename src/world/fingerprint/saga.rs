//! The part of a fingerprint that covers the saga and its status.

use std::time::Duration;

use super::{
    clocks,
    encode::{NOTED, age, shared_into},
    hash::StateHash,
};
use crate::{
    api::{Direction, DirectionStatus, RequestRecord, SagaStatus, StepStatus},
    coordination::{executor_lease::TERM, fence::CREATED_WITHIN},
    model::saga::{Operation, Work},
    world::{
        query,
        state::{
            attempt::AttemptRef, child::pod_uid, object::SagaObject, replica::executor_id,
            world::World,
        },
    },
};

pub(super) fn object_into(world: &World, hash: &mut StateHash<'_>, object: &SagaObject) {
    let flags = [object.deleting, object.finalizer, object.gone, object.saga().suspend];
    hash.flags(&flags);
    hash.put(world.object().version.saturating_sub(object.version));
    for asked in &object.asked {
        hash.put(asked.action as u64);
        hash.put(
            asked
                .value
                .bytes()
                .fold(0, |sum: u64, byte| sum.wrapping_mul(257).wrapping_add(byte.into())),
        );
    }
    hash.count(object.asked.len());
    status_into(world, hash, object);
    shared_into(hash, object);
}

pub(super) fn status_into(world: &World, hash: &mut StateHash<'_>, object: &SagaObject) {
    let status = object.status();
    hash.put(status.phase.map_or(0, |phase| phase as u64 + 1));
    hash.flag(status.observed_generation == Some(object.generation));
    hash.flag(status.compensation_requested.is_some());
    hash.flag(status.clock_stopped_at.is_some());
    hash.flag(status.paused.is_some());
    hash.flag(status.cancel_requested.is_some());
    hash.flag(status.timed_out_at.is_some());
    if let (Some(timeout), Some(began)) = (object.saga().timeout, &status.timeout_started_at) {
        clocks::stretch_into(world, hash, status, began.0, timeout);
    }
    if let (Some(ttl), Some(completed)) = (object.saga().ttl, &status.completed_at) {
        clocks::shown_into(world, hash, completed.0, ttl.max(CREATED_WITHIN));
    }
    hash.number(status.retry_requests);
    hash.count(status.handled_tokens.len());
    let records = |record: &RequestRecord| {
        [record.action as u64, record.result as u64, u64::from(record.number > object.handled)]
    };
    status.requests.iter().flat_map(records).for_each(|word| hash.put(word));
    for (place, step) in status.steps.iter().enumerate() {
        step_into(world, hash, object, status, place, step);
    }
    hash.count(status.steps.len());
}

fn step_into(
    world: &World,
    hash: &mut StateHash<'_>,
    object: &SagaObject,
    status: &SagaStatus,
    place: usize,
    step: &StepStatus,
) {
    hash.put(step.phase as u64);
    hash.flag(step.retry_requested);
    match &step.next_attempt_at {
        Some(next) => clocks::until_shown_into(world, hash, next.0),
        None => hash.put(0),
    }
    let valid = object.saga().steps.get(place);
    for direction in [Direction::Action, Direction::Compensation] {
        let operation = valid.and_then(|valid| valid.operation(direction));
        match step.direction(direction).zip(operation) {
            Some((record, operation)) => {
                record_into(
                    world,
                    hash,
                    status,
                    AttemptRef { place, direction, number: record.attempt },
                    record,
                    operation,
                );
            }
            None => hash.put(0),
        }
    }
}

fn record_into(
    world: &World,
    hash: &mut StateHash<'_>,
    status: &SagaStatus,
    attempt: AttemptRef,
    record: &DirectionStatus,
    operation: &Operation,
) {
    hash.numbers(&[
        record.attempt,
        record.budget_used,
        record.failures,
        record.disruptions,
        record.called_off,
    ]);
    let flags =
        [record.begun, record.uncertain, record.request_hash.is_some(), record.active.is_some()];
    hash.flags(&flags);
    hash.put(record.last_outcome.map_or(0, |outcome| outcome as u64 + 1));
    let actions = status.steps.iter().filter_map(|step| step.action.as_ref()?.sequence);
    hash.count(record.sequence.map_or(0, |own| actions.filter(|other| *other < own).count() + 1));
    if let Some((deadline, began)) = operation.retry.deadline.zip(record.budget_started_at.as_ref())
    {
        clocks::stretch_into(world, hash, status, began.0, deadline);
    }
    let Some(active) = &record.active else { return };
    clocks::shown_into(world, hash, active.started_at.0, matters_for(operation));
    clocks::dated_into(world, hash, attempt, active);
    let made = world
        .executions
        .iter()
        .find(|execution| execution.attempt == attempt)
        .and_then(|execution| execution.pod);
    let pod = made
        .or_else(|| operation.deletes().then(|| query::deletion_target(world, attempt)))
        .map(pod_uid);
    hash.put(
        active.child_uid.as_ref().map_or(0, |uid| if pod.as_ref() == Some(uid) { 1 } else { 2 }),
    );
    if let Some(executor) = &active.executor {
        executor_into(world, hash, executor);
    }
}

/// Returns how long the instant of an intent can matter.
fn matters_for(operation: &Operation) -> Duration {
    match operation.work {
        Work::Wait(duration) => duration.min(operation.timeout),
        Work::Approval(_) if operation.timeout == Duration::MAX => Duration::ZERO,
        Work::Approval(_) => operation.timeout,
        Work::Pod(_)
        | Work::Job(_)
        | Work::Http(_)
        | Work::Apply(_)
        | Work::Delete(_)
        | Work::Until(_)
        | Work::Saga(_)
        | Work::UndoSaga => CREATED_WITHIN.max(operation.timeout.saturating_add(NOTED)),
    }
}

/// Writes which replicas own the id, and how long its Lease has not been renewed.
fn executor_into(world: &World, hash: &mut StateHash<'_>, id: &str) {
    let order = hash.order();
    for replica in order.iter().filter_map(|number| world.replicas.get(*number)) {
        let whose = [
            executor_id(replica.executor) == id,
            replica.former.iter().any(|former| executor_id(*former) == id),
        ];
        hash.flags(&whose);
    }
    let lapsed = world
        .executors
        .iter()
        .enumerate()
        .find(|(number, _)| executor_id(*number) == id)
        .and_then(|(_, executor)| executor.lapsed);
    match lapsed {
        Some(lapsed) => age(world, hash, lapsed, TERM),
        None => hash.put(u64::MAX),
    }
}
