//! Observes the object that a step applies, deletes or waits for.
//!
//! # Guarantees
//! - The object itself shows whether it was applied or deleted, so that any replica can continue
//!   after another replica died. An applied object names its attempt, or is recognized by its UID,
//!   or by its fields and their manager. A deleted object is gone.
//! - A refusal that a person has to correct ends the attempt.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{learned::AttemptView, sources::Sources};
use crate::{
    api::{ActiveAttempt, ApplyAction, ObjectRef, names::child_name},
    clock::between,
    controller::{
        clock::now,
        cluster::{
            impersonate::{Account, ObjectTarget},
            objects::{mark_of, shared, uid},
            refusal::{ApiRefusal, Unserved},
        },
        memory::{
            attempt::{AttemptKey, KnownAttempt},
            remembered::{absent, backing_off, not_now, refused_permanently},
        },
    },
    coordination::fence::FRESH,
    model::{
        observation::{ChildState, End, Present, Unavailable},
        saga::{ValidSaga, Work},
    },
};

/// How often an object is read. Each pair is a bound on the time waited so far, and the interval up
/// to that bound.
const POLLS: [(Duration, Duration); 3] = [
    (Duration::from_secs(10), Duration::from_secs(1)),
    (Duration::from_mins(1), Duration::from_secs(3)),
    (Duration::MAX, Duration::from_secs(10)),
];

/// Returns the account of a saga.
pub(in crate::controller) const fn account(saga: &ValidSaga) -> Account<'_> {
    Account { namespace: saga.namespace.as_str(), name: saga.service_account.as_str() }
}

/// Returns the name of the attempt that is written into an applied object.
pub(in crate::controller) fn mark(
    saga: &ValidSaga,
    AttemptKey { attempt, .. }: &AttemptKey,
) -> String {
    child_name(&saga.name, &saga.uid, attempt)
}

/// One attempt at an object.
pub(super) struct Attempt<'a, 'v> {
    pub(super) sources: &'v Sources<'v>,
    pub(super) saga: &'v ValidSaga,
    pub(super) view: &'v mut AttemptView<'a>,
}

impl Attempt<'_, '_> {
    /// Returns the state of the object, and after how long to requeue the saga.
    pub(super) async fn state(
        &mut self,
        work: &Work,
        active: &ActiveAttempt,
    ) -> (ChildState, Option<Duration>) {
        // The status names the object to delete before a deletion is sent, so its UID does not
        // prove that anything was done.
        let there = matches!(work, Work::Apply(_)) && active.child_uid.is_some();
        if let Some(end) = self.view.end(there) {
            return (end.into(), None);
        }
        let poll = self.poll();
        let known = self.view.known();
        let refused = !known.unanswered
            && known.refusal.as_ref().is_some_and(|refusal| refusal.until > Instant::now());
        let state = match work {
            // If the status names a UID, a replica applied the object, even if this process's calls
            // were refused.
            Work::Apply(_) if refused && !there => None,
            Work::Apply(action) => self.applied(action, active).await,
            // The object is read even after a refusal, because somebody else may have deleted it.
            Work::Delete(object) => Some(self.deleted(object, active).await),
            Work::Until(object) => self.waited_for(object).await,
            Work::Pod(_)
            | Work::Job(_)
            | Work::Http(_)
            | Work::Saga(_)
            | Work::UndoSaga
            | Work::Approval(_)
            | Work::Wait(_) => None,
        };
        let waits = || {
            let known = self.view.known();
            backing_off(&known)
                .filter(|_| !there)
                .unwrap_or_else(|| absent(&known, known.child.is_some()))
        };
        (state.unwrap_or_else(waits), poll)
    }

    /// Returns after how long to requeue the saga.
    fn poll(&self) -> Option<Duration> {
        let waited = self.view.known().first_read.elapsed();
        POLLS.iter().find(|(until, _)| waited < *until).map(|(_, poll)| *poll)
    }

    /// Reads the object. Returns a state as `Err` if the failed read ends the attempt, or if the
    /// object cannot be read just now.
    async fn read(
        &mut self,
        target: ObjectTarget<'_>,
    ) -> Result<Option<serde_json::Value>, ChildState> {
        self.sources.cluster.objects.get(target).await.map_err(|trouble| self.unread(trouble, None))
    }

    /// Returns what a failed read means. `writes`: the intent, if the attempt applies the object.
    fn unread(&mut self, trouble: ApiRefusal, writes: Option<&ActiveAttempt>) -> ChildState {
        match trouble {
            ApiRefusal::Final(_, message) => {
                let known = self.view.known();
                let written = writes.is_some_and(|active| may_be_applied(&known, active, now()));
                let end = if written {
                    End::Unknown { message, retry_after: None }
                } else {
                    refused_permanently(message)
                };
                self.view.ended(end.clone());
                end.into()
            }
            ApiRefusal::NoKind(_, message) => self.unserved(writes, message),
            ApiRefusal::Passes(message) | ApiRefusal::Lost(message) => not_now(message),
        }
    }

