//! The attempts that a status still records, and those of their children that still exist.

use std::sync::Arc;

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};

use crate::{
    api::{
        Direction, SagaStatus, StepStatus, StoredSaga,
        names::AttemptId,
        stored::{name, namespace},
    },
    controller::{cluster::connection::Cluster, workload::Workload},
    objects::attempt,
};

/// Returns the succeeded Pods or Jobs of an ended saga that still exist, as the cache shows them.
/// They are looked up by name, because the cache may hold very many of both.
pub(in crate::controller) fn leftovers<K: Workload>(
    cluster: &Cluster,
    saga: &StoredSaga,
) -> Vec<Arc<K>> {
    let uid = saga.metadata.uid.as_deref().unwrap_or_default();
    let exists = |id: AttemptId| {
        let found = K::cached(cluster, namespace(saga), &K::name_of(name(saga), uid, &id))?;
        (found.succeeded() && attempt::is_ours(found.as_ref(), uid, &id)).then_some(found)
    };
    saga.status.iter().flat_map(remembered_attempts).filter_map(exists).collect()
}

/// Returns whether a succeeded Pod or Job of the saga still exists.
pub(in crate::controller) fn leaves_any(cluster: &Cluster, saga: &StoredSaga) -> bool {
    !leftovers::<Pod>(cluster, saga).is_empty() || !leftovers::<Job>(cluster, saga).is_empty()
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
