//! What takes something away: an attempt that is to end, the Pods of an ended saga, the saga itself.
//!
//! # Guarantees
//! A child is deleted only after a live read, under its UID; a saga only under its UID and the version that was decided from.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Preconditions};

use super::{
    error::{self, Error},
    gather::{self, is_ours},
    perform::{Next, Performance, live_intent, never_begun},
    record::{name, namespace},
};
use crate::{
    api::names::{AttemptId, child_name},
    engine::{circuit::CallEnd, observed::ChildState},
    objects::pod_state,
};

impl Performance<'_> {
    /// Ends an attempt that is past its time, or whose saga is cancelled. It settles only when its child is gone.
    pub(super) async fn stop(&self, attempt: AttemptId, cancelled: bool) -> Result<Next, Error> {
        let uid = self.stored.metadata.uid.clone().unwrap_or_default();
        let key = (uid, attempt);
        let in_flight = self.context.attempts.look(&key, |known| known.in_flight().is_some());
        if in_flight {
            let why = if cancelled { "given up without an answer, since the saga is cancelled" } else { "no answer within its time" };
            let aborted = self.context.attempts.abort(&key, why);
            // Past its deadlines it says as much of its host as one that ended itself; that somebody gave it up says nothing.
            if let Some((call, end)) = aborted.filter(|_| !cancelled) {
                call.ended(CallEnd::of(&end, true, None));
            }
            return Ok(Next::AtOnce);
        }
        let child = child_name(name(self.stored), &key.0, &key.1);
        let cached = self.context.cached_pod(namespace(self.stored), &child);
        if cached.is_some_and(|pod| pod.metadata.deletion_timestamp.is_some())
            || live_intent(self.context, self.stored, &key.1).await?.is_none()
        {
            return Ok(Next::Later);
        }
        let api = self.context.pods_of(namespace(self.stored));
        let Some(pod) = api.get_opt(&child).await.map_err(Error::api("read a Pod"))? else {
            // The watch has not told yet, and what it brings says more than that the Pod is gone.
            return Ok(Next::Later);
        };
        if !is_ours(&pod, &key.0, &key.1) {
            return Ok(Next::Later);
        }
        let detail = match pod_state::state(&pod, Duration::ZERO) {
            ChildState::Active { detail, .. } => detail,
            ChildState::Succeeded(_)
            | ChildState::Answered(_)
            | ChildState::Object { .. }
            | ChildState::Standing { .. }
            | ChildState::Failed(_)
            | ChildState::Unknown { .. }
            | ChildState::Elsewhere { .. }
            | ChildState::Refused { .. }
            | ChildState::Absent(_) => return Ok(Next::Later),
        };
        let unbound = pod_state::never_bound(&pod);
        // Under the version that was read, the deletion of a Pod without a node proves that no container of it ever started.
        let version = pod.metadata.resource_version.clone().filter(|_| unbound);
        self.context.attempts.overdue(&key, detail);
        let deleted = delete(&api, &pod, version).await?;
        if unbound && deleted {
            self.context.attempts.ended(&key, never_begun("was bound to no node".into(), false));
            return Ok(Next::AtOnce);
        }
        Ok(Next::Later)
    }

    /// Deletes the succeeded Pods of an ended saga.
    pub(super) async fn sweep(&self) -> Result<Next, Error> {
        let live = self.context.sagas(namespace(self.stored)).get_opt(name(self.stored)).await.map_err(Error::api("read the saga"))?;
        let ended = live.is_some_and(|live| {
            let phase = live.status.as_ref().ok().and_then(|status| status.phase);
            live.metadata.uid == self.stored.metadata.uid && phase.is_some_and(crate::api::SagaPhase::is_terminal)
        });
        if !ended {
            return Ok(Next::Later);
        }
        let api = self.context.pods_of(namespace(self.stored));
        for pod in gather::leftovers(self.context, self.stored) {
            delete(&api, &pod, None).await?;
        }
        Ok(Next::Later)
    }

    /// Deletes the saga as it was read. Where it is another one by now, it is looked at again.
    pub(super) async fn delete(&self, version: &str) -> Result<Next, Error> {
        let preconditions = Preconditions { uid: self.stored.metadata.uid.clone(), resource_version: Some(version.to_owned()) };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        match self.context.sagas(namespace(self.stored)).delete(name(self.stored), &parameters).await {
            Ok(_) => Ok(Next::Later),
            Err(error) if error::is_conflict(&error) || error::is_not_found(&error) => Ok(Next::Later),
            Err(source) => Err(Error::Api { doing: "delete the saga", source }),
        }
    }
}

/// Deletes a Pod under its UID, and under a version where one is given. Returns whether it was this call that did.
async fn delete(api: &kube::Api<Pod>, pod: &Pod, version: Option<String>) -> Result<bool, Error> {
    let preconditions = Preconditions { uid: pod.metadata.uid.clone(), resource_version: version };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
    match api.delete(pod.metadata.name.as_deref().unwrap_or_default(), &parameters).await {
        Ok(_) => Ok(true),
        Err(source) if error::is_not_found(&source) || error::is_conflict(&source) => Ok(false),
        Err(source) => Err(Error::Api { doing: "delete a Pod", source }),
    }
}