    /// Returns the state if the kind of the object is not served. If this process wrote the intent
    /// and every call was definitely refused, nothing was applied. Then the state is a refusal, and
    /// the time limit counts as for an attempt that never began. (If the object cannot be read for
    /// another reason, the state is not a refusal: another replica's call may have been admitted.)
    fn unserved(&self, writes: Option<&ActiveAttempt>, message: String) -> ChildState {
        let (retry_in, known) = (self.poll().unwrap_or_default(), self.view.known());
        match writes {
            Some(active) if known.is_refused() && !may_be_applied(&known, active, now()) => {
                ChildState::Unavailable(Unavailable::Refused {
                    message,
                    retry_in,
                    known_for: known.first_read.elapsed(),
                })
            }
            _ => not_now(message),
        }
    }

    /// Returns the state of the applied object; `None` if no object exists that this attempt
    /// applied.
    async fn applied(
        &mut self,
        action: &ApplyAction,
        active: &ActiveAttempt,
    ) -> Option<ChildState> {
        let read = self
            .sources
            .cluster
            .objects
            .get_applied(ObjectTarget::applied(account(self.saga), action), action)
            .await;
        let (object, as_applied) = match read.map_err(|trouble| self.unread(trouble, Some(active)))
        {
            Ok(object) => object?,
            Err(state) => return Some(state),
        };
        let uid = uid(&object);
        // The mark may have been removed, or replaced by another saga that also applied the object.
        let known =
            active.child_uid.as_ref() == Some(&uid) || self.view.child().as_ref() == Some(&uid);
        if !known && !as_applied && mark_of(&object) != Some(&mark(self.saga, self.view.key)) {
            return None;
        }
        self.view.child_seen(&uid);
        Some(self.there(object))
    }

    /// Returns the state of the object of this name, whoever created it. The engine decides whether
    /// it is the object that the attempt deletes.
    async fn deleted(&mut self, reference: &ObjectRef, active: &ActiveAttempt) -> ChildState {
        let object = match self
            .sources
            .cluster
            .objects
            .get(ObjectTarget::of(account(self.saga), reference))
            .await
        {
            Ok(Some(object)) => object,
            Ok(None) | Err(ApiRefusal::NoKind(Unserved::Anywhere, _)) => {
                return ChildState::Ended(End::Succeeded(None));
            }
            // No deletion is sent before the status names the UID.
            Err(ApiRefusal::Final(_, message)) if active.child_uid.is_none() => {
                return refused_permanently(message).into();
            }
            Err(ApiRefusal::Final(_, message)) => {
                return ChildState::Ended(End::Unknown { message, retry_after: None });
            }
            Err(
                ApiRefusal::NoKind(Unserved::Here, message)
                | ApiRefusal::Passes(message)
                | ApiRefusal::Lost(message),
            ) => return not_now(message),
        };
        let uid = uid(&object);
        let deleting = object.pointer("/metadata/deletionTimestamp").is_some();
        if !deleting && self.view.child().as_ref() != Some(&uid) {
            let known = self.view.known();
            // A remembered refusal concerns only the object whose UID the status names.
            let waits = backing_off(&known).filter(|_| active.child_uid.as_ref() == Some(&uid));
            let (refused, known_for) = (known.is_refused(), known.first_read.elapsed());
            return waits.unwrap_or(ChildState::Present(Present::Standing {
                uid,
                refused,
                known_for,
            }));
        }
        self.view.child_seen(&uid);
        let finalizers =
            object.pointer("/metadata/finalizers").map(ToString::to_string).unwrap_or_default();
        let detail = format!(
            "waits until it is gone{}{finalizers}",
            if finalizers.is_empty() { "" } else { ", which is up to " }
        );
        ChildState::Active { uid: Some(uid), age: self.view.age(), detail, trouble: None }
    }

    async fn waited_for(&mut self, reference: &ObjectRef) -> Option<ChildState> {
        Some(match self.read(ObjectTarget::of(account(self.saga), reference)).await {
            Ok(Some(object)) => {
                self.view.child_seen(&uid(&object));
                self.there(object)
            }
            Ok(None) => {
                not_now(format!("waits: there is no {} {}", reference.kind, reference.name))
            }
            Err(state) => state,
        })
    }

    fn there(&self, object: serde_json::Value) -> ChildState {
        ChildState::Present(Present::Object { object: shared(object), age: self.view.age() })
    }
}

/// Returns whether the attempt may have applied its object. If it may have, and the object cannot
/// be read any more, the outcome is unknown. If the intent is more than two seconds older than what
/// this process knows about it, another replica wrote the intent.
fn may_be_applied(known: &KnownAttempt, active: &ActiveAttempt, now: Timestamp) -> bool {
    let inherited = between(active.started_at.0, now) > known.first_read.elapsed() + FRESH;
    known.child.is_some() || known.unanswered || active.child_uid.is_some() || inherited
}

#[cfg(test)]
mod tests;
