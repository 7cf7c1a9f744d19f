//! Performs the effects of a recorded plan, in one exhaustive match.
//!
//! # Guarantees
//! - An effect is performed without a live read only within two seconds after the acknowledged
//!   write that names it was sent. Later, the saga is read live, and the effect is dropped unless
//!   its attempt is still active.
//! - A child of another owner is neither adopted nor changed.

use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kube::{Resource, api::PostParams};

use super::{
    child_saga,
    end::{self, StopReason},
    object,
    performance::{Next, Performance},
    publish::publish,
    refused::{Noted, note},
    request::{self, RequestContext},
    rival, succession,
};
use crate::{
    api::{status::Keys, stored::namespace},
    clock::between,
    controller::{
        cluster::{
            error::Error,
            refusal::{ApiRefusal, ErrorClass, classify},
            sagas::may_still_begin,
        },
        memory::{attempt::AttemptKey, remembered::refused_permanently},
        record::{self, Record},
        workload::Workload,
    },
    coordination::fence::{Age, is_fresh},
    engine::succession::Hindrance,
    model::{
        plan::{Effect, StatusWrite},
        saga::{Identity, ValidSaga, Work},
    },
    objects::{
        child::{is_ours, name_conflict},
        job, pod,
        stored::StoredObject,
    },
    text::bounded_line,
};

/// The most characters that a message quotes from the API server.
const MAX_REASON: usize = 300;

/// What is needed to begin an attempt.
struct BeginInput {
    work: Box<Work>,
    timeout: Duration,
    /// The instant of the intent.
    intended: Timestamp,
    time_limit: Duration,
    /// The UID of the object to delete.
    uid: Option<String>,
    /// When the status write that names the attempt was sent.
    written: Option<Instant>,
}

/// Performs every effect of a recorded plan. All effects run concurrently.
///
/// # Errors
/// Returns the error that left the record unfinished, or else the first failed live read or
/// deletion. All effects are tried before.
pub async fn perform(performance: &Performance<'_>, record: Record) -> Result<Next, Error> {
    let Record { plan, proof, written, unfinished } = record;
    // A status in the plan is newer than the status that was read, and may record the request to
    // cancel.
    let cancelled = match &plan.status {
        Some(StatusWrite::Whole(status)) => status.cancel_requested.is_some(),
        Some(StatusWrite::Verdict(_)) | None => {
            performance.stored.status.as_ref().is_ok_and(|status| status.cancel_requested.is_some())
        }
    };
    let stop_reason = if cancelled { StopReason::Cancelled } else { StopReason::Overdue };
    let effects = plan.into_effects();
    let done = futures::future::join_all(
        effects
            .into_iter()
            .map(|effect| one(performance, effect, proof.version(), written, stop_reason)),
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
    performance: &Performance<'_>,
    effect: Effect,
    version: &str,
    written: Option<Instant>,
    stop_reason: StopReason,
) -> Result<Next, Error> {
    match effect {
        Effect::Begin { identity, work, timeout, intended, time_limit, uid } => {
            let beginning = BeginInput { work, timeout, intended, time_limit, uid, written };
            begin(performance, identity, beginning).await
        }
        Effect::Ask { attempt, child, command } => {
            child_saga::ask(performance, attempt, &child, &command).await
        }
        Effect::Stop(attempt) => end::stop(performance, attempt, stop_reason).await,
        Effect::Sweep => end::delete_leftovers(performance).await,
        Effect::Delete => end::delete_saga(performance, version).await,
        Effect::Publish(notice) => publish(performance, &notice).await,
        Effect::TakeAway { annotations, handled } => {
            let (parts, stored) = (&performance.parts, performance.stored);
            record::take_away(parts, stored, version, &annotations, handled).await?;
            Ok(Next::Later)
        }
    }
}

async fn begin(
    performance: &Performance<'_>,
    identity: Identity,
    beginning: BeginInput,
) -> Result<Next, Error> {
    let BeginInput { work, timeout, intended, time_limit, uid, written } = beginning;
    let stored = performance.stored;
    // Only a plan of a valid saga begins attempts.
    let Some(saga) = performance.saga else { return Ok(Next::Later) };
    let work = work.as_ref();
    // The surroundings are read first: the reads take time, and the freshness is measured after
    // them.
    let keys = look_around(performance, saga, &identity, work).await;
    let asked = Instant::now();
    let fresh = written.filter(|at| is_fresh(Some(at.elapsed())));
    if fresh.is_none()
        && !is_fresh(None)
        && !may_still_begin(performance.parts.cluster, stored, &identity.attempt, uid.as_deref())
            .await?
    {
        return Ok(Next::Later);
    }
    // The age of a deletion is not checked: its UID protects an object that was created later.
    if !matches!(work, Work::Http(_) | Work::Delete(_))
        && !may_leave(performance, &identity, intended)
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
            let (account, executor) = (saga.service_account.as_str(), performance.executor);
            let fresh_since = fresh.unwrap_or(asked);
            let request_context =
                RequestContext { stored, account, action, time_limit, fresh_since, executor };
            Ok(send(performance, &request_context, identity))
        }
        Work::Pod(action) => {
            let pod = pod::build::pod(saga, &identity, action, timeout);
            create(performance, pod, identity).await
        }
        Work::Job(action) => {
            let job = job::build::job(saga, &identity, action, timeout);
            create(performance, job, identity).await
        }
        work @ (Work::Apply(_) | Work::Delete(_) | Work::Until(_)) => {
            let key = AttemptKey::new(identity.uid, identity.attempt);
            Ok(object::begin(performance, saga, &key, work, uid.as_deref()).await)
        }
        Work::Saga(action) => {
            Ok(child_saga::create_child(performance, saga, identity, action, keys).await)
        }
        // The next reconcile reads the child and sends the command.
        Work::UndoSaga => Ok(Next::AtOnce),
        // An approval and a wait are states of the saga. Nothing is sent for them.
        Work::Approval(_) | Work::Wait(_) => Ok(Next::Later),
    }
}

