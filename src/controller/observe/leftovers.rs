//! The children that are no longer needed and still exist, and the attempts that a status still
//! records.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};

use crate::{
    api::{
        Direction, SagaSpec, SagaStatus, StepStatus, StoredSaga,
        names::AttemptId,
        status::is_terminal,
        stored::{name, namespace},
    },
    controller::{cluster::connection::Cluster, workload::Workload},
    engine::surplus::attempts_without_child,
    objects::attempt,
};

/// Returns the Pods or Jobs of a saga that are no longer needed and still exist, as the cache shows
/// them: those of an ended saga that succeeded, and those of old failed attempts of any other saga.
/// They are looked up by name, because the cache may hold very many of both.
pub(in crate::controller) fn leftovers<K: Workload>(
    cluster: &Cluster,
    saga: &StoredSaga,
    now: Timestamp,
) -> Vec<Arc<K>> {
    let Ok(status) = &saga.status else { return Vec::new() };
    let ended = is_terminal(status);
    let uid = saga.metadata.uid.as_deref().unwrap_or_default();
    let exists = |id: AttemptId| {
        let found = K::cached(cluster, namespace(saga), &K::name_of(name(saga), uid, &id))?;
        let unneeded = if ended {
            found.succeeded()
        } else {
            found.is_over() && found.meta().deletion_timestamp.is_none()
        };
        (unneeded && attempt::is_ours(found.as_ref(), uid, &id)).then_some(found)
    };
    if ended {
        remembered_attempts(status).filter_map(exists).collect()
    } else {
        old_attempts(saga.spec.as_ref().ok(), status, now).filter_map(exists).collect()
    }
}

/// Returns whether a Pod or a Job of the saga is no longer needed and still exists.
pub(in crate::controller) fn leaves_any(
    cluster: &Cluster,
    saga: &StoredSaga,
    now: Timestamp,
) -> bool {
    !leftovers::<Pod>(cluster, saga, now).is_empty()
        || !leftovers::<Job>(cluster, saga, now).is_empty()
}

/// Returns the attempts of a saga under way that settled long ago and had a Pod or a Job.
fn old_attempts(
    spec: Option<&SagaSpec>,
    status: &SagaStatus,
    now: Timestamp,
) -> impl Iterator<Item = AttemptId> {
    let of = move |step: &StepStatus, direction: Direction| {
        let written = spec?.steps.iter().find(|written| written.name == step.name)?;
        let (pod, job) = match direction {
            Direction::Action => (&written.pod, &written.job),
            Direction::Compensation => {
                let undo = written.compensation.as_ref()?;
                (&undo.pod, &undo.job)
            }
        };
        let numbers = attempts_without_child(step.direction(direction)?, now);
        (pod.is_some() || job.is_some()).then_some(numbers)
    };
    status.steps.iter().flat_map(move |step| {
        [Direction::Action, Direction::Compensation].into_iter().flat_map(move |direction| {
            let id = move |number| AttemptId { step: step.name.clone(), direction, number };
            of(step, direction).into_iter().flatten().map(id)
        })
    })
}

/// Returns the attempts that a status still records.
pub(in crate::controller) fn remembered_attempts(
    status: &SagaStatus,
) -> impl Iterator<Item = AttemptId> {
    let directions = |step: &StepStatus| {
        [
            (Direction::Action, step.action.clone()),
            (Direction::Compensation, step.compensation.clone()),
        ]
    };
    status.steps.iter().flat_map(move |step| {
        directions(step)
            .into_iter()
            .filter_map(|(direction, record)| Some((direction, record?)))
            .flat_map(move |(direction, record)| {
                let newest = record.attempt;
                let numbers = record
                    .attempts
                    .into_iter()
                    .map(|attempt| attempt.attempt)
                    .filter(move |number| *number != newest);
                std::iter::once(newest).chain(numbers).map(move |number| AttemptId {
                    step: step.name.clone(),
                    direction,
                    number,
                })
            })
    })
}
