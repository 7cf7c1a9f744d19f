//! The marks of the child of one attempt: labels, name, owner and environment variables.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{
    api::core::v1::EnvVar,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::Resource;

use crate::{
    api::{
        Direction, Saga,
        names::{
            AttemptId, LABEL_ATTEMPT, LABEL_DIRECTION, LABEL_MANAGED_BY, LABEL_SAGA, LABEL_STEP,
            MANAGER,
        },
    },
    model::saga::{Identity, ValidSaga},
};

/// How long after the attempt's time limit the kubelet may end the Pod. While an operator runs, the
/// operator ends the Pod first.
pub(in crate::objects) const DEADLINE_SLACK: Duration = Duration::from_secs(10);

/// The largest `activeDeadlineSeconds` that the API server accepts.
pub(in crate::objects) const MAX_DEADLINE_SECONDS: i64 = i32::MAX as i64;

/// Returns the labels that name the saga and the attempt.
pub(in crate::objects) fn labels(
    saga: &ValidSaga,
    attempt: &AttemptId,
) -> BTreeMap<String, String> {
    let labels = [
        (LABEL_MANAGED_BY, MANAGER.to_owned()),
        (LABEL_SAGA, saga.name.clone()),
        (LABEL_STEP, attempt.step.clone()),
        (LABEL_DIRECTION, attempt.direction.to_string()),
        (LABEL_ATTEMPT, attempt.number.to_string()),
    ];
    labels.map(|(key, value)| (key.to_owned(), value)).into()
}

/// Returns the metadata of a child: name, labels and owner. `named` builds the name, for example
/// [`child_name`](crate::api::names::child_name).
pub(in crate::objects) fn metadata(
    saga: &ValidSaga,
    attempt: &AttemptId,
    named: fn(&str, &str, &AttemptId) -> String,
) -> ObjectMeta {
    ObjectMeta {
        name: Some(named(&saga.name, &saga.uid, attempt)),
        namespace: Some(saga.namespace.clone()),
        labels: Some(labels(saga, attempt)),
        owner_references: Some(vec![OwnerReference {
            api_version: Saga::api_version(&()).into_owned(),
            kind: Saga::kind(&()).into_owned(),
            name: saga.name.clone(),
            uid: saga.uid.clone(),
            controller: Some(true),
            block_owner_deletion: None,
        }]),
        ..ObjectMeta::default()
    }
}

/// Returns the identity of the attempt as environment variables.
pub(in crate::objects) fn identity_env(identity: &Identity) -> [EnvVar; 7] {
    let Identity { saga, namespace, uid, attempt, key } = identity;
    [
        ("SAGA_NAME", saga.clone()),
        ("SAGA_NAMESPACE", namespace.clone()),
        ("SAGA_UID", uid.clone()),
        ("SAGA_STEP", attempt.step.clone()),
        ("SAGA_DIRECTION", attempt.direction.to_string()),
        ("SAGA_ATTEMPT", attempt.number.to_string()),
        ("SAGA_IDEMPOTENCY_KEY", key.clone()),
    ]
    .map(|(name, value)| EnvVar { name: name.into(), value: Some(value), value_from: None })
}

/// Returns the time limit plus [`DEADLINE_SLACK`] in whole seconds, rounded up; 1 to 2147483647.
pub(in crate::objects) fn deadline_seconds(timeout: Duration) -> i64 {
    let whole = timeout.saturating_add(DEADLINE_SLACK);
    let seconds = whole.as_secs().saturating_add(u64::from(whole.subsec_nanos() > 0));
    i64::try_from(seconds).unwrap_or(i64::MAX).clamp(1, MAX_DEADLINE_SECONDS)
}

/// Returns the owner reference of the saga that controls a Pod or a Job.
#[must_use]
pub fn saga_of(child: &impl Resource) -> Option<&OwnerReference> {
    let owner = child
        .meta()
        .owner_references
        .iter()
        .flatten()
        .find(|owner| owner.controller == Some(true))?;
    let (group, _) = owner.api_version.split_once('/')?;
    (owner.kind == Saga::kind(&()) && group == Saga::group(&())).then_some(owner)
}

/// Returns the UID of the saga and the attempt to which a Pod or a Job belongs. The controller
/// reference names the saga, and the labels name the attempt. Returns `None` if either is missing
/// or malformed.
#[must_use]
pub fn attempt_of(child: &impl Resource) -> Option<(String, AttemptId)> {
    let (owner, labels) = (saga_of(child)?, child.meta().labels.as_ref()?);
    let direction = match labels.get(LABEL_DIRECTION)?.as_str() {
        "action" => Direction::Action,
        "compensation" => Direction::Compensation,
        _ => return None,
    };
    let text = labels.get(LABEL_ATTEMPT)?;
    // Accept only the form that this operator writes: `01` would be a second child with the
    // identity of child `1`.
    let number =
        text.parse::<i64>().ok().filter(|number| *number > 0 && number.to_string() == *text)?;
    Some((
        owner.uid.clone(),
        AttemptId { step: labels.get(LABEL_STEP)?.clone(), direction, number },
    ))
}

/// Returns whether a Pod or a Job with the name of an attempt belongs to the attempt and may be
/// adopted. Such a child is controlled by the saga with this UID and carries the labels of the
/// attempt. Any other object is foreign: the operator leaves it alone.
#[must_use]
pub fn is_ours(child: &impl Resource, uid: &str, attempt: &AttemptId) -> bool {
    attempt_of(child).is_some_and(|(owner, of)| owner == uid && of == *attempt)
}
