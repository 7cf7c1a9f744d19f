//! Writes a plan's finalizer and status, under the saga's version that the plan rests on.
//!
//! # Guarantees
//! This module alone creates a [`Plan<Recorded>`]. Every write carries the resourceVersion that was
//! read. A conflict means that the plan rests on an old copy. The plan is then dropped; a conflict
//! is not an error.

use std::time::Instant;

use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::{
    cluster::error::{self, Error},
    parts::Parts,
};
use crate::{
    api::{
        HANDLED, RequestAction, SagaStatus, StoredSaga,
        names::{FINALIZER, MANAGER},
        stored::{name, namespace},
    },
    engine::says_the_same,
    model::plan::{Acknowledged, Finalizer, Plan, Recorded, StatusWrite},
};

/// A plan whose status is stored in the cluster.
pub struct Record {
    /// The plan, with its effects to perform.
    pub plan: Plan<Recorded>,
    /// The proof that the status is stored, with the saga's resourceVersion after the write.
    pub proof: Acknowledged,
    /// When the acknowledged status write was sent; `None` if the status was stored already. The
    /// time of the answer is not used: a process that was frozen meanwhile would take an old answer
    /// for a fresh one.
    pub written: Option<Instant>,
    /// Why the finalizer could not be removed after the status was written. The effects are due
    /// regardless.
    pub unfinished: Option<Error>,
}

/// Writes a plan's finalizer and status. Returns `None` if another write came first or the saga is
/// gone. The watch then enqueues the saga again.
///
/// # Errors
/// Returns an error if a write failed or its answer was lost. The next reconcile finds what was
/// committed.
pub async fn record(
    parts: &Parts<'_>,
    saga: &StoredSaga,
    plan: Plan,
) -> Result<Option<Record>, Error> {
    let mut version = saga.metadata.resource_version.clone().unwrap_or_default();
    let mut written_at = None;
    if plan.finalizer == Finalizer::Add {
        let Some(next) = patch_finalizers(parts, saga, &version, Finalizer::Add).await? else {
            return Ok(None);
        };
        version = next;
    }
    if let Some(write) = &plan.status {
        let sent = Instant::now();
        let reworded = is_rewording(parts, saga, write);
        let written = match write {
            StatusWrite::Whole(status) => {
                let written = replace_status(parts, saga, &version, status).await;
                if written.as_ref().is_ok_and(|written| loses(written, status))
                    && parts.cluster.definition.doubt().await
                {
                    // The served definition is older than this version.
                    parts.queue.enqueue_where(|_| true);
                }
                written
            }
            StatusWrite::Verdict(status) => patch_verdict(parts, saga, &version, status).await,
        };
        let Some(next) = outcome(parts, saga, written, "write the status")? else {
            return Ok(None);
        };
        written_at = Some(sent);
        version = next;
        if reworded {
            parts.memory.versions.note_rewording(saga.metadata.uid.as_deref().unwrap_or_default());
        }
    }
    let mut unfinished = None;
    // The precondition is the version of the terminal write, or of the copy that shows it. So no
    // other read is needed.
    if plan.finalizer == Finalizer::Remove {
        match patch_finalizers(parts, saga, &version, Finalizer::Remove).await {
            Ok(Some(next)) => version = next,
            // No status is stored that the effects could refer to.
            Ok(None) if plan.status.is_none() => return Ok(None),
            Ok(None) => tracing::debug!(
                "the finalizer is not removed yet: another write changed \
                the saga first"
            ),
            Err(error) if plan.status.is_none() => return Err(error),
            Err(error) => unfinished = Some(error),
        }
    }
    let proof = Acknowledged::by_api_server(version);
    Ok(Some(Record { plan: plan.recorded(&proof), proof, written: written_at, unfinished }))
}

/// Removes the annotations of recorded requests and writes the number up to which they are handled.
/// If another write came first, the next reconcile repeats this.
///
/// # Errors
/// Returns an error if the write failed or its answer was lost.
pub(super) async fn take_away(
    parts: &Parts<'_>,
    saga: &StoredSaga,
    version: &str,
    annotations: &[RequestAction],
    handled: i64,
) -> Result<(), Error> {
    let mut patched: serde_json::Map<_, _> =
        annotations.iter().map(|action| (action.annotation().to_owned(), Value::Null)).collect();
    patched.insert(HANDLED.into(), json!(handled.to_string()));
    let patch = json!({"metadata": {"resourceVersion": version, "annotations": patched}});
    let written = parts
        .cluster
        .sagas(namespace(saga))
        .patch(name(saga), &parameters(), &Patch::Merge(patch))
        .await;
    outcome(parts, saga, written, "take an annotation away").map(|_| ())
}

