//! Child sagas: created, read, and told to follow.
//!
//! # Guarantees
//! A child is created and told something as the account of its parent, never with the operator's
//! own rights. It is read live: what is told is not told again because a copy is old. It is told
//! only while the attempt for whose sake it is told is active, or to go as a deleted parent does,
//! and under its UID. One that was never seen before is taken for the attempt's child only where it
//! acts as its parent's account: anybody may write labels and owners.

use std::time::Duration;

use kube::Resource;
use serde_json::{Value, json};

use crate::{
    api::{
        ActiveAttempt, ChildStatus, DeletionPolicy, RequestAction, RequestResult, Saga, SagaAction,
        StoredSaga,
        names::{AttemptId, child_name},
        status::{Keys, active_attempts},
        stored::{name, namespace},
    },
    controller::{
        cluster::{
            error::Error,
            impersonate::{Account, Target},
            refusal::Trouble,
            sagas::live,
        },
        context::Context,
        effects::perform::{Next, Performance, never_begun},
        memory::{
            attempts::{AttemptKey, Known},
            remembered::{absent, backing_off},
        },
    },
    engine::{report::blocked::cannot_be_told, succession::Hindrance},
    model::{
        command::Demand,
        observation::{ChildSaga, ChildState, Failure, Observed, Reached, Unheard},
        saga::{Identity, ValidSaga},
    },
    objects::{
        child::WATCH_LAG,
        child_saga::{child_saga, is_ours},
    },
};

/// How often a child is looked at although nothing tells of it: the watch may have missed that it
/// went.
const POLL: Duration = Duration::from_secs(30);

/// What a child is known by: itself, or, where it is undone, the attempt that made it.
pub(crate) struct Kin<'a> {
    pub(crate) context: &'a Context,
    pub(crate) saga: &'a ValidSaga,
    /// The active attempt.
    pub(crate) key: &'a AttemptKey,
    /// The attempt that made the child.
    pub(crate) made_by: &'a AttemptId,
    /// The child as the status of the step names it.
    pub(crate) written: Option<&'a ChildStatus>,
}

impl Kin<'_> {
    fn known<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        self.context.attempts.look(self.key, look)
    }

    /// The state of the child, and after how long to look again.
    ///
    /// # Errors
    /// Where the live read failed.
    pub(crate) async fn state(
        &self,
        active: &ActiveAttempt,
    ) -> Result<(ChildState, Option<Duration>), Error> {
        if let Some(end) = self.known(|known| known.end(active.child_uid.is_some())) {
            return Ok((end, None));
        }
        let waits = |known: &mut Known| backing_off(known).map(|waits| (waits, Some(WATCH_LAG)));
        // What was definitely refused is not there. Where an answer was lost it may be, and then
        // has to be heard of.
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

    /// The same by a live read alone. `active`: the UID that the active attempt names.
    ///
    /// # Errors
    /// Where it failed.
    async fn live(&self, active: Option<&String>) -> Result<(ChildState, Option<Duration>), Error> {
        let Self { saga, key, made_by, .. } = self;
        let name = child_name(&saga.name, &saga.uid, made_by);
        let live = self
            .context
            .sagas(&saga.namespace)
            .get_opt(&name)
            .await
            .map_err(Error::api("read a child saga"))?;
        let written = self
            .written
            .filter(|written| written.name == name)
            .and_then(|written| written.uid.as_ref());
        let Some(child) = live else {
            // One that the status names was there, whoever saw it.
            return Ok((
                self.known(|known| absent(known, known.child.is_some() || written.is_some())),
                None,
            ));
        };
        let uid = child.metadata.uid.clone().unwrap_or_default();
        // By its UID, where that is known: labels and owners can be taken away.
        let first = self.known(|known| known.child.as_ref().map(|(_, uid)| uid.clone()));
        let mut known = [first.as_ref(), active, written].into_iter().flatten().peekable();
        if known.peek().is_none() && !is_ours(&child, &key.0, made_by, &saga.service_account) {
            return Ok((foreign(&name), None));
        }
        let another = known.any(|known| *known != uid);
        if another {
            let message = format!("its child saga {name} vanished, and another one has its name");
            return Ok((ChildState::Unknown { message, retry_after: None }, None));
        }
        self.context.attempts.child_seen(key, &uid);
        let age = self.known(|known| {
            known.child.as_ref().map_or_else(Default::default, |(since, _)| since.elapsed())
        });
        let unheard = self.known(|known| known.unheard.clone());
        Ok((
            ChildState::Saga(std::sync::Arc::new(ChildSaga { age, unheard, ..seen(&child) })),
            Some(POLL),
        ))
    }
}

