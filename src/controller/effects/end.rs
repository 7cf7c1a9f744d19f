//! Ends attempts, deletes the Pods and Jobs of an ended saga, and deletes the saga itself.
//!
//! # Guarantees
//! A child is deleted only after a live read, with its UID as precondition. A saga is deleted only
//! with its UID and the version that was decided from as preconditions.

use std::time::Duration;

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::api::{DeleteParams, Preconditions};

use super::performance::{Next, Performance};
use crate::{
    api::{
        StoredSaga,
        names::AttemptId,
        status::is_terminal,
        stored::{name, namespace},
    },
    controller::{
        clock::now,
        cluster::{
            deletion::delete,
            error::{self, Error},
            sagas::live_intent,
        },
        memory::{attempt::AttemptKey, remembered::not_started},
        observe::leftovers,
        workload::Workload,
    },
    coordination::breaker::{CallEnd, CallProgress},
    model::{observation::ChildState, saga::Work},
    objects::{child::is_child, stored::StoredObject},
};

/// Why an attempt is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) enum StopReason {
    /// The saga is cancelled.
    Cancelled,
    /// The attempt is past its deadline.
    Overdue,
}

/// Ends an attempt. An attempt with a child settles only when the child is gone.
pub(in crate::controller) async fn stop(
    performance: &Performance<'_>,
    attempt: AttemptId,
    reason: StopReason,
) -> Result<Next, Error> {
    let uid = performance.stored.metadata.uid.clone().unwrap_or_default();
    let key = AttemptKey::new(uid, attempt);
    let in_flight =
        performance.parts.memory.attempts.look(&key, |known| known.in_flight().is_some());
    if in_flight {
        let why = match reason {
            StopReason::Cancelled => "aborted without an answer, because the saga is cancelled",
            StopReason::Overdue => "no answer within its time limit",
        };
        let aborted = performance.parts.memory.attempts.abort(&key, why);
        // If the HTTP request is past its deadline, its end counts in the breaker of its host like
        // any other end. If the HTTP request was given up because the saga is cancelled, its end
        // says nothing about the host.
        if let Some((call, end)) = aborted.filter(|_| reason == StopReason::Overdue) {
            let progress = CallProgress { may_have_left: true, status: None };
            call.ended(CallEnd::of(&end, progress));
        }
        return Ok(Next::AtOnce);
    }
    let step = performance
        .saga
        .and_then(|saga| saga.steps.iter().find(|step| step.name == key.attempt.step));
    let operation = step.and_then(|step| step.operation(key.attempt.direction));
    if operation.is_some_and(|operation| matches!(operation.work, Work::Job(_))) {
        // The pods of the Job are deleted with it, and the Job exists until they are gone.
        return stop_child::<Job>(performance, &key, &DeleteParams::foreground()).await;
    }
    stop_child::<Pod>(performance, &key, &DeleteParams::background()).await
}

/// Ends an attempt by the deletion of its child. `how`: the way in which the child's dependents are
/// deleted.
async fn stop_child<K: Workload>(
    performance: &Performance<'_>,
    key: &AttemptKey,
    how: &DeleteParams,
) -> Result<Next, Error> {
    let child = K::name_of(name(performance.stored), &key.saga_uid, &key.attempt);
    let cached = K::cached(performance.parts.cluster, namespace(performance.stored), &child);
    if cached.is_some_and(|found| {
        found.meta().deletion_timestamp.is_some()
            && !found.runs_on(performance.parts.memory.job_pods.view())
    }) {
        return Ok(Next::Later);
    }
    let Some(intent) =
        live_intent(performance.parts.cluster, performance.stored, &key.attempt).await?
    else {
        return Ok(Next::Later);
    };
    let known = performance
        .parts
        .memory
        .attempts
        .look(key, |known| known.child.as_ref().map(|(_, uid)| uid.clone()))
        .or(intent.child_uid);
    let api = K::api(performance.parts.cluster, namespace(performance.stored));
    let found = api.get_opt(&child).await.map_err(Error::api(K::READ))?;
    let found = found.map(|StoredObject(found)| found);
    let is_ours =
        |found: &K| is_child(found, (&key.saga_uid, &key.attempt), [known.as_deref(), None]);
    let Some(found) =
        found.filter(|found| is_ours(found) && found.meta().deletion_timestamp.is_none())
    else {
        // The attempt is not settled here: the watch delivers the last state of the child, which
        // says more than that the child is gone. Pods of the child may still exist.
        return stop_rest::<K>(performance, key, known).await;
    };
    let detail = match found
        .state(performance.parts.cluster, performance.parts.memory.job_pods.view(), Duration::ZERO)
        .await?
    {
        ChildState::Active { detail, .. } => detail,
        ChildState::Ended(_)
        | ChildState::Present(_)
        | ChildState::Unavailable(_)
        | ChildState::Absent(_) => return Ok(Next::Later),
    };
    let idle = found.is_idle();
    // If a Pod without a node is deleted under the version that was read, the deletion proves that
    // no container of the Pod ever started.
    let version = found.meta().resource_version.clone().filter(|_| idle);
    performance.parts.memory.attempts.overdue(key, detail);
    let deleted = delete_child(performance, &found, version, how).await?;
    if idle && deleted {
        performance.parts.memory.attempts.ended(key, not_started("was bound to no node".into()));
        return Ok(Next::AtOnce);
    }
    Ok(Next::Later)
}