/// Reads what an attempt may collide with: another saga that applied the same object, or the
/// earlier child of the step. Returns where the keys of the attempt's child continue.
async fn look_around(
    performance: &Performance<'_>,
    saga: &ValidSaga,
    identity: &Identity,
    work: &Work,
) -> Result<Keys, Hindrance> {
    match work {
        Work::Apply(action) => {
            rival::warn_of_shared_object(performance, saga, identity, action).await;
            Ok(Keys::new())
        }
        Work::Saga(_) => succession::succession(performance, saga, identity).await,
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

/// Starts the HTTP request of an attempt in the slot that was taken for it. Starts nothing if the
/// executor of the intent may not send any more.
fn send(
    performance: &Performance<'_>,
    request_context: &RequestContext<'_>,
    identity: Identity,
) -> Next {
    // The Lease lapsed after the plan was made. The next reconcile settles the HTTP request, which
    // was not sent under that id.
    if !performance.outbound.own.may_send(performance.executor) {
        return Next::AtOnce;
    }
    let slot =
        performance.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(&identity.attempt);
    request::begin(performance, request_context, identity, slot);
    Next::Later
}

/// Returns whether the attempt is young enough for its child to be created, when the creation is
/// about to be sent. If it is not, the next reconcile settles the attempt.
fn may_leave(performance: &Performance<'_>, identity: &Identity, intended: Timestamp) -> bool {
    performance.parts.memory.attempts.look(
        &AttemptKey::new(&identity.uid, identity.attempt.clone()),
        |known| {
            let (shown, at) = performance.planned;
            let age = Age {
                intended: between(intended, shown),
                known: at.saturating_duration_since(known.first_read),
            };
            age.later(at.elapsed()).may_leave(known.is_refused())
        },
    )
}

/// Creates a Pod or a Job. If it could not be built, the attempt fails permanently.
pub(in crate::controller) async fn create<K: Workload>(
    performance: &Performance<'_>,
    built: Result<K, String>,
    identity: Identity,
) -> Result<Next, Error> {
    let (key, attempts) =
        (&AttemptKey::new(identity.uid, identity.attempt), &performance.parts.memory.attempts);
    let child = match built {
        Ok(child) => StoredObject(child),
        Err(message) => {
            attempts.ended(key, refused_permanently(message));
            return Ok(Next::AtOnce);
        }
    };
    let api = K::api(performance.parts.cluster, namespace(performance.stored));
    // The attempt is remembered before its child exists, so that the watch cannot report the end of
    // the child too early.
    attempts.look(key, |_| ());
    let source = match api.create(&PostParams::default(), &child).await {
        Ok(created) => {
            created.0.born(&performance.parts.memory.job_pods);
            attempts.child_seen(key, created.meta().uid.as_deref().unwrap_or_default());
            return Ok(Next::Later);
        }
        Err(source) => source,
    };
    if classify(&source) == ErrorClass::Exists {
        let name = child.meta().name.as_deref().unwrap_or_default();
        // The object was deleted between the two calls. The next reconcile finds out.
        let Some(existing) = api.get_opt(name).await.map_err(Error::api(K::READ))? else {
            return Ok(Next::AtOnce);
        };
        if is_ours(&existing, &key.saga_uid, &key.attempt) {
            attempts.child_seen(key, existing.meta().uid.as_deref().unwrap_or_default());
        } else {
            attempts.ended(key, name_conflict(&existing));
        }
        return Ok(Next::AtOnce);
    }
    match note(attempts, key, refusal(&source, &K::word())) {
        Noted::InMemory => Ok(Next::AtOnce),
        // The child may exist. The next reconcile looks for it.
        Noted::Lost(_) => Err(Error::Api { doing: K::CREATE, source }),
    }
}

/// Returns the meaning of a failed creation of a child of this kind. A temporary refusal uses up no
/// attempt. A refusal that a person has to correct is permanent.
fn refusal(error: &kube::Error, kind: &str) -> ApiRefusal {
    let said = if let kube::Error::Api(status) = error {
        bounded_line(&status.message, MAX_REASON)
    } else {
        String::new()
    };
    let message = format!("the API server refused its {kind}: {said}");
    match classify(error) {
        ErrorClass::Exists | ErrorClass::Conflict | ErrorClass::Passing => {
            ApiRefusal::Passes(message)
        }
        ErrorClass::Permanent(refused) => ApiRefusal::Final(refused, message),
        ErrorClass::Lost => ApiRefusal::Lost(message),
    }
}

#[cfg(test)]
mod tests;