async fn replace_status(
    parts: &Parts<'_>,
    saga: &StoredSaga,
    version: &str,
    status: &SagaStatus,
) -> Result<StoredSaga, kube::Error> {
    let mut written = saga.clone();
    // Only identity and version are sent: this write does not change the metadata.
    written.metadata = kube::api::ObjectMeta {
        name: saga.metadata.name.clone(),
        namespace: saga.metadata.namespace.clone(),
        uid: saga.metadata.uid.clone(),
        resource_version: Some(version.to_owned()),
        ..Default::default()
    };
    written.status = Ok(status.clone());
    let parameters = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
    let written = parts
        .cluster
        .sagas(namespace(saga))
        .replace_status(name(saga), &parameters, &written)
        .await;
    parts.metrics.status_written(match &written {
        Ok(_) => "ok",
        Err(error) if error::is_conflict(error) => "conflict",
        Err(error) if error::is_not_found(error) => "gone",
        Err(_) => "error",
    });
    written
}

/// Returns whether a write changes only the message and conditions that another process wrote.
fn is_rewording(parts: &Parts<'_>, saga: &StoredSaga, write: &StatusWrite) -> bool {
    let metadata = &saga.metadata;
    let (uid, version) = (
        metadata.uid.as_deref().unwrap_or_default(),
        metadata.resource_version.as_deref().unwrap_or_default(),
    );
    match (&saga.status, write) {
        (Ok(old), StatusWrite::Whole(new)) => {
            says_the_same(old, new) && !parts.memory.writes.is_own(uid, version)
        }
        (Ok(_) | Err(_), _) => false,
    }
}

/// Returns whether the answer to a write lacks a field that was written.
fn loses(answer: &StoredSaga, written: &SagaStatus) -> bool {
    let Ok(stands) = &answer.status else { return false };
    stands != written && lacks(&json!(stands), &json!(written))
}

fn lacks(stands: &Value, written: &Value) -> bool {
    match (stands, written) {
        (Value::Object(stands), Value::Object(written)) => written
            .iter()
            .any(|(name, value)| stands.get(name).is_none_or(|stands| lacks(stands, value))),
        (Value::Array(stands), Value::Array(written)) => {
            stands.iter().zip(written).any(|(stands, value)| lacks(stands, value))
        }
        (_, _) => false,
    }
}

/// Writes message, conditions and observed generation. This patch is used if the rest of the stored
/// status cannot be read and must not be lost.
async fn patch_verdict(
    parts: &Parts<'_>,
    saga: &StoredSaga,
    version: &str,
    status: &SagaStatus,
) -> Result<StoredSaga, kube::Error> {
    let patch = json!({
        "metadata": {"resourceVersion": version},
        "status": {
            "observedGeneration": status.observed_generation, "message": status.message,
            "conditions": status.conditions,
        },
    });
    parts
        .cluster
        .sagas(namespace(saga))
        .patch_status(name(saga), &parameters(), &Patch::Merge(patch))
        .await
}

async fn patch_finalizers(
    parts: &Parts<'_>,
    saga: &StoredSaga,
    version: &str,
    change: Finalizer,
) -> Result<Option<String>, Error> {
    let mut finalizers = saga.metadata.finalizers.clone().unwrap_or_default();
    finalizers.retain(|finalizer| finalizer != FINALIZER);
    match change {
        Finalizer::Add => finalizers.push(FINALIZER.into()),
        Finalizer::Remove => {}
        Finalizer::Keep => return Ok(Some(version.to_owned())),
    }
    let patch = json!({"metadata": {"resourceVersion": version, "finalizers": finalizers}});
    let written = parts
        .cluster
        .sagas(namespace(saga))
        .patch(name(saga), &parameters(), &Patch::Merge(patch))
        .await;
    let patched = outcome(parts, saga, written, "patch the finalizers")?;
    if patched.is_some() && finalizers.is_empty() && saga.metadata.deletion_timestamp.is_some() {
        parts.memory.writes.gone(saga.metadata.uid.as_deref().unwrap_or_default());
    }
    Ok(patched)
}

/// Returns the version after a write; `None` if the write met a newer version or no saga.
fn outcome(
    parts: &Parts<'_>,
    saga: &StoredSaga,
    written: Result<StoredSaga, kube::Error>,
    doing: &'static str,
) -> Result<Option<String>, Error> {
    match written {
        Ok(written) => {
            let version = written.metadata.resource_version.unwrap_or_default();
            parts
                .memory
                .writes
                .acknowledged(saga.metadata.uid.as_deref().unwrap_or_default(), &version);
            Ok(Some(version))
        }
        Err(error) if error::is_conflict(&error) || error::is_not_found(&error) => Ok(None),
        Err(source) => Err(Error::Api { doing, source }),
    }
}

fn parameters() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() }
}
