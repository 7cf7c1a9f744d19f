//! Observes the children of a saga, and notes what the observations learned.
//!
//! # Guarantees
//! An attempt is known to this process before its child is observed, so that the end of the child
//! that a watch delivers meanwhile is noted. What the observation of one attempt learned is noted
//! before the next attempt is observed, also if a read failed.

use std::time::Duration;

use crate::{
    api::{DeletionPolicy, SagaStatus, status::active_attempts},
    controller::{
        cluster::error::Error,
        context::Context,
        memory::memories::Memory,
        observe::{
            children::{self, Observed},
            learned::Learned,
        },
        outbound::Outbound,
        queue::SagaRef,
    },
    model::{
        observation::{ChildState, Observations},
        saga::ValidSaga,
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
pub(in crate::controller) async fn observed(
    context: &Context,
    saga: &ValidSaga,
    status: &SagaStatus,
    executor: Option<&str>,
    goes: Option<DeletionPolicy>,
) -> Result<(Observations, Option<Duration>), Error> {
    let (targets, attempts) = (children::targets(saga, status, goes), &context.memory.attempts);
    let active = active_attempts(status).map(|(id, _)| id);
    let kept: Vec<_> =
        targets.iter().map(|target| target.key.attempt.clone()).chain(active).collect();
    attempts.keep_only(&saga.uid, &kept);
    let (mut observations, mut again) = (Observations::new(), None::<Duration>);
    for target in targets {
        attempts.read(&target.key);
        let observed = children::observe(&context.sources(), saga, status, &target, executor).await;
        let (state, poll) = noted(&context.memory, &context.outbound, observed)?;
        again = [again, poll].into_iter().flatten().min();
        observations.insert(target.key.attempt, state);
    }
    let senders: Vec<_> =
        active_attempts(status).filter_map(|(_, attempt)| attempt.executor.as_deref()).collect();
    let saga = SagaRef::new(&saga.namespace, &saga.name);
    context.outbound.others.waits_only_for(&saga, &senders);
    Ok((observations, again))
}

/// Notes what an observation learned, and returns what the observation showed. The facts are noted
/// even if a read failed, because they were learned before the failure.
///
/// # Errors
/// If a live read of the observation failed.
pub(in crate::controller) fn noted(
    memory: &Memory,
    outbound: &Outbound,
    observed: Observed,
) -> Result<(ChildState, Option<Duration>), Error> {
    let Observed { seen, learned } = observed;
    for learned in learned {
        note(memory, outbound, learned);
    }
    seen
}

fn note(memory: &Memory, outbound: &Outbound, learned: Learned) {
    match learned {
        Learned::Attempt { key, fact } => memory.attempts.learn(&key, fact),
        Learned::JobPods { job, pods } => memory.job_pods.correct(&job, &pods),
        Learned::Executor { id, saga, interest } => outbound.others.note(&id, saga, interest),
    }
}