/// The children that a deleted saga leaves behind, as live reads show them, by the attempts that
/// made them.
///
/// # Errors
/// Where a live read failed.
pub(crate) async fn left_behind(
    context: &Context,
    saga: &ValidSaga,
    left: Vec<(AttemptId, &ChildStatus)>,
) -> Result<Observed, Error> {
    let mut observed = Observed::new();
    for (made_by, written) in left {
        let key = (saga.uid.clone(), made_by);
        let (state, _) = Kin { context, saga, key: &key, made_by: &key.1, written: Some(written) }
            .live(None)
            .await?;
        observed.insert(key.1, state);
    }
    Ok(observed)
}

/// What the engine is told of a child.
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
        message: status.unwrap_or(&child.remains).message.clone().unwrap_or_default(),
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
        held: cannot_be_told(status.unwrap_or(&child.remains)),
        cancel_asked: asked(RequestAction::Cancel).is_some()
            || status.is_some_and(|status| status.cancel_requested.is_some()),
        compensate_asked: asked(RequestAction::Compensate)
            .and_then(|asked| asked.token().map(str::to_owned)),
        refused: refused.and_then(|record| Some((record.token.clone()?, record.message.clone()))),
        unheard: Vec::new(),
    }
}

/// A saga of another owner has the child's name: it is neither adopted nor told anything.
fn foreign(name: &str) -> ChildState {
    ChildState::Failed(Failure {
        reached: Reached::Nothing,
        last: true,
        exit_code: None,
        disrupted: false,
        retry_after: None,
        message: format!(
            "NameConflict: the saga {name} exists and is not of this attempt; delete it, then \
             retry the step"
        ),
    })
}

/// What tells a child of this UID a demand, for the sake of a step of this saga.
fn patch_of(demand: &Demand, uid: &str, saga: &str, step: &str) -> Value {
    let reason = |what: &str| format!("{what} saga {saga}, step {step}");
    let annotation = |action: RequestAction, value: String| {
        json!({
            "metadata": {"uid": uid, "annotations": {action.annotation(): value}},
        })
    };
    match demand {
        Demand::Follow { suspend, deletion_policy } => {
            json!({
                "metadata": {"uid": uid},
                "spec": {"suspend": suspend, "deletionPolicy": deletion_policy},
            })
        }
        Demand::Compensate { token } => {
            annotation(RequestAction::Compensate, format!("@{token}: {}", reason("undone for")))
        }
        // A plain value: it acts once each time that it is given, and is not given again before it
        // was answered.
        Demand::Cancel => annotation(RequestAction::Cancel, reason("cancelled for")),
    }
}

/// A saga of this name, as its parent's account.
pub(crate) fn target<'a>(saga: &'a ValidSaga, name: &'a str, api_version: &'a str) -> Target<'a> {
    let account = Account { namespace: &saga.namespace, name: &saga.service_account };
    Target { account, api_version, kind: "Saga", name, namespace: Some(&saga.namespace) }
}

