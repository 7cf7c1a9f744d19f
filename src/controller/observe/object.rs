//! What is seen of the object that a step applies, deletes or waits for, and what is done to it.
//!
//! # Guarantees
//! Whether an object was applied or deleted is told by the object itself, so that any process can
//! go on where another one died: what is applied names its attempt, or is known by its UID, or by
//! its fields and their manager; and what is deleted is gone. What is deleted has the UID that the
//! status names. A refusal that a person has to mend ends the attempt.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::{
    api::{ActiveAttempt, ApplyAction, ObjectRef, names::child_name},
    clock::between,
    controller::{
        clock::now,
        cluster::{
            impersonate::{Account, Target},
            objects::{mark_of, shared, uid},
            refusal::{Trouble, Unserved},
        },
        context::Context,
        effects::perform::never_begun,
        memory::{
            attempts::{AttemptKey, Known},
            remembered::{absent, backing_off, not_now},
        },
    },
    coordination::fence::FRESH,
    model::{
        observation::ChildState,
        saga::{ValidSaga, Work},
    },
};

/// How often an object is looked at: at first, and after it was waited for so long.
const POLLS: [(Duration, Duration); 3] = [
    (Duration::from_secs(10), Duration::from_secs(1)),
    (Duration::from_mins(1), Duration::from_secs(3)),
    (Duration::MAX, Duration::from_secs(10)),
];

/// One attempt at an object.
pub(crate) struct Attempt<'a> {
    pub(crate) context: &'a Context,
    pub(crate) saga: &'a ValidSaga,
    pub(crate) key: &'a AttemptKey,
}

