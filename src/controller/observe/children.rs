//! Observes the children of the active attempts, in the engine's terms.

use std::time::Duration;

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};

use super::{child_saga, object::Attempt, request::request, sources::Sources, workload::explained};
use crate::{
    api::{ActiveAttempt, DeletionPolicy, SagaStatus, names::AttemptId, status::active_attempts},
    controller::{
        cluster::error::Error,
        evaluations::Weight,
        memory::{attempt::AttemptKey, remembered::absent},
        queue::SagaRef,
    },
    engine::planner::{
        child_sagas::{left_behind, made_by},
        deadline::own_time,
    },
    model::{
        observation::{ChildState, End, Observations},
        saga::{ValidSaga, Work},
        values::Values,
    },
};

/// Returns the states of the children of all active attempts, and after how long to requeue the
/// saga if no event arrives.
///
/// `goes`: the deletion policy in the spec, if the saga is being deleted. Then the children that
/// the saga leaves behind are read too.
///
/// # Errors
/// If a live read failed.
pub async fn children(
    sources: &Sources<'_>,
    saga: &ValidSaga,
    status: &SagaStatus,
    executor: Option<&str>,
    goes: Option<DeletionPolicy>,
) -> Result<(Observations, Option<Duration>), Error> {
    let active: Vec<_> = active_attempts(status).collect();
    let left = goes.map(|policy| left_behind(saga, status, policy)).unwrap_or_default();
    let ids: Vec<_> =
        active.iter().map(|(id, _)| id).chain(left.iter().map(|(id, _)| id)).cloned().collect();
    sources.memory.attempts.keep_only(&saga.uid, &ids);
    let (mut observed, mut again) =
        (child_saga::left_behind(sources, saga, left).await?, None::<Duration>);
    for (id, attempt) in active {
        let operation = saga
            .steps
            .iter()
            .find(|step| step.name == id.step)
            .and_then(|step| step.operation(id.direction));
        let Some(operation) = operation else { continue };
        let key = AttemptKey::new(&saga.uid, id);
        let (state, poll) = match operation.work {
            Work::Http(_) => {
                let timeout = own_time(Some(attempt), operation.timeout);
                (request(sources, saga, &key, attempt, timeout, executor), None)
            }
            Work::Pod(_) => explained::<Pod>(sources, saga, status, &key, attempt).await?,
            Work::Job(_) => explained::<Job>(sources, saga, status, &key, attempt).await?,
            Work::Apply(_) | Work::Delete(_) | Work::Until(_) => {
                object(sources, saga, status, &key, attempt).await
            }
            Work::Saga(_) => {
                let made_by = key.attempt.clone();
                observe_child_saga(sources, saga, status, &key, attempt, &made_by).await?
            }
            Work::UndoSaga => {
                let step = status.steps.iter().find(|known| known.name == key.attempt.step);
                let made_by = step.map_or_else(|| key.attempt.clone(), made_by);
                observe_child_saga(sources, saga, status, &key, attempt, &made_by).await?
            }
            Work::Approval(_) | Work::Wait(_) => continue,
        };
        again = [again, poll].into_iter().flatten().min();
        observed.insert(key.attempt, state);
    }
    let senders: Vec<_> =
        active_attempts(status).filter_map(|(_, attempt)| attempt.executor.as_deref()).collect();
    sources.outbound.others.waits_only_for(&SagaRef::new(&saga.namespace, &saga.name), &senders);
    Ok((observed, again))
}

/// Returns the state of a child saga, and after how long to requeue the saga.
///
/// `made_by`: the attempt that created the child.
async fn observe_child_saga(
    sources: &Sources<'_>,
    saga: &ValidSaga,
    status: &SagaStatus,
    key: &AttemptKey,
    attempt: &ActiveAttempt,
    made_by: &AttemptId,
) -> Result<(ChildState, Option<Duration>), Error> {
    let step = status.steps.iter().find(|known| known.name == key.attempt.step);
    let written = step.and_then(|step| step.child.as_ref());
    child_saga::ChildReader { sources, saga, key, made_by, written }.state(attempt).await
}

/// Returns the state of the object that a step applies, deletes or waits for, and after how long to
/// requeue the saga.
async fn object(
    sources: &Sources<'_>,
    saga: &ValidSaga,
    status: &SagaStatus,
    key: &AttemptKey,
    attempt: &ActiveAttempt,
) -> (ChildState, Option<Duration>) {
    let step = saga.steps.iter().find(|step| step.name == key.attempt.step);
    let known = status.steps.iter().find(|step| step.name == key.attempt.step);
    let (Some(operation), Some(known)) =
        (step.and_then(|step| step.operation(key.attempt.direction)), known)
    else {
        return (sources.memory.attempts.look(key, |known| absent(known, false)), None);
    };
    let values = Values { saga, steps: &status.steps };
    match sources
        .evaluations
        .run(Weight::of(operation.template.is_some()), || {
            values.resolve(operation, known, key.attempt.direction)
        })
        .await
    {
        Ok(work) => Attempt { sources, saga, key }.state(&work, attempt).await,
        Err(message) => (ChildState::Ended(End::Unknown { message, retry_after: None }), None),
    }
}
