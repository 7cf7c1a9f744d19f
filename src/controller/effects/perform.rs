//! Performs what was recorded: one exhaustive match.
//!
//! # Guarantees
//! An effect leaves within two seconds of the sending of the acknowledged write that names it;
//! later, the saga is read live and the effect is dropped unless that attempt is still the active
//! one. A child of another owner is neither adopted nor touched.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use kube::{Api, api::PostParams};

use super::request::Flight;
use crate::{
    api::{
        StoredSaga,
        names::AttemptId,
        status::Keys,
        stored::{name, namespace},
    },
    clock::between,
    controller::{
        clock::now,
        cluster::{
            error::{self, Error},
            sagas::may_still_begin,
        },
        context::Context,
        effects,
        limits::slots::Slot,
        memory::attempts::AttemptKey,
        observe::object::Attempt,
        record::{self, Record},
        workload::Child,
    },
    coordination::fence::{Age, leaves_unread},
    engine::succession::Hindrance,
    model::{
        observation::{ChildState, Failure, Reached},
        plan::{Effect, Notice, StatusWrite},
        saga::{Identity, ValidSaga, Work},
    },
    objects::{
        child::{is_ours, name_conflict},
        event::event,
        job, pod,
    },
    text::bounded_line,
};

/// The most characters of an API server's message that are shown.
const MAX_REASON: usize = 300;
/// Whether the saga has to be looked at again at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// At the plan's wake-up.
    Later,
    /// Now: something was learnt that the status does not say.
    AtOnce,
}

/// One saga's effects being performed.
pub struct Performance<'a> {
    /// What every reconcile shares.
    pub context: &'a Arc<Context>,
    /// The saga as it was read.
    pub stored: &'a StoredSaga,
    /// The same, valid; `None` where only events are to be published.
    pub saga: Option<&'a ValidSaga>,
    /// The id under which this process sent requests when the plan was made; empty where it had
    /// none.
    pub executor: &'a str,
    /// What the two clocks showed when the plan was made.
    pub planned: (Timestamp, Instant),
    /// The slots that were taken for the requests that begin.
    pub slots: Mutex<HashMap<AttemptId, Slot>>,
}

/// What an attempt does that begins.
struct Beginning {
    place: usize,
    work: Option<Box<Work>>,
    /// The instant of its intent.
    intended: Timestamp,
    time_limit: Duration,
    /// The UID of the object that is deleted.
    uid: Option<String>,
    /// When the status write that names it was sent.
    written: Option<Instant>,
}

