//! What is seen of the object that a step applies, deletes or waits for, and what is done to it.
//!
//! # Guarantees
//! Whether an object was applied or deleted is told by the object itself, so that any process can go on where another one died: what is
//! applied names its attempt, and what is deleted is gone. A refusal that a person has to mend ends the attempt.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{
    attempts::{AttemptKey, Known},
    context::{Context, now},
    gather::{absent, remembered},
    objects::{Target, Trouble, is_of, shared, uid},
    perform::never_begun,
    secrets::Account,
};
use crate::{
    api::{ActiveAttempt, ApplyAction, ObjectRef, names::child_name},
    engine::{
        clock::between,
        fence::FRESH,
        observed::ChildState,
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
pub(super) struct Attempt<'a> {
    pub(super) context: &'a Context,
    pub(super) saga: &'a ValidSaga,
    pub(super) key: &'a AttemptKey,
}

impl Attempt<'_> {
    const fn account(&self) -> Account<'_> {
        Account { namespace: self.saga.namespace.as_str(), name: self.saga.service_account.as_str() }
    }

    /// What an object that was applied carries.
    fn mark(&self) -> String {
        child_name(&self.saga.name, &self.saga.uid, &self.key.1)
    }

    fn known<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        self.context.attempts.look(self.key, look)
    }

    /// The state, and after how long to look again.
    pub(super) async fn state(&self, work: &Work, active: &ActiveAttempt) -> (ChildState, Option<Duration>) {
        if let Some(end) = self.known(|known| known.end.clone()) {
            return (end, None);
        }
        let waited = self.known(|known| known.first_read.elapsed());
        let poll = POLLS.iter().find(|(until, _)| waited < *until).map(|(_, poll)| *poll);
        let refused = self.known(|known| known.refusal.as_ref().is_some_and(|refusal| refusal.until > Instant::now()));
        if let Some(state) = self.known(remembered).filter(|_| refused) {
            return (state, poll);
        }
        let state = match work {
            Work::Apply(action) => self.applied(action, active).await,
            Work::Delete(object) => self.deleted(object, active).await,
            Work::Until(object) => self.waited_for(object).await,
            Work::Pod(_) | Work::Job(_) | Work::Http(_) | Work::Saga(_) | Work::UndoSaga | Work::Approval(_) | Work::Wait(_) => None,
        };
        (state.unwrap_or_else(|| self.known(|known| absent(known, known.child.is_some()))), poll)
    }

    /// The object as it stands; `Err` where that ends the attempt, or cannot be told just now. `writes`: the intent of an attempt that
    /// changes the object.
    async fn read(&self, target: Target<'_>, writes: Option<&ActiveAttempt>) -> Result<Option<serde_json::Value>, ChildState> {
        self.context.objects.get(target).await.map_err(|trouble| match trouble {
            Trouble::Final(message) => {
                let written = writes.is_some_and(|active| self.known(|known| may_be_written(known, active, now())));
                let end = if written { ChildState::Unknown { message, retry_after: None } } else { never_begun(message, true) };
                self.context.attempts.ended(self.key, end.clone());
                end
            }
            Trouble::Passes(message) | Trouble::Lost(message) => {
                ChildState::Active { uid: None, age: Duration::ZERO, detail: message, trouble: None }
            }
        })
    }

    /// `None`: not applied by this attempt.
    async fn applied(&self, action: &ApplyAction, active: &ActiveAttempt) -> Option<ChildState> {
        let object = match self.read(Target::applied(self.account(), action), Some(active)).await {
            Ok(object) => object?,
            Err(state) => return Some(state),
        };
        if !is_of(&object, &self.mark()) {
            return None;
        }
        self.context.attempts.child_seen(self.key, &uid(&object));
        Some(self.there(object))
    }

    /// `None`: it is there, and nothing was done about it yet.
    async fn deleted(&self, reference: &ObjectRef, active: &ActiveAttempt) -> Option<ChildState> {
        let object = match self.read(Target::of(self.account(), reference), Some(active)).await {
            Ok(Some(object)) => object,
            Ok(None) => return Some(ChildState::Succeeded(None)),
            Err(state) => return Some(state),
        };
        let first = self.known(|known| first_seen(known, active));
        if first.is_some_and(|first| first != uid(&object)) {
            // Somebody made another one since.
            return Some(ChildState::Succeeded(None));
        }
        object.pointer("/metadata/deletionTimestamp")?;
        self.context.attempts.child_seen(self.key, &uid(&object));
        let finalizers = object.pointer("/metadata/finalizers").map(ToString::to_string).unwrap_or_default();
        let detail = format!("waits until it is gone{}{finalizers}", if finalizers.is_empty() { "" } else { ", which is up to " });
        let age = self.known(|known| known.child.as_ref().map_or(Duration::ZERO, |(since, _)| since.elapsed()));
        Some(ChildState::Active { uid: Some(uid(&object)), age, detail, trouble: None })
    }

    async fn waited_for(&self, reference: &ObjectRef) -> Option<ChildState> {
        Some(match self.read(Target::of(self.account(), reference), None).await {
            Ok(Some(object)) => {
                self.context.attempts.child_seen(self.key, &uid(&object));
                self.there(object)
            }
            Ok(None) => {
                let detail = format!("waits: there is no {} {}", reference.kind, reference.name);
                ChildState::Active { uid: None, age: Duration::ZERO, detail, trouble: None }
            }
            Err(state) => state,
        })
    }

    fn there(&self, object: serde_json::Value) -> ChildState {
        let age = self.known(|known| known.child.as_ref().map_or(Duration::ZERO, |(since, _)| since.elapsed()));
        ChildState::Object { object: shared(object), age }
    }

    /// Applies or deletes the object. Returns whether the saga is to be looked at again at once.
    pub(super) async fn begin(&self, work: &Work) -> bool {
        let done = match work {
            Work::Apply(action) => {
                let target = Target::applied(self.account(), action);
                self.context.objects.apply(target, action, &self.mark(), false).await.map(Some)
            }
            Work::Delete(object) => self.delete(object).await,
            Work::Until(_)
            | Work::Pod(_)
            | Work::Job(_)
            | Work::Http(_)
            | Work::Saga(_)
            | Work::UndoSaga
            | Work::Approval(_)
            | Work::Wait(_) => {
                return false;
            }
        };
        match done {
            Ok(Some(uid)) => self.context.attempts.child_seen(self.key, &uid),
            Ok(None) => {}
            Err(Trouble::Final(message)) => self.context.attempts.ended(self.key, never_begun(message, true)),
            Err(Trouble::Passes(message)) => self.context.attempts.refused(self.key, message),
            Err(Trouble::Lost(message)) => {
                tracing::warn!(message, "nobody can tell whether the object was written: it is looked at again");
                self.context.attempts.unanswered(self.key);
            }
        }
        true
    }

    /// Returns the UID of what was deleted; `None` where nothing was there.
    async fn delete(&self, reference: &ObjectRef) -> Result<Option<String>, Trouble> {
        let target = Target::of(self.account(), reference);
        let Some(object) = self.context.objects.get(target).await? else { return Ok(None) };
        let uid = uid(&object);
        // Before it is asked for: where the answer is lost, one that is made again under its name is left alone.
        if self.known(|known| known.condemned.get_or_insert_with(|| uid.clone()) != &uid) {
            return Ok(None);
        }
        self.context.objects.delete(target, &uid).await?;
        Ok(Some(uid))
    }
}

