//! Creates child sagas and sends commands to them.

use kube::Resource;
use serde_json::{Value, json};

use super::{
    performance::{Next, Performance},
    refused::{Noted, note},
};
use crate::{
    api::{
        DeletionPolicy, RequestAction, Saga, SagaAction,
        names::{AttemptId, child_name},
        status::{Keys, active_attempts},
        stored::{name, namespace},
    },
    controller::{
        cluster::{
            error::Error, impersonate::target, objects::WriteMode, refusal::ApiRefusal, sagas::live,
        },
        memory::{attempt::AttemptKey, remembered::refused_permanently},
    },
    engine::succession::Hindrance,
    model::{
        command::ChildCommand,
        observation::Undelivered,
        saga::{Identity, ValidSaga},
    },
    objects::child_saga::{ChildStart, child_saga},
};

/// Returns the patch that sends a command to the child with this UID. `saga` and `step` are the
/// parent and its step, for the reason in the request.
pub(in crate::controller) fn patch_of(
    command: &ChildCommand,
    uid: &str,
    saga: &str,
    step: &str,
) -> Value {
    let reason = |what: &str| format!("{what} saga {saga}, step {step}");
    let annotation = |action: RequestAction, value: String| {
        json!({
            "metadata": {"uid": uid, "annotations": {action.annotation(): value}},
        })
    };
    match command {
        ChildCommand::Follow { suspend, deletion_policy } => {
            json!({
                "metadata": {"uid": uid},
                "spec": {"suspend": suspend, "deletionPolicy": deletion_policy},
            })
        }
        ChildCommand::Compensate { token } => {
            annotation(RequestAction::Compensate, format!("@{token}: {}", reason("undone for")))
        }
        // The value has no token, so the child handles the annotation once each time it is set. The
        // annotation is not set again before the child has answered it.
        ChildCommand::Cancel => annotation(RequestAction::Cancel, reason("cancelled for")),
    }
}

/// Creates the child saga of an attempt. `keys`: where the idempotency keys of the child continue.
pub(in crate::controller) async fn create_child(
    performance: &Performance<'_>,
    saga: &ValidSaga,
    identity: Identity,
    action: &SagaAction,
    keys: Result<Keys, Hindrance>,
) -> Next {
    let suspended = performance.stored.status.as_ref().is_ok_and(|status| status.paused.is_some())
        || saga.suspend;
    let attempts = &performance.parts.memory.attempts;
    let key = AttemptKey::new(&identity.uid, identity.attempt.clone());
    attempts.look(&key, |_| ());
    let child = match keys {
        Ok(keys) => child_saga(saga, &identity, action, &ChildStart { suspended, keys }),
        Err(hindrance) => {
            match hindrance {
                Hindrance::NotEnded(message) => attempts.refused(&key, message),
                Hindrance::Person(message) => attempts.ended(&key, refused_permanently(message)),
            }
            return Next::AtOnce;
        }
    };
    let (child_name, api_version) =
        (child_name(&saga.name, &saga.uid, &key.attempt), Saga::api_version(&()));
    match performance
        .parts
        .cluster
        .objects
        .create(target(saga, &child_name, &api_version), &child, WriteMode::Commit)
        .await
    {
        Ok(Some(uid)) => {
            attempts.child_seen(&key, &uid);
            return Next::Later;
        }
        // A saga of this name exists. The next reconcile reads whose it is.
        Ok(None) => {}
        Err(refused) => {
            if let Noted::Lost(message) = note(attempts, &key, refused) {
                tracing::warn!(
                    message,
                    "it is unknown whether the child saga was created: a later reconcile looks for \
                     it"
                );
                // If the API server does not answer, the creation is not repeated at once.
                attempts.refused(&key, message);
            }
        }
    }
    Next::AtOnce
}

/// Returns whether a live read shows that a command must still be sent. It must if `attempt` is
/// active. A command to follow with the policy `Abandon` must also be sent if the saga is being
/// deleted under the same deletion policy as when the command was decided.
///
/// # Errors
/// If the read failed.
pub(in crate::controller) async fn must_be_sent(
    performance: &Performance<'_>,
    attempt: &AttemptId,
    command: &ChildCommand,
) -> Result<bool, Error> {
    let Some(live) = live(performance.parts.cluster, performance.stored).await? else {
        return Ok(false);
    };
    let active = live
        .status
        .as_ref()
        .is_ok_and(|status| active_attempts(status).any(|(id, _)| id == *attempt));
    let goes = live.metadata.deletion_timestamp.is_some()
        && live.deletion_policy == performance.stored.deletion_policy;
    Ok(active
        || (goes
            && matches!(
                command,
                ChildCommand::Follow { deletion_policy: DeletionPolicy::Abandon, .. }
            )))
}

/// Sends a command to a child saga, if `must_be_sent` says that it must still be sent. `attempt`:
/// the attempt for which the command is sent. `child`: the attempt that created the child.
///
/// # Errors
/// If the live read failed.
pub(in crate::controller) async fn ask(
    performance: &Performance<'_>,
    attempt: AttemptId,
    child: &AttemptId,
    command: &ChildCommand,
) -> Result<Next, Error> {
    let Some(saga) = performance.saga.filter(|saga| !saga.uid.is_empty()) else {
        return Ok(Next::Later);
    };
    if !must_be_sent(performance, &attempt, command).await? {
        return Ok(Next::Later);
    }
    let key = AttemptKey::new(&saga.uid, attempt);
    let uid = performance
        .parts
        .memory
        .attempts
        .look(&key, |known| known.child.as_ref().map(|(_, uid)| uid.clone()));
    let Some(uid) = uid else { return Ok(Next::AtOnce) };
    let undoes = matches!(command, ChildCommand::Compensate { .. }) && key.attempt != *child;
    let patch = patch_of(command, &uid, name(performance.stored), &key.attempt.step);
    let (child, api_version) = (child_name(&saga.name, &saga.uid, child), Saga::api_version(&()));
    tracing::info!(
        saga = saga.name,
        namespace = namespace(performance.stored),
        child,
        demand = ?command,
        "sends a command to the child saga"
    );
    let (why, refused) = match performance
        .parts
        .cluster
        .objects
        .merge(target(saga, &child, &api_version), &patch)
        .await
    {
        // If the child is gone, or another saga has its name, the next reconcile finds out.
        Ok(_) => {
            performance.parts.memory.attempts.look(&key, |known| known.note_command(command, None));
            return Ok(Next::Later);
        }
        // A right is missing. A user has to grant it and then retry the step.
        Err(ApiRefusal::Final(_, message)) if undoes => {
            performance.parts.memory.attempts.ended(&key, refused_permanently(message));
            return Ok(Next::AtOnce);
        }
        Err(ApiRefusal::Final(_, message)) => (message, true),
        Err(
            ApiRefusal::Passes(message)
            | ApiRefusal::NoKind(_, message)
            | ApiRefusal::Lost(message),
        ) => (message, false),
    };
    tracing::warn!(message = why, "a command to a child saga failed, and is sent again");
    // The step's message reports the failure once. The command is sent again later.
    let undelivered = Undelivered { command: command.clone(), why, refused };
    let news = performance
        .parts
        .memory
        .attempts
        .look(&key, |known| known.note_command(command, Some(undelivered)));
    Ok(if news { Next::AtOnce } else { Next::Later })
}