/// Deletes the remaining pods of a child that is gone, or whose deletion does not delete its pods.
/// `child`: the UID of the child, if it was ever seen.
async fn stop_rest<K: Workload>(
    performance: &Performance<'_>,
    key: &AttemptKey,
    child: Option<String>,
) -> Result<Next, Error> {
    let Some(child) = child else { return Ok(Next::Later) };
    let job_pods = &performance.parts.memory.job_pods;
    let listed =
        K::rest(performance.parts.cluster, job_pods.view(), namespace(performance.stored), &child)
            .await?;
    if let Some(listed) = &listed {
        job_pods.correct(&child, listed);
    }
    for pod in listed.unwrap_or_else(|| job_pods.of(&child).0).pods {
        let ChildState::Active { detail, .. } =
            pod.state(performance.parts.cluster, job_pods.view(), Duration::ZERO).await?
        else {
            continue;
        };
        if pod.metadata.deletion_timestamp.is_none() {
            performance.parts.memory.attempts.overdue(key, detail);
            delete_child(performance, pod.as_ref(), None, &DeleteParams::background()).await?;
        }
    }
    Ok(Next::Later)
}

/// Deletes the Pods and Jobs that are no longer needed. Nothing is deleted unless a live read shows
/// the same saga, ended if the copy had ended, and otherwise still under way.
pub(in crate::controller) async fn delete_leftovers(
    performance: &Performance<'_>,
) -> Result<Next, Error> {
    let live = performance
        .parts
        .cluster
        .sagas(namespace(performance.stored))
        .get_opt(name(performance.stored))
        .await
        .map_err(Error::api("read the saga"))?;
    let ended = |saga: &StoredSaga| saga.status.as_ref().is_ok_and(is_terminal);
    let still = live.is_some_and(|live| {
        live.metadata.uid == performance.stored.metadata.uid
            && ended(&live) == ended(performance.stored)
    });
    if !still {
        return Ok(Next::Later);
    }
    delete_leftovers_of::<Pod>(performance).await?;
    delete_leftovers_of::<Job>(performance).await?;
    Ok(Next::Later)
}

async fn delete_leftovers_of<K: Workload>(performance: &Performance<'_>) -> Result<(), Error> {
    let (cluster, stored) = (performance.parts.cluster, performance.stored);
    for found in leftovers::leftovers::<K>(cluster, stored, now()) {
        delete_child(performance, found.as_ref(), None, &DeleteParams::background()).await?;
    }
    Ok(())
}

/// Deletes the saga with its UID and the version that was read as preconditions. If the saga has
/// changed, or another saga has its name, nothing is deleted and a later reconcile decides again.
pub(in crate::controller) async fn delete_saga(
    performance: &Performance<'_>,
    version: &str,
) -> Result<Next, Error> {
    let preconditions = Preconditions {
        uid: performance.stored.metadata.uid.clone(),
        resource_version: Some(version.to_owned()),
    };
    let parameters =
        DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
    let (namespace, name) = (namespace(performance.stored), name(performance.stored));
    match delete::<StoredSaga>(&performance.parts.cluster.client, namespace, name, &parameters)
        .await
    {
        Ok(()) => Ok(Next::Later),
        Err(error) if error::is_conflict(&error) || error::is_not_found(&error) => Ok(Next::Later),
        Err(source) => Err(Error::Api { doing: "delete the saga", source }),
    }
}

/// Deletes a child with its UID as precondition, and with the version too, if one is given. Returns
/// whether this call deleted the child.
async fn delete_child<K: Workload>(
    performance: &Performance<'_>,
    child: &K,
    version: Option<String>,
    how: &DeleteParams,
) -> Result<bool, Error> {
    let preconditions = Preconditions { uid: child.meta().uid.clone(), resource_version: version };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..how.clone() };
    let name = child.meta().name.as_deref().unwrap_or_default();
    let (client, namespace) = (&performance.parts.cluster.client, namespace(performance.stored));
    match delete::<K>(client, namespace, name, &parameters).await {
        Ok(()) => Ok(true),
        Err(source) if error::is_not_found(&source) || error::is_conflict(&source) => Ok(false),
        Err(source) => Err(Error::Api { doing: K::DELETE, source }),
    }
}