impl Attempt<'_> {
    const fn account(&self) -> Account<'_> {
        Account {
            namespace: self.saga.namespace.as_str(),
            name: self.saga.service_account.as_str(),
        }
    }

    /// What an object that was applied carries.
    fn mark(&self) -> String {
        child_name(&self.saga.name, &self.saga.uid, &self.key.1)
    }

    fn known<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        self.context.attempts.look(self.key, look)
    }

    /// The state, and after how long to look again.
    pub(crate) async fn state(
        &self,
        work: &Work,
        active: &ActiveAttempt,
    ) -> (ChildState, Option<Duration>) {
        // The object that is deleted is named before anything leaves, and proves nothing.
        let there = matches!(work, Work::Apply(_)) && active.child_uid.is_some();
        if let Some(end) = self.known(|known| known.end(there)) {
            return (end, None);
        }
        let poll = self.poll();
        let refused = self.known(|known| {
            !known.unanswered
                && known.refusal.as_ref().is_some_and(|refusal| refusal.until > Instant::now())
        });
        let state = match work {
            // Where a UID is written somebody applied it, whatever was refused here.
            Work::Apply(_) if refused && !there => None,
            Work::Apply(action) => self.applied(action, active).await,
            // Whatever was refused: somebody else may have deleted it.
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
            self.known(|known| {
                backing_off(known)
                    .filter(|_| !there)
                    .unwrap_or_else(|| absent(known, known.child.is_some()))
            })
        };
        (state.unwrap_or_else(waits), poll)
    }

    /// After how long to look again.
    fn poll(&self) -> Option<Duration> {
        let waited = self.known(|known| known.first_read.elapsed());
        POLLS.iter().find(|(until, _)| waited < *until).map(|(_, poll)| *poll)
    }

    /// The object as it stands; `Err` where that ends the attempt, or cannot be told just now.
    async fn read(&self, target: Target<'_>) -> Result<Option<serde_json::Value>, ChildState> {
        self.context.objects.get(target).await.map_err(|trouble| self.unread(trouble, None))
    }

    /// What it means that the object cannot be read. `writes`: the intent of an attempt that
    /// applies the object.
    fn unread(&self, trouble: Trouble, writes: Option<&ActiveAttempt>) -> ChildState {
        match trouble {
            Trouble::Final(_, message) => {
                let written = writes
                    .is_some_and(|active| self.known(|known| may_be_applied(known, active, now())));
                let end = if written {
                    ChildState::Unknown { message, retry_after: None }
                } else {
                    never_begun(message, true)
                };
                self.context.attempts.ended(self.key, end.clone());
                end
            }
            Trouble::NoKind(_, message) => self.unserved(writes, message),
            Trouble::Passes(message) | Trouble::Lost(message) => not_now(message),
        }
    }

    /// What is said while there is no such kind. Where this process wrote the intent and each call
    /// of it was refused, nothing left: then its time passes as that of what was never begun.
    /// (While nobody can look for another reason, another process may have been let through.)
    fn unserved(&self, writes: Option<&ActiveAttempt>, message: String) -> ChildState {
        let retry_in = self.poll().unwrap_or_default();
        self.known(|known| match writes {
            Some(active) if known.is_refused() && !may_be_applied(known, active, now()) => {
                ChildState::Refused { message, retry_in, known_for: known.first_read.elapsed() }
            }
            _ => not_now(message),
        })
    }

    /// `None`: not applied by this attempt.
    async fn applied(&self, action: &ApplyAction, active: &ActiveAttempt) -> Option<ChildState> {
        let read =
            self.context.objects.get_applied(Target::applied(self.account(), action), action).await;
        let (object, as_applied) = match read.map_err(|trouble| self.unread(trouble, Some(active)))
        {
            Ok(object) => object?,
            Err(state) => return Some(state),
        };
        let uid = uid(&object);
        // Its mark may be gone, or another saga's by now, which applied it, too.
        let known = active.child_uid.as_ref() == Some(&uid)
            || self.known(|known| known.child.as_ref().is_some_and(|(_, child)| *child == uid));
        if !known && !as_applied && mark_of(&object) != Some(&self.mark()) {
            return None;
        }
        self.context.attempts.child_seen(self.key, &uid);
        Some(self.there(object))
    }

    /// What stands under the name, whoever made it: whether it is the one that the attempt deletes
    /// is for the engine to say.
    async fn deleted(&self, reference: &ObjectRef, active: &ActiveAttempt) -> ChildState {
        let object = match self.context.objects.get(Target::of(self.account(), reference)).await {
            Ok(Some(object)) => object,
            Ok(None) | Err(Trouble::NoKind(Unserved::Anywhere, _)) => {
                return ChildState::Succeeded(None);
            }
            // Nothing leaves before the UID is written.
            Err(Trouble::Final(_, message)) if active.child_uid.is_none() => {
                return never_begun(message, true);
            }
            Err(Trouble::Final(_, message)) => {
                return ChildState::Unknown { message, retry_after: None };
            }
            Err(
                Trouble::NoKind(Unserved::Here, message)
                | Trouble::Passes(message)
                | Trouble::Lost(message),
            ) => return not_now(message),
        };
        let uid = uid(&object);
        let deleting = object.pointer("/metadata/deletionTimestamp").is_some();
        if !deleting
            && !self.known(|known| known.child.as_ref().is_some_and(|(_, child)| *child == uid))
        {
            // A refusal speaks of the one that the status names.
            let waits = self
                .known(|known| backing_off(known))
                .filter(|_| active.child_uid.as_ref() == Some(&uid));
            let (refused, known_for) =
                self.known(|known| (known.is_refused(), known.first_read.elapsed()));
            return waits.unwrap_or(ChildState::Standing { uid, refused, known_for });
        }
        self.context.attempts.child_seen(self.key, &uid);
        let finalizers =
            object.pointer("/metadata/finalizers").map(ToString::to_string).unwrap_or_default();
        let detail = format!(
            "waits until it is gone{}{finalizers}",
            if finalizers.is_empty() { "" } else { ", which is up to " }
        );
        let age = self.known(|known| {
            known.child.as_ref().map_or(Duration::ZERO, |(since, _)| since.elapsed())
        });
        ChildState::Active { uid: Some(uid), age, detail, trouble: None }
    }

    async fn waited_for(&self, reference: &ObjectRef) -> Option<ChildState> {
        Some(match self.read(Target::of(self.account(), reference)).await {
            Ok(Some(object)) => {
                self.context.attempts.child_seen(self.key, &uid(&object));
                self.there(object)
            }
            Ok(None) => {
                not_now(format!("waits: there is no {} {}", reference.kind, reference.name))
            }
            Err(state) => state,
        })
    }

    fn there(&self, object: serde_json::Value) -> ChildState {
        let age = self.known(|known| {
            known.child.as_ref().map_or(Duration::ZERO, |(since, _)| since.elapsed())
        });
        ChildState::Object { object: shared(object), age }
    }

    /// Applies the object, or deletes the one with this UID. Returns whether the saga is to be
    /// looked at again at once.
    pub(crate) async fn begin(&self, work: &Work, uid: Option<&str>) -> bool {
        let done = match (work, uid) {
            (Work::Apply(action), _) => {
                let target = Target::applied(self.account(), action);
                self.context.objects.apply(target, action, &self.mark(), false).await
            }
            (Work::Delete(object), Some(uid)) => {
                let target = Target::of(self.account(), object);
                self.context.objects.delete(target, uid).await.map(|()| uid.to_owned())
            }
            (
                Work::Delete(_)
                | Work::Until(_)
                | Work::Pod(_)
                | Work::Job(_)
                | Work::Http(_)
                | Work::Saga(_)
                | Work::UndoSaga
                | Work::Approval(_)
                | Work::Wait(_),
                _,
            ) => return false,
        };
        let attempts = &self.context.attempts;
        match done {
            Ok(uid) => attempts.child_seen(self.key, &uid),
            Err(Trouble::Final(_, message)) if self.known(|known| known.unanswered) => {
                attempts.ended(self.key, ChildState::Unknown { message, retry_after: None });
            }
            Err(Trouble::Final(_, message)) => attempts.ended(self.key, never_begun(message, true)),
            Err(Trouble::Passes(message) | Trouble::NoKind(_, message)) => {
                attempts.refused(self.key, message);
            }
            Err(Trouble::Lost(message)) => {
                tracing::warn!(
                    message,
                    "nobody can tell whether the object was written: it is looked at again"
                );
                attempts.unanswered(self.key);
                // It is looked at now, and written again only later.
                attempts.refused(self.key, message);
            }
        }
        true
    }
}

/// Whether the attempt may have applied its object: who may not look any more cannot tell what came
/// of it. An intent that is older than what this process knows of it was another one's.
fn may_be_applied(known: &Known, active: &ActiveAttempt, now: Timestamp) -> bool {
    let inherited = between(active.started_at.0, now) > known.first_read.elapsed() + FRESH;
    known.child.is_some() || known.unanswered || active.child_uid.is_some() || inherited
}

#[cfg(test)]
mod tests;
