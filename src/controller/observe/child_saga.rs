//! Reads child sagas.
//!
//! # Guarantees
//! - A child saga is created, and commands are sent to it, as the account of its parent, never with
//!   the operator's own rights.
//! - A child is read live, so that an old copy does not cause a command to be sent again.
//! - A command is sent only while the attempt for which it is sent is active, or to pass the
//!   deletion policy of a deleted parent to the child. The UID of the child is a precondition.
//! - A child that was never seen before counts as the attempt's child only if it acts as its
//!   parent's account. Anybody may write labels and owners.

use std::time::Duration;

use super::{learned::AttemptView, sources::Sources};
use crate::{
    api::{
        ActiveAttempt, ChildStatus, RequestAction, RequestResult, StoredSaga,
        names::{AttemptId, child_name},
        stored::name,
    },
    controller::{
        cluster::error::Error,
        memory::{
            attempt::KnownAttempt,
            remembered::{absent, backing_off},
        },
    },
    engine::report::blocked::cannot_be_told,
    model::{
        observation::{ChildSaga, ChildState, End, Failure, Present},
        saga::ValidSaga,
    },
    objects::{child::WATCH_LAG, child_saga::is_ours},
};

/// How often a child saga is read if no event arrives. The watch may have missed the deletion of
/// the child.
const POLL: Duration = Duration::from_secs(30);

/// A child saga, as the active attempt of its parent finds it.
pub(super) struct ChildReader<'a, 'v> {
    pub(super) sources: &'v Sources<'v>,
    pub(super) saga: &'v ValidSaga,
    /// The active attempt, or the attempt that created a child that is left behind.
    pub(super) view: &'v mut AttemptView<'a>,
    /// The attempt that created the child: the active attempt, or an earlier attempt if the active
    /// attempt undoes the child.
    pub(super) made_by: &'v AttemptId,
    /// The child as the status of the step names it.
    pub(super) written: Option<&'v ChildStatus>,
}

impl ChildReader<'_, '_> {
    /// Returns the state of the child, and after how long to requeue the saga.
    ///
    /// # Errors
    /// If the live read failed.
    pub(super) async fn state(
        &mut self,
        active: &ActiveAttempt,
    ) -> Result<(ChildState, Option<Duration>), Error> {
        if let Some(end) = self.view.end(active.child_uid.is_some()) {
            return Ok((end.into(), None));
        }
        let waits = |known: &KnownAttempt| backing_off(known).map(|waits| (waits, Some(WATCH_LAG)));
        let known = self.view.known();
        // If every creation was definitely refused, the child does not exist and is not read. If
        // the answer to a creation was lost, the child may exist and is read.
        if let Some(waits) = waits(&known).filter(|_| !known.unanswered) {
            return Ok(waits);
        }
        let seen = self.live(active.child_uid.as_ref()).await?;
        Ok(if matches!(seen.0, ChildState::Absent { .. }) {
            waits(&self.view.known()).unwrap_or(seen)
        } else {
            seen
        })
    }

    /// Returns the same by a live read alone. `active`: the UID that the active attempt names.
    ///
    /// # Errors
    /// If the read failed.
    pub(super) async fn live(
        &mut self,
        active: Option<&String>,
    ) -> Result<(ChildState, Option<Duration>), Error> {
        let Self { saga, made_by, .. } = *self;
        let name = child_name(&saga.name, &saga.uid, made_by);
        let live = self
            .sources
            .cluster
            .sagas(&saga.namespace)
            .get_opt(&name)
            .await
            .map_err(Error::api("read a child saga"))?;
        let written = self
            .written
            .filter(|written| written.name == name)
            .and_then(|written| written.uid.as_ref());
        let Some(child) = live else {
            // If the status names the child with a UID, a replica has seen the child.
            let known = self.view.known();
            return Ok((absent(&known, known.child.is_some() || written.is_some()), None));
        };
        let uid = child.metadata.uid.clone().unwrap_or_default();
        // If the UID of the child is known, the UID identifies the child: labels and owners can be
        // removed.
        let first = self.view.child();
        let mut known = [first.as_ref(), active, written].into_iter().flatten().peekable();
        let saga_uid = &self.view.key.saga_uid;
        if known.peek().is_none() && !is_ours(&child, saga_uid, made_by, &saga.service_account) {
            return Ok((foreign(&name), None));
        }
        let another = known.any(|known| *known != uid);
        if another {
            let message = format!("its child saga {name} vanished, and another saga has its name");
            return Ok((ChildState::Ended(End::Unknown { message, retry_after: None }), None));
        }
        self.view.child_seen(&uid);
        let (age, undelivered) = (self.view.age(), self.view.known().undelivered);
        Ok((
            ChildState::Present(Present::Saga(std::sync::Arc::new(ChildSaga {
                age,
                undelivered,
                ..seen(&child)
            }))),
            Some(POLL),
        ))
    }
}

/// Returns the child as an observation for the engine.
fn seen(child: &StoredSaga) -> ChildSaga {
    let status = child.status.as_ref().ok();
    let asked = |action: RequestAction| child.asked.iter().find(|asked| asked.action == action);
    let requests = || status.into_iter().flat_map(|status| status.requests.iter().rev());
    let refused = requests().find(|record| {
        record.action == RequestAction::Compensate && record.result != RequestResult::Accepted
    });
    ChildSaga {
        name: name(child).to_owned(),
        uid: child.metadata.uid.clone().unwrap_or_default(),
        age: Duration::ZERO,
        phase: status.and_then(|status| status.phase),
        message: status.unwrap_or(&child.salvaged).message.clone().unwrap_or_default(),
        outputs: status.and_then(|status| status.outputs.clone()),
        still_in_effect: status
            .and_then(|status| status.still_in_effect.clone())
            .unwrap_or_default(),
        suspended: child.is_suspended(),
        deletion_policy: child.deletion_policy,
        deleting: child.metadata.deletion_timestamp.is_some(),
        held: cannot_be_told(status.unwrap_or(&child.salvaged)),
        cancel_asked: asked(RequestAction::Cancel).is_some()
            || status.is_some_and(|status| status.cancel_requested.is_some()),
        compensate_asked: asked(RequestAction::Compensate)
            .and_then(|asked| asked.token().map(str::to_owned)),
        refused: refused.and_then(|record| Some((record.token.clone()?, record.message.clone()))),
        undelivered: Vec::new(),
    }
}

/// Returns the failure of an attempt if a saga of another owner has the child's name. That saga is
/// neither adopted nor changed.
fn foreign(name: &str) -> ChildState {
    let message = format!(
        "NameConflict: the saga {name} exists and does not belong to this attempt; delete it, \
         then retry the step"
    );
    ChildState::Ended(End::Failed(Failure::not_started(message).permanent()))
}

#[cfg(test)]
mod tests;
