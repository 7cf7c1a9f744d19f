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

use super::sources::Sources;
use crate::{
    api::{
        ActiveAttempt, ChildStatus, RequestAction, RequestResult, StoredSaga,
        names::{AttemptId, child_name},
        stored::name,
    },
    controller::{
        cluster::error::Error,
        memory::{
            attempt::{AttemptKey, KnownAttempt},
            remembered::{absent, backing_off},
        },
    },
    engine::report::blocked::cannot_be_told,
    model::{
        observation::{ChildSaga, ChildState, End, Failure, Observations},
        saga::ValidSaga,
    },
    objects::{child::WATCH_LAG, child_saga::is_ours},
};

/// How often a child saga is read if no event arrives. The watch may have missed the deletion of
/// the child.
const POLL: Duration = Duration::from_secs(30);

/// A child saga, as the active attempt of its parent finds it.
pub(in crate::controller) struct ChildReader<'a> {
    pub(in crate::controller) sources: &'a Sources<'a>,
    pub(in crate::controller) saga: &'a ValidSaga,
    /// The active attempt.
    pub(in crate::controller) key: &'a AttemptKey,
    /// The attempt that created the child: the active attempt, or an earlier attempt if the active
    /// attempt undoes the child.
    pub(in crate::controller) made_by: &'a AttemptId,
    /// The child as the status of the step names it.
    pub(in crate::controller) written: Option<&'a ChildStatus>,
}

impl ChildReader<'_> {
    fn known<T>(&self, look: impl FnOnce(&mut KnownAttempt) -> T) -> T {
        self.sources.memory.attempts.look(self.key, look)
    }

    /// Returns the state of the child, and after how long to requeue the saga.
    ///
    /// # Errors
    /// If the live read failed.
    pub(in crate::controller) async fn state(
        &self,
        active: &ActiveAttempt,
    ) -> Result<(ChildState, Option<Duration>), Error> {
        if let Some(end) = self.known(|known| known.end(active.child_uid.is_some())) {
            return Ok((end.into(), None));
        }
        let waits =
            |known: &mut KnownAttempt| backing_off(known).map(|waits| (waits, Some(WATCH_LAG)));
        // If every creation was definitely refused, the child does not exist and is not read. If
        // the answer to a creation was lost, the child may exist and is read.
        if let Some(waits) = self.known(|known| waits(known).filter(|_| !known.unanswered)) {
            return Ok(waits);
        }
        let seen = self.live(active.child_uid.as_ref()).await?;
        Ok(if matches!(seen.0, ChildState::Absent { .. }) {
            self.known(waits).unwrap_or(seen)
        } else {
            seen
        })
    }

    /// Returns the same by a live read alone. `active`: the UID that the active attempt names.
    ///
    /// # Errors
    /// If the read failed.
    async fn live(&self, active: Option<&String>) -> Result<(ChildState, Option<Duration>), Error> {
        let Self { saga, key, made_by, .. } = self;
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
            return Ok((
                self.known(|known| absent(known, known.child.is_some() || written.is_some())),
                None,
            ));
        };
        let uid = child.metadata.uid.clone().unwrap_or_default();
        // If the UID of the child is known, the UID identifies the child: labels and owners can be
        // removed.
        let first = self.known(|known| known.child.as_ref().map(|(_, uid)| uid.clone()));
        let mut known = [first.as_ref(), active, written].into_iter().flatten().peekable();
        if known.peek().is_none() && !is_ours(&child, &key.saga_uid, made_by, &saga.service_account)
        {
            return Ok((foreign(&name), None));
        }
        let another = known.any(|known| *known != uid);
        if another {
            let message = format!("its child saga {name} vanished, and another one has its name");
            return Ok((ChildState::Ended(End::Unknown { message, retry_after: None }), None));
        }
        self.sources.memory.attempts.child_seen(key, &uid);
        let age = self.known(|known| {
            known.child.as_ref().map_or_else(Default::default, |(since, _)| since.elapsed())
        });
        let undelivered = self.known(|known| known.undelivered.clone());
        Ok((
            ChildState::Saga(std::sync::Arc::new(ChildSaga { age, undelivered, ..seen(&child) })),
            Some(POLL),
        ))
    }
}

/// Reads the children that a deleted saga leaves behind. Returns their states by the attempts that
/// created them.
///
/// # Errors
/// If a live read failed.
pub(in crate::controller) async fn left_behind(
    sources: &Sources<'_>,
    saga: &ValidSaga,
    left: Vec<(AttemptId, &ChildStatus)>,
) -> Result<Observations, Error> {
    let mut observed = Observations::new();
    for (made_by, written) in left {
        let key = AttemptKey::new(&saga.uid, made_by);
        let (state, _) =
            ChildReader { sources, saga, key: &key, made_by: &key.attempt, written: Some(written) }
                .live(None)
                .await?;
        observed.insert(key.attempt, state);
    }
    Ok(observed)
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
        suspended: child.spec.as_ref().is_ok_and(|spec| spec.suspend.unwrap_or_default()),
        deletion_policy: child
            .spec
            .as_ref()
            .map(|spec| spec.deletion_policy.unwrap_or_default())
            .unwrap_or_default(),
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
        "NameConflict: the saga {name} exists and is not of this attempt; delete it, then retry \
         the step"
    );
    ChildState::Ended(End::Failed(Failure::not_started(message).permanent()))
}

#[cfg(test)]
mod tests;