/// The UID of the object that a step deletes, where it is known.
fn first_seen(known: &Known, active: &ActiveAttempt) -> Option<String> {
    known.child.as_ref().map(|(_, uid)| uid).or(known.condemned.as_ref()).or(active.child_uid.as_ref()).cloned()
}

/// Whether the attempt may have changed its object: who may not look any more cannot tell what came of it. An intent that is older than what
/// this process knows of it was another one's.
fn may_be_written(known: &Known, active: &ActiveAttempt, now: Timestamp) -> bool {
    let inherited = between(active.started_at.0, now) > known.first_read.elapsed() + FRESH;
    known.child.is_some() || known.unanswered || known.condemned.is_some() || active.child_uid.is_some() || inherited
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

    use super::*;

    fn intent(child_uid: Option<&str>) -> ActiveAttempt {
        ActiveAttempt { started_at: MicroTime(now()), executor: None, child_uid: child_uid.map(Into::into), trouble: None }
    }

    #[test]
    fn who_may_not_look_any_more_cannot_tell_whether_another_process_wrote() {
        let known = Known::new();
        assert!(!may_be_written(&known, &intent(None), now()), "this process wrote the intent, and nothing since");
        assert!(may_be_written(&known, &intent(Some("uid")), now()));
        assert!(may_be_written(&known, &intent(None), now() + Duration::from_mins(1)), "an intent that was read a minute later");
        let mut asked = Known::new();
        asked.condemned = Some("uid".into());
        assert!(may_be_written(&asked, &intent(None), now()));
    }

    #[test]
    fn an_object_whose_deletion_was_asked_for_without_an_answer_is_the_one_that_is_deleted() {
        let mut known = Known::new();
        known.condemned = Some("first".into());
        assert_eq!(first_seen(&known, &intent(None)).as_deref(), Some("first"));
        assert_eq!(first_seen(&Known::new(), &intent(Some("noted"))).as_deref(), Some("noted"));
    }
}