impl Performance<'_> {
    /// Performs every effect of a recorded plan; those that begin an attempt side by side.
    ///
    /// # Errors
    /// What is unfinished of the record, or the first failed live read or deletion, after all
    /// effects were tried.
    pub async fn perform(&self, record: Record) -> Result<Next, Error> {
        let Record { plan, version, written, unfinished } = record;
        // As it stands now: what was read is older than the write that may have asked for it.
        let cancelled = match &plan.status {
            Some(StatusWrite::Whole(status)) => status.cancel_requested.is_some(),
            Some(StatusWrite::Verdict(_)) | None => {
                self.stored.status.as_ref().is_ok_and(|status| status.cancel_requested.is_some())
            }
        };
        let effects = plan.into_effects();
        let done = futures::future::join_all(
            effects.into_iter().map(|effect| self.one(effect, &version, written, cancelled)),
        )
        .await;
        if let Some(error) = unfinished {
            return Err(error);
        }
        let mut next = Next::Later;
        for result in done {
            if result? == Next::AtOnce {
                next = Next::AtOnce;
            }
        }
        Ok(next)
    }

    async fn one(
        &self,
        effect: Effect,
        version: &str,
        written: Option<Instant>,
        cancelled: bool,
    ) -> Result<Next, Error> {
        match effect {
            Effect::Begin { identity, place, work, intended, time_limit, uid } => {
                let begin = Beginning { place, work, intended, time_limit, uid, written };
                self.begin(identity, begin).await
            }
            Effect::Ask { attempt, child, demand } => self.ask(attempt, &child, &demand).await,
            Effect::Stop(attempt) => self.stop(attempt, cancelled).await,
            Effect::Sweep => self.sweep().await,
            Effect::Delete => self.delete(version).await,
            Effect::Publish(notice) => self.publish(&notice).await,
            Effect::TakeAway { annotations, handled } => {
                record::take_away(self.context, self.stored, version, &annotations, handled)
                    .await?;
                Ok(Next::Later)
            }
        }
    }

    async fn begin(&self, identity: Identity, beginning: Beginning) -> Result<Next, Error> {
        let Beginning { place, work, intended, time_limit, uid, written } = beginning;
        let operation = self
            .saga
            .and_then(|saga| saga.steps.get(place))
            .and_then(|step| step.operation(identity.attempt.direction));
        let (Some(operation), Some(saga)) = (operation, self.saga) else { return Ok(Next::Later) };
        let work = work.as_deref().unwrap_or(&operation.work);
        // First: a look takes its time, and what leaves is to be fresh.
        let keys = self.look_around(saga, &identity, work).await;
        let asked = Instant::now();
        let fresh = written.filter(|at| leaves_unread(Some(at.elapsed())));
        if fresh.is_none()
            && !leaves_unread(None)
            && !may_still_begin(self.context, self.stored, &identity.attempt, uid.as_deref())
                .await?
        {
            return Ok(Next::Later);
        }
        // The UID keeps a deletion from meeting what came later.
        if !matches!(work, Work::Http(_) | Work::Delete(_)) && !self.may_leave(&identity, intended)
        {
            return Ok(Next::AtOnce);
        }
        tracing::info!(
            saga = identity.saga, namespace = identity.namespace, uid = identity.uid,
            step = identity.attempt.step, direction = %identity.attempt.direction,
            attempt = identity.attempt.number, key = identity.key, "begins"
        );
        match work {
            Work::Http(action) => {
                let (stored, account, executor) =
                    (self.stored, saga.service_account.as_str(), self.executor);
                let fresh_since = fresh.unwrap_or(asked);
                let flight = Flight { stored, account, action, time_limit, fresh_since, executor };
                Ok(self.send(&flight, identity))
            }
            Work::Pod(action) => {
                self.create(pod::build::pod(saga, &identity, action, operation.timeout), identity)
                    .await
            }
            Work::Job(action) => {
                self.create(job::build::job(saga, &identity, action, operation.timeout), identity)
                    .await
            }
            work @ (Work::Apply(_) | Work::Delete(_) | Work::Until(_)) => {
                Ok(self.begin_at_object(saga, identity, work, uid.as_deref()).await)
            }
            Work::Saga(action) => Ok(self.create_child(saga, identity, action, keys).await),
            // The next look sees the child, and asks it.
            Work::UndoSaga => Ok(Next::AtOnce),
            // States of the saga: nothing leaves for them.
            Work::Approval(_) | Work::Wait(_) => Ok(Next::Later),
        }
    }

    /// Looks at what an attempt may meet: another saga that applied the same object, or the earlier
    /// child of its step. Returns where the keys of its child go on.
    async fn look_around(
        &self,
        saga: &ValidSaga,
        identity: &Identity,
        work: &Work,
    ) -> Result<Keys, Hindrance> {
        match work {
            Work::Apply(action) => {
                self.tell_of_a_rival(saga, identity, action).await;
                Ok(Keys::new())
            }
            Work::Saga(_) => self.succession(saga, identity).await,
            Work::Pod(_)
            | Work::Job(_)
            | Work::Http(_)
            | Work::Delete(_)
            | Work::Until(_)
            | Work::UndoSaga
            | Work::Approval(_)
            | Work::Wait(_) => Ok(Keys::new()),
        }
    }

    /// Sends a request on its way in the slot that was taken for it, while the id of its intent may
    /// still send.
    fn send(&self, flight: &Flight<'_>, identity: Identity) -> Next {
        // A lapse since the plan was made: what was not sent under that id is settled by the next
        // look.
        if !self.context.own.may_send(self.executor) {
            return Next::AtOnce;
        }
        let slot =
            self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(&identity.attempt);
        effects::request::begin(self.context, flight, identity, slot);
        Next::Later
    }

    /// Applies or deletes an object, or begins to wait for it. `uid`: that of the object that is
    /// deleted.
    async fn begin_at_object(
        &self,
        saga: &ValidSaga,
        identity: Identity,
        work: &Work,
        uid: Option<&str>,
    ) -> Next {
        let key = (identity.uid, identity.attempt);
        // Known before it is written, so that what comes of it has a place.
        self.context.attempts.look(&key, |_| ());
        let at_once = Attempt { context: self.context, saga, key: &key }.begin(work, uid).await;
        if at_once { Next::AtOnce } else { Next::Later }
    }

    /// Whether the attempt is young enough for its child to be created, now that its creation
    /// leaves. Where it is not, the next look settles it.
    fn may_leave(&self, identity: &Identity, intended: Timestamp) -> bool {
        self.context.attempts.look(&(identity.uid.clone(), identity.attempt.clone()), |known| {
            let (shown, at) = self.planned;
            let age = Age {
                intended: between(intended, shown),
                known: at.saturating_duration_since(known.first_read),
            };
            age.later(at.elapsed()).may_leave(known.is_refused())
        })
    }

    /// Creates a Pod or a Job, where it could be built.
    async fn create<K: Child>(
        &self,
        built: Result<K, String>,
        identity: Identity,
    ) -> Result<Next, Error> {
        let (key, attempts): (AttemptKey, _) =
            ((identity.uid, identity.attempt), &self.context.attempts);
        let key = &key;
        let child = match built {
            Ok(child) => child,
            Err(message) => {
                attempts.ended(key, never_begun(message, true));
                return Ok(Next::AtOnce);
            }
        };
        let api = K::api(self.context, namespace(self.stored));
        // Known before it exists, so that no watch can tell of its end too early.
        attempts.look(key, |_| ());
        let source = match api.create(&PostParams::default(), &child).await {
            Ok(created) => {
                created.born(self.context);
                attempts.child_seen(key, created.meta().uid.as_deref().unwrap_or_default());
                return Ok(Next::Later);
            }
            Err(source) => source,
        };
        match refusal(&source, &K::word()) {
            Refusal::Exists => {
                let name = child.meta().name.as_deref().unwrap_or_default();
                // Gone between the two calls: the next reconcile finds out.
                let Some(existing) = api.get_opt(name).await.map_err(Error::api(K::READ))? else {
                    return Ok(Next::AtOnce);
                };
                if is_ours(&existing, &key.0, &key.1) {
                    attempts.child_seen(key, existing.meta().uid.as_deref().unwrap_or_default());
                } else {
                    attempts.ended(key, name_conflict(&existing));
                }
            }
            Refusal::Passes(message) => attempts.refused(key, message),
            // An earlier call may still have made it.
            Refusal::Final(message) if attempts.look(key, |known| known.unanswered) => {
                attempts.ended(key, ChildState::Unknown { message, retry_after: None });
            }
            Refusal::Final(message) => attempts.ended(key, never_begun(message, true)),
            // The answer was lost: it may exist. The next reconcile looks for it.
            Refusal::None => {
                attempts.unanswered(key);
                return Err(Error::Api { doing: K::CREATE, source });
            }
        }
        Ok(Next::AtOnce)
    }

    pub(crate) async fn publish(&self, notice: &Notice) -> Result<Next, Error> {
        let event = event(self.stored, &self.context.instance, notice, now());
        let api: Api<Event> = Api::namespaced(self.context.client.clone(), namespace(self.stored));
        if let Err(source) = api.create(&PostParams::default(), &event).await {
            // An event is a courtesy: the status says the same, or, where a saga goes with its
            // namespace, this line.
            let (saga, namespace, error) =
                (name(self.stored), namespace(self.stored), error::chain(&source));
            tracing::warn!(
                saga,
                namespace,
                reason = notice.reason,
                notice = notice.message,
                error,
                "cannot publish an event"
            );
        }
        Ok(Next::Later)
    }
}

