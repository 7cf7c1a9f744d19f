//! Gathers what there is: the children of the active attempts, in the engine's words.
//!
//! # Guarantees
//! A child is reported absent only after a live read said so.

use std::time::Instant;

use k8s_openapi::api::core::v1::Pod;

use super::{
    attempts::{AttemptKey, Known},
    context::{Context, now},
    error::Error,
};
use crate::{
    api::{
        ActiveAttempt, SagaStatus, StoredSaga,
        names::{AttemptId, child_name},
    },
    engine::{
        active_attempts,
        observed::{Absence, ChildState, Failure, Observed, Reached},
        saga::{ValidSaga, Work},
    },
    objects::{pod, pod_state},
};

/// How long a created Pod may be missing from the watch before it is looked for.
const WATCH_LAG: std::time::Duration = std::time::Duration::from_secs(5);

/// The states of all active attempts' children.
///
/// # Errors
/// Where a live read failed.
pub async fn children(context: &Context, saga: &ValidSaga, status: &SagaStatus) -> Result<Observed, Error> {
    let mut observed = Observed::new();
    let active: Vec<_> = active_attempts(status).collect();
    let ids: Vec<_> = active.iter().map(|(id, _)| id.clone()).collect();
    context.attempts.keep_only(&saga.uid, &ids);
    for (id, attempt) in active {
        let operation = saga.steps.iter().find(|step| step.name == id.step).and_then(|step| step.operation(id.direction));
        let Some(operation) = operation else { continue };
        let key = (saga.uid.clone(), id);
        let state = match operation.work {
            Work::Http(_) => request(context, &key, attempt),
            Work::Pod(_) => {
                let state = pod(context, saga, &key).await?;
                Some(context.attempts.look(&key, |known| with_reason(known, state)))
            }
        };
        if let Some(state) = state {
            observed.insert(key.1, state);
        }
    }
    Ok(observed)
}

/// The state of a request, which only this process's memory can tell; `None` where another process sent it.
fn request(context: &Context, key: &AttemptKey, attempt: &ActiveAttempt) -> Option<ChildState> {
    if attempt.executor.as_deref() != Some(&context.executor) {
        return None;
    }
    Some(context.attempts.look(key, |known| match (&known.end, known.in_flight()) {
        (Some(end), _) => end.clone(),
        (None, Some(since)) => ChildState::Active { uid: None, age: since.elapsed(), detail: "the request is under way".into() },
        (None, None) => remembered(known).unwrap_or_else(|| absent(known, false)),
    }))
}

/// The state of a Pod: from the watch, from this process's memory, or from a live read.
async fn pod(context: &Context, saga: &ValidSaga, key: &AttemptKey) -> Result<ChildState, Error> {
    let name = child_name(&saga.name, &saga.uid, &key.1);
    if let Some(end) = context.attempts.look(key, |known| known.end.clone()) {
        return Ok(end);
    }
    if let Some(pod) = context.cached_pod(&saga.namespace, &name) {
        return Ok(seen(context, key, &pod));
    }
    if let Some(state) = context.attempts.look(key, remembered) {
        return Ok(state);
    }
    match context.pods_of(&saga.namespace).get_opt(&name).await.map_err(Error::api("read a Pod"))? {
        Some(pod) => Ok(seen(context, key, &pod)),
        None => Ok(context.attempts.look(key, |known| absent(known, known.child.is_some()))),
    }
}

/// The same state; of a Pod that was ended because its time had passed it also says that, and what the Pod did or waited for: by itself it
/// would only say that it was deleted.
fn with_reason(known: &Known, mut state: ChildState) -> ChildState {
    if let (Some(detail), ChildState::Failed(Failure { message, .. }) | ChildState::Unknown { message, .. }) = (&known.overdue, &mut state)
    {
        *message = format!("did not end within its time ({detail}): {message}");
    }
    state
}

/// What memory says of a Pod that the watch does not show.
fn remembered(known: &mut Known) -> Option<ChildState> {
    if let Some(refusal) = known.refusal.as_ref().filter(|refusal| refusal.until > Instant::now()) {
        let retry_in = refusal.until.saturating_duration_since(Instant::now());
        return Some(ChildState::Refused { message: refusal.message.clone(), retry_in });
    }
    let (since, uid) = known.child.as_ref()?;
    let age = since.elapsed();
    (age < WATCH_LAG).then(|| ChildState::Active { uid: Some(uid.clone()), age, detail: "its Pod was created".into() })
}

fn absent(known: &Known, seen: bool) -> ChildState {
    ChildState::Absent(Absence { seen, refused: known.refusal.is_some(), known_for: known.first_read.elapsed() })
}

/// The state of a Pod that exists, if it is ours.
fn seen(context: &Context, key: &AttemptKey, pod: &Pod) -> ChildState {
    let (uid, attempt) = key;
    if !pod::is_ours(pod, uid, attempt) {
        return name_conflict(pod);
    }
    context.attempts.child_seen(key, pod.metadata.uid.as_deref().unwrap_or_default());
    if let Some(message) = pod_state::stuck(pod, now()) {
        return ChildState::Unknown { message, retry_after: None };
    }
    let age = context.attempts.look(key, |known| known.child.as_ref().map_or_else(Default::default, |(since, _)| since.elapsed()));
    pod_state::state(pod, age)
}

/// A Pod of another owner has the attempt's name: it is neither adopted nor touched.
pub(super) fn name_conflict(pod: &Pod) -> ChildState {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    ChildState::Failed(Failure {
        reached: Reached::Nothing,
        last: true,
        disrupted: false,
        retry_after: None,
        message: format!("NameConflict: the Pod {name} exists and is not of this attempt; delete it, then retry the step"),
    })
}

/// Whether succeeded Pods of an ended saga still exist.
pub fn leftovers(context: &Context, saga: &StoredSaga) -> Vec<std::sync::Arc<Pod>> {
    let uid = saga.metadata.uid.as_deref().unwrap_or_default();
    let finished = |pod: &Pod| {
        let owner: Option<(String, AttemptId)> = pod::attempt_of(pod);
        let succeeded = pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Succeeded");
        succeeded && owner.is_some_and(|(owner, _)| owner == uid)
    };
    context.pods.iter().flat_map(|store| store.state_filter(finished)).collect()
}