impl Performance<'_> {
    /// Creates the child of an attempt.
    /// `keys`: where its idempotency keys go on.
    pub(crate) async fn create_child(
        &self,
        saga: &ValidSaga,
        identity: Identity,
        action: &SagaAction,
        keys: Result<Keys, Hindrance>,
    ) -> Next {
        let suspended =
            self.stored.status.as_ref().is_ok_and(|status| status.paused.is_some()) || saga.suspend;
        let attempts = &self.context.attempts;
        let key = (identity.uid.clone(), identity.attempt.clone());
        attempts.look(&key, |_| ());
        let child = match keys {
            Ok(keys) => child_saga(saga, &identity, action, suspended, &keys),
            Err(hindrance) => {
                match hindrance {
                    Hindrance::NotEnded(message) => attempts.refused(&key, message),
                    Hindrance::Person(message) => attempts.ended(&key, never_begun(message, true)),
                }
                return Next::AtOnce;
            }
        };
        let (child_name, api_version) =
            (child_name(&saga.name, &saga.uid, &key.1), Saga::api_version(&()));
        match self
            .context
            .objects
            .create(target(saga, &child_name, &api_version), &child, false)
            .await
        {
            Ok(Some(uid)) => {
                attempts.child_seen(&key, &uid);
                return Next::Later;
            }
            // It is looked at whose it is.
            Ok(None) => {}
            // An earlier call may still have made it.
            Err(Trouble::Final(_, message)) if attempts.look(&key, |known| known.unanswered) => {
                attempts.ended(&key, ChildState::Unknown { message, retry_after: None });
            }
            Err(Trouble::Final(_, message)) => attempts.ended(&key, never_begun(message, true)),
            Err(Trouble::Passes(message) | Trouble::NoKind(_, message)) => {
                attempts.refused(&key, message);
            }
            Err(Trouble::Lost(message)) => {
                tracing::warn!(
                    message,
                    "nobody can tell whether the child saga was created: it is looked for by and by"
                );
                attempts.unanswered(&key);
                // An API server that answers nothing is not asked at once again.
                attempts.refused(&key, message);
            }
        }
        Next::AtOnce
    }

    /// Whether a live read shows that a child has still to be told this: the attempt is active for
    /// whose sake it is told, or the saga is being deleted as it was when that was decided.
    ///
    /// # Errors
    /// Where the read failed.
    async fn is_still_told(&self, attempt: &AttemptId, demand: &Demand) -> Result<bool, Error> {
        let Some(live) = live(self.context, self.stored).await? else { return Ok(false) };
        let active = live
            .status
            .as_ref()
            .is_ok_and(|status| active_attempts(status).any(|(id, _)| id == *attempt));
        let goes = live.metadata.deletion_timestamp.is_some()
            && live.deletion_policy == self.stored.deletion_policy;
        Ok(active
            || (goes
                && matches!(
                    demand,
                    Demand::Follow { deletion_policy: DeletionPolicy::Abandon, .. }
                )))
    }

    /// Tells a child something, while the attempt for whose sake it is told is active, or where the
    /// saga is being deleted.
    ///
    /// # Errors
    /// Where the live read failed.
    pub(crate) async fn ask(
        &self,
        attempt: AttemptId,
        child: &AttemptId,
        demand: &Demand,
    ) -> Result<Next, Error> {
        let Some(saga) = self.saga.filter(|saga| !saga.uid.is_empty()) else {
            return Ok(Next::Later);
        };
        if !self.is_still_told(&attempt, demand).await? {
            return Ok(Next::Later);
        }
        let key = (saga.uid.clone(), attempt);
        let uid = self
            .context
            .attempts
            .look(&key, |known| known.child.as_ref().map(|(_, uid)| uid.clone()));
        let Some(uid) = uid else { return Ok(Next::AtOnce) };
        let undoes = matches!(demand, Demand::Compensate { .. }) && key.1 != *child;
        let patch = patch_of(demand, &uid, name(self.stored), &key.1.step);
        let (child, api_version) =
            (child_name(&saga.name, &saga.uid, child), Saga::api_version(&()));
        tracing::info!(
            saga = saga.name,
            namespace = namespace(self.stored),
            child,
            ?demand,
            "tells its child saga"
        );
        let (why, refused) =
            match self.context.objects.merge(target(saga, &child, &api_version), &patch).await {
                // Or it is gone, or another one by now: the next look says so.
                Ok(_) => {
                    self.context.attempts.look(&key, |known| known.told(demand, None));
                    return Ok(Next::Later);
                }
                // A right is missing: for a person to give, and then to retry.
                Err(Trouble::Final(_, message)) if undoes => {
                    self.context.attempts.ended(&key, never_begun(message, true));
                    return Ok(Next::AtOnce);
                }
                Err(Trouble::Final(_, message)) => (message, true),
                Err(
                    Trouble::Passes(message) | Trouble::NoKind(_, message) | Trouble::Lost(message),
                ) => (message, false),
            };
        tracing::warn!(message = why, "a child saga could not be told anything: it is told again");
        // Said in the step's message, once; told again by and by.
        let unheard = Unheard { demand: demand.clone(), why, refused };
        let news = self.context.attempts.look(&key, |known| known.told(demand, Some(unheard)));
        Ok(if news { Next::AtOnce } else { Next::Later })
    }
}

#[cfg(test)]
mod tests;
