//! Observes the object that a step applies, deletes or waits for.
//!
//! # Guarantees
//! - The object itself shows whether it was applied or deleted, so that any replica can continue
//!   after another replica died. An applied object names its attempt, or is recognized by its UID,
//!   or by its fields and their manager. A deleted object is gone.
//! - A refusal that a person has to correct ends the attempt. An object that is too large to be
//!   read ends it as well: a wait fails, and what was applied or deleted stays unknown for good.
//! - The tree of an object lives only while the object is judged. A reconcile holds one tree at a
//!   time, and the process holds few large ones.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{learned::AttemptView, sources::Sources};
use crate::{
    api::{ActiveAttempt, ApplyAction, ObjectRef, limits::KEPT_MESSAGE, names::child_name},
    clock::between,
    controller::{
        clock::now,
        cluster::{
            impersonate::{Account, ObjectTarget},
            object_text::{ObjectHead, ObjectText, stripped},
            objects::is_applied,
            refusal::{ApiRefusal, Refused, Unserved},
        },
        evaluations::Weight,
        memory::{
            attempt::{AttemptKey, KnownAttempt},
            remembered::{absent, backing_off, not_now, refused_permanently},
        },
    },
    coordination::fence::FRESH,
    engine::attempt::object::judged,
    model::{
        observation::{ChildState, End, JudgedObject, Present, Unavailable},
        saga::{ValidSaga, Work},
        values::Values,
    },
    text::clip,
};

/// The size of an object, in bytes, from which its tree counts as a heavy computation.
const HEAVY: usize = 32 * 1024;

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
    pub(super) values: Values<'v>,
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
            Work::Until(object) => Some(self.waited_for(object).await),
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

    /// Judges an object that was read. The tree of the object is dropped here. `action`: what the
    /// attempt applies. The flag says whether the object shows that it was applied.
    async fn judge(
        &self,
        object: &ObjectText,
        action: Option<&ApplyAction>,
    ) -> Result<(JudgedObject, bool), ApiRefusal> {
        let id = &self.view.key.attempt;
        let step = self.values.saga.steps.iter().find(|step| step.name == id.step);
        let evaluates = step.is_some_and(|step| {
            step.outputs.is_some()
                || step.operation(id.direction).is_some_and(|operation| operation.until.is_some())
        });
        let weight = Weight::of(evaluates || object.bytes() > HEAVY);
        let judge = || {
            let tree = object.tree()?;
            let as_applied = action.is_some_and(|action| is_applied(&tree, action));
            Ok((judged(&self.values, id, &stripped(tree)), as_applied))
        };
        self.sources.evaluations.run(&self.values.saga.namespace, weight, judge).await
    }

    /// Returns what a failed read means. `writes`: the intent, if the attempt applies the object.
    fn unread(&mut self, trouble: ApiRefusal, writes: Option<&ActiveAttempt>) -> ChildState {
        match trouble {
            ApiRefusal::Final(refused, message) => {
                let known = self.view.known();
                let written = writes.is_some_and(|active| may_be_applied(&known, active, now()));
                let end = if written {
                    unreadable(refused, message)
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
        let target = ObjectTarget::applied(account(self.values.saga), action);
        let read = match self.sources.cluster.objects.get(target).await {
            Ok(None) => return None,
            Ok(Some(object)) => match object.head() {
                Ok(head) => {
                    self.judge(&object, Some(action)).await.map(|judgement| (head, judgement))
                }
                Err(trouble) => Err(trouble),
            },
            Err(trouble) => Err(trouble),
        };
        let (ObjectHead { uid, mark: marked, .. }, (judged, as_applied)) = match read {
            Ok(read) => read,
            Err(trouble) => return Some(self.unread(trouble, Some(active))),
        };
        // The mark may have been removed, or replaced by another saga that also applied the object.
        let known =
            active.child_uid.as_ref() == Some(&uid) || self.view.child().as_ref() == Some(&uid);
        if !known && !as_applied && marked != Some(mark(self.values.saga, self.view.key)) {
            return None;
        }
        self.view.child_seen(&uid);
        Some(self.there(judged))
    }

    /// Returns the state of the object of this name, whoever created it. The engine decides whether
    /// it is the object that the attempt deletes.
    async fn deleted(&mut self, reference: &ObjectRef, active: &ActiveAttempt) -> ChildState {
        let target = ObjectTarget::of(account(self.values.saga), reference);
        let read = self.sources.cluster.objects.get(target).await;
        let head = match read.and_then(|object| object.map(|object| object.head()).transpose()) {
            Ok(Some(head)) => head,
            Ok(None) | Err(ApiRefusal::NoKind(Unserved::Anywhere, _)) => {
                return ChildState::Ended(End::Succeeded(None));
            }
            // No deletion is sent before the status names the UID.
            Err(ApiRefusal::Final(_, message)) if active.child_uid.is_none() => {
                return refused_permanently(message).into();
            }
            Err(ApiRefusal::Final(refused, message)) => return unreadable(refused, message).into(),
            Err(
                ApiRefusal::NoKind(Unserved::Here, message)
                | ApiRefusal::Passes(message)
                | ApiRefusal::Lost(message),
            ) => return not_now(message),
        };
        let ObjectHead { uid, deleting, finalizers, .. } = head;
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
        let finalizers = finalizers
            .map(|finalizers| format!(", which is up to {}", serde_json::json!(finalizers)))
            .unwrap_or_default();
        let detail = clip(&format!("waits until it is gone{finalizers}"), KEPT_MESSAGE);
        ChildState::Active { uid: Some(uid), age: self.view.age(), detail, trouble: None }
    }

    async fn waited_for(&mut self, reference: &ObjectRef) -> ChildState {
        let target = ObjectTarget::of(account(self.values.saga), reference);
        let read = match self.sources.cluster.objects.get(target).await {
            Ok(None) => {
                return not_now(format!(
                    "waits: there is no {} {}",
                    reference.kind, reference.name
                ));
            }
            Ok(Some(object)) => self.judge(&object, None).await,
            Err(trouble) => Err(trouble),
        };
        match read {
            Ok((judged, _)) => {
                self.view.child_seen(judged.uid.as_deref().unwrap_or_default());
                self.there(judged)
            }
            Err(trouble) => self.unread(trouble, None),
        }
    }

    fn there(&self, judged: JudgedObject) -> ChildState {
        ChildState::Present(Present::Object { judged, age: self.view.age() })
    }
}

/// Returns the end of an attempt that may be in effect and whose object cannot be read. Rights may
/// be given again, and then a retry shows what became of the object. An object that is too large to
/// be read stays too large.
fn unreadable(refused: Refused, message: String) -> End {
    match refused {
        Refused::TooLarge => End::UnknownForGood { message },
        Refused::Malformed
        | Refused::Forbidden
        | Refused::NotImpersonated
        | Refused::Nowhere
        | Refused::NoDryRun
        | Refused::Otherwise => End::Unknown { message, retry_after: None },
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
