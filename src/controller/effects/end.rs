//! What takes something away: an attempt that is to end, the Pods and Jobs of an ended saga, the
//! saga itself.
//!
//! # Guarantees
//! A child is deleted only after a live read, under its UID; a saga only under its UID and the
//! version that was decided from.

use std::time::Duration;

use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::api::{DeleteParams, Preconditions};

use super::perform::{Next, Performance, never_begun};
use crate::{
    api::{
        names::AttemptId,
        stored::{name, namespace},
    },
    controller::{
        cluster::{
            error::{self, Error},
            sagas::live_intent,
        },
        memory::attempts::AttemptKey,
        observe::children,
        workload::Child,
    },
    coordination::breaker::CallEnd,
    model::{observation::ChildState, saga::Work},
    objects::child::is_child,
};

impl Performance<'_> {
    /// Ends an attempt that is past its time, or whose saga is cancelled. It settles only when its
    /// child is gone.
    pub(crate) async fn stop(&self, attempt: AttemptId, cancelled: bool) -> Result<Next, Error> {
        let uid = self.stored.metadata.uid.clone().unwrap_or_default();
        let key = (uid, attempt);
        let in_flight = self.context.attempts.look(&key, |known| known.in_flight().is_some());
        if in_flight {
            let why = if cancelled {
                "given up without an answer, since the saga is cancelled"
            } else {
                "no answer within its time"
            };
            let aborted = self.context.attempts.abort(&key, why);
            // Past its deadlines it says as much of its host as one that ended itself; that
            // somebody gave it up says nothing.
            if let Some((call, end)) = aborted.filter(|_| !cancelled) {
                call.ended(CallEnd::of(&end, true, None));
            }
            return Ok(Next::AtOnce);
        }
        let step =
            self.saga.and_then(|saga| saga.steps.iter().find(|step| step.name == key.1.step));
        let operation = step.and_then(|step| step.operation(key.1.direction));
        if operation.is_some_and(|operation| matches!(operation.work, Work::Job(_))) {
            // Its pods go with it, and it stays until they have.
            return self.stop_child::<Job>(&key, &DeleteParams::foreground()).await;
        }
        self.stop_child::<Pod>(&key, &DeleteParams::background()).await
    }

    /// Ends an attempt by the deletion of its child.
    async fn stop_child<K: Child>(
        &self,
        key: &AttemptKey,
        how: &DeleteParams,
    ) -> Result<Next, Error> {
        let child = K::name_of(name(self.stored), &key.0, &key.1);
        let cached = K::cached(self.context, namespace(self.stored), &child);
        if cached.is_some_and(|found| {
            found.meta().deletion_timestamp.is_some() && !found.runs_on(self.context)
        }) {
            return Ok(Next::Later);
        }
        let Some(intent) = live_intent(self.context, self.stored, &key.1).await? else {
            return Ok(Next::Later);
        };
        let known = self
            .context
            .attempts
            .look(key, |known| known.child.as_ref().map(|(_, uid)| uid.clone()))
            .or(intent.child_uid);
        let api = K::api(self.context, namespace(self.stored));
        let found = api.get_opt(&child).await.map_err(Error::api(K::READ))?;
        let is_ours = |found: &K| is_child(found, (&key.0, &key.1), [known.as_deref(), None]);
        let Some(found) =
            found.filter(|found| is_ours(found) && found.meta().deletion_timestamp.is_none())
        else {
            // What the watch brings says more than that the child is gone. It may have left
            // something behind.
            return self.stop_rest::<K>(key, known).await;
        };
        let detail = match found.state(self.context, Duration::ZERO).await? {
            ChildState::Active { detail, .. } => detail,
            ChildState::Succeeded(_)
            | ChildState::Answered(_)
            | ChildState::Object { .. }
            | ChildState::Saga(_)
            | ChildState::Standing { .. }
            | ChildState::Failed(_)
            | ChildState::Unknown { .. }
            | ChildState::Elsewhere { .. }
            | ChildState::CalledOff { .. }
            | ChildState::Refused { .. }
            | ChildState::Absent(_) => return Ok(Next::Later),
        };
        let idle = found.is_idle();
        // Under the version that was read, the deletion of a Pod without a node proves that no
        // container of it ever started.
        let version = found.meta().resource_version.clone().filter(|_| idle);
        self.context.attempts.overdue(key, detail);
        let deleted = delete(&api, &found, version, how).await?;
        if idle && deleted {
            self.context.attempts.ended(key, never_begun("was bound to no node".into(), false));
            return Ok(Next::AtOnce);
        }
        Ok(Next::Later)
    }

    /// Ends what is left of a child that is gone, or whose deletion takes nothing along.
    async fn stop_rest<K: Child>(
        &self,
        key: &AttemptKey,
        child: Option<String>,
    ) -> Result<Next, Error> {
        let Some(child) = child else { return Ok(Next::Later) };
        for pod in K::rest(self.context, namespace(self.stored), &child).await? {
            let ChildState::Active { detail, .. } = pod.state(self.context, Duration::ZERO).await?
            else {
                continue;
            };
            if pod.metadata.deletion_timestamp.is_none() {
                self.context.attempts.overdue(key, detail);
                delete(
                    &Pod::api(self.context, namespace(self.stored)),
                    pod.as_ref(),
                    None,
                    &DeleteParams::background(),
                )
                .await?;
            }
        }
        Ok(Next::Later)
    }

    /// Deletes the succeeded Pods and Jobs of an ended saga.
    pub(crate) async fn sweep(&self) -> Result<Next, Error> {
        let live = self
            .context
            .sagas(namespace(self.stored))
            .get_opt(name(self.stored))
            .await
            .map_err(Error::api("read the saga"))?;
        let ended = live.is_some_and(|live| {
            let phase = live.status.as_ref().ok().and_then(|status| status.phase);
            live.metadata.uid == self.stored.metadata.uid
                && phase.is_some_and(crate::api::SagaPhase::is_terminal)
        });
        if !ended {
            return Ok(Next::Later);
        }
        self.sweep_all::<Pod>().await?;
        self.sweep_all::<Job>().await?;
        Ok(Next::Later)
    }

    async fn sweep_all<K: Child>(&self) -> Result<(), Error> {
        let api = K::api(self.context, namespace(self.stored));
        for found in children::leftovers::<K>(self.context, self.stored) {
            delete(&api, found.as_ref(), None, &DeleteParams::background()).await?;
        }
        Ok(())
    }

    /// Deletes the saga as it was read. Where it is another one by now, it is looked at again.
    pub(crate) async fn delete(&self, version: &str) -> Result<Next, Error> {
        let preconditions = Preconditions {
            uid: self.stored.metadata.uid.clone(),
            resource_version: Some(version.to_owned()),
        };
        let parameters =
            DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        match self
            .context
            .sagas(namespace(self.stored))
            .delete(name(self.stored), &parameters)
            .await
        {
            Ok(_) => Ok(Next::Later),
            Err(error) if error::is_conflict(&error) || error::is_not_found(&error) => {
                Ok(Next::Later)
            }
            Err(source) => Err(Error::Api { doing: "delete the saga", source }),
        }
    }
}

/// Deletes a child under its UID, and under a version where one is given. Returns whether it was
/// this call that did.
async fn delete<K: Child>(
    api: &kube::Api<K>,
    child: &K,
    version: Option<String>,
    how: &DeleteParams,
) -> Result<bool, Error> {
    let preconditions = Preconditions { uid: child.meta().uid.clone(), resource_version: version };
    let parameters = DeleteParams { preconditions: Some(preconditions), ..how.clone() };
    match api.delete(child.meta().name.as_deref().unwrap_or_default(), &parameters).await {
        Ok(_) => Ok(true),
        Err(source) if error::is_not_found(&source) || error::is_conflict(&source) => Ok(false),
        Err(source) => Err(Error::Api { doing: K::DELETE, source }),
    }
}