/// What a failed creation means.
enum Refusal {
    /// A child of that name exists.
    Exists,
    /// The API server refused for a reason that passes.
    Passes(String),
    /// The API server refused for good.
    Final(String),
    /// Nobody can tell whether it was created.
    None,
}

/// Sorts a failed creation: what passes by itself uses up no attempt, what a person has to mend is
/// final.
fn refusal(error: &kube::Error, kind: &str) -> Refusal {
    let kube::Error::Api(status) = error else { return Refusal::None };
    let message =
        format!("the API server refused its {kind}: {}", bounded_line(&status.message, MAX_REASON));
    match status.code {
        409 if status.reason == "AlreadyExists" => Refusal::Exists,
        // 401 is about the operator's own credentials: no saga may fail because they are being
        // renewed.
        401 | 409 | 429 => Refusal::Passes(message),
        403 if status.message.contains("exceeded quota") => Refusal::Passes(message),
        // A webhook that does not answer is asked before anything is stored.
        500 if status.message.contains("failed calling webhook") => Refusal::Passes(message),
        408 => Refusal::None,
        400..=499 => Refusal::Final(message),
        _ => Refusal::None,
    }
}

pub(crate) fn never_begun(message: String, last: bool) -> ChildState {
    ChildState::Failed(Failure {
        reached: Reached::Nothing,
        last,
        exit_code: None,
        disrupted: false,
        retry_after: None,
        message,
    })
}

#[cfg(test)]
mod tests;
