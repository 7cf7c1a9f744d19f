//! The part of a fingerprint that covers the saga and its status.

use std::time::Duration;

use super::NOTED;
use crate::{
    api::{Direction, DirectionStatus, RequestRecord, SagaStatus, StepStatus},
    coordination::{executor_lease::TERM, fence::CREATED_WITHIN},
    model::saga::{Operation, Work},
    world::{
        Object, clocks,
        gather::{self, pod_uid},
        identity,
        sink::Sink,
        state::{
            process::executor_id,
            world::{Who, World},
        },
        versions::shared_into,
    },
};

pub(super) fn object_into(world: &World, sink: &mut Sink<'_>, object: &Object) {
    let flags = [object.deleting, object.finalizer, object.gone, object.saga().suspend];
    sink.flags(&flags);
    sink.put(world.object().version.saturating_sub(object.version));
    for asked in &object.asked {
        sink.put(asked.action as u64);
        sink.put(
            asked
                .value
                .bytes()
                .fold(0, |sum: u64, byte| sum.wrapping_mul(257).wrapping_add(byte.into())),
        );
    }
    sink.count(object.asked.len());
    status_into(world, sink, object);
    shared_into(sink, object);
}

pub(super) fn status_into(world: &World, sink: &mut Sink<'_>, object: &Object) {
    let status = object.status();
    sink.put(status.phase.map_or(0, |phase| phase as u64 + 1));
    sink.flag(status.observed_generation == Some(object.generation));
    sink.flag(status.compensation_requested.is_some());
    sink.flag(status.clock_stopped_at.is_some());
    sink.flag(status.paused.is_some());
    sink.flag(status.cancel_requested.is_some());
    sink.flag(status.timed_out_at.is_some());
    if let (Some(timeout), Some(began)) = (object.saga().timeout, &status.timeout_started_at) {
        clocks::stretch_into(world, sink, status, began.0, timeout);
    }
    if let (Some(ttl), Some(completed)) = (object.saga().ttl, &status.completed_at) {
        clocks::shown_into(world, sink, completed.0, ttl.max(CREATED_WITHIN));
    }
    sink.number(status.retry_requests);
    sink.count(status.handled_tokens.len());
    let records = |record: &RequestRecord| {
        [record.action as u64, record.result as u64, u64::from(record.number > object.handled)]
    };
    status.requests.iter().flat_map(records).for_each(|word| sink.put(word));
    for (place, step) in status.steps.iter().enumerate() {
        step_into(world, sink, object, status, place, step);
    }
    sink.count(status.steps.len());
}

fn step_into(
    world: &World,
    sink: &mut Sink<'_>,
    object: &Object,
    status: &SagaStatus,
    place: usize,
    step: &StepStatus,
) {
    sink.put(step.phase as u64);
    sink.flag(step.retry_requested);
    match &step.next_attempt_at {
        Some(next) => clocks::until_shown_into(world, sink, next.0),
        None => sink.put(0),
    }
    let valid = object.saga().steps.get(place);
    for direction in [Direction::Action, Direction::Compensation] {
        let operation = valid.and_then(|valid| valid.operation(direction));
        match step.direction(direction).zip(operation) {
            Some((record, operation)) => {
                record_into(
                    world,
                    sink,
                    status,
                    Who { place, direction, number: record.attempt },
                    record,
                    operation,
                );
            }
            None => sink.put(0),
        }
    }
}

fn record_into(
    world: &World,
    sink: &mut Sink<'_>,
    status: &SagaStatus,
    who: Who,
    record: &DirectionStatus,
    operation: &Operation,
) {
    sink.numbers(&[
        record.attempt,
        record.budget_used,
        record.failures,
        record.disruptions,
        record.called_off,
    ]);
    let flags =
        [record.begun, record.uncertain, record.request_hash.is_some(), record.active.is_some()];
    sink.flags(&flags);
    sink.put(record.last_outcome.map_or(0, |outcome| outcome as u64 + 1));
    let actions = status.steps.iter().filter_map(|step| step.action.as_ref()?.sequence);
    sink.count(record.sequence.map_or(0, |own| actions.filter(|other| *other < own).count() + 1));
    if let Some((deadline, began)) = operation.retry.deadline.zip(record.budget_started_at.as_ref())
    {
        clocks::stretch_into(world, sink, status, began.0, deadline);
    }
    let Some(active) = &record.active else { return };
    clocks::shown_into(world, sink, active.started_at.0, matters_for(operation));
    clocks::dated_into(world, sink, who, active);
    let made = world.trials.iter().find(|trial| trial.who == who).and_then(|trial| trial.pod);
    let pod =
        made.or_else(|| operation.deletes().then(|| gather::standing(world, who))).map(pod_uid);
    sink.put(
        active.child_uid.as_ref().map_or(0, |uid| if pod.as_ref() == Some(uid) { 1 } else { 2 }),
    );
    if let Some(executor) = &active.executor {
        executor_into(world, sink, executor);
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
pub(super) fn executor_into(world: &World, sink: &mut Sink<'_>, id: &str) {
    let order = sink.order();
    for process in order.iter().filter_map(|number| world.processes.get(*number)) {
        let whose = [
            executor_id(process.executor) == id,
            process.former.iter().any(|former| executor_id(*former) == id),
        ];
        sink.flags(&whose);
    }
    let lapsed = world
        .executors
        .iter()
        .enumerate()
        .find(|(number, _)| executor_id(*number) == id)
        .and_then(|(_, executor)| executor.lapsed);
    match lapsed {
        Some(lapsed) => identity::age(world, sink, lapsed, TERM),
        None => sink.put(u64::MAX),
    }
}
