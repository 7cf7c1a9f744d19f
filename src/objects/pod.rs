//! The Pod of one attempt: how it is built, and how it is known again.
//!
//! # Guarantees
//! - The same attempt always gives the same Pod under the same name, so that creating it twice meets the first one.
//! - It meets the Pod Security Standard "restricted", carries no finalizer and never blocks the deletion of its saga.
//! - The attempt's identity stands last in the environment: nothing the user writes can replace it.
//!
//! # Caveats
//! `activeDeadlineSeconds` is the second line only: the operator measures the timeout from the recorded intent, and a Pod that is never
//! scheduled has no start from which the kubelet could count.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{
    api::core::v1::{Capabilities, Container, EnvVar, Pod, PodSecurityContext, PodSpec, SeccompProfile, SecurityContext},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::Resource;

use super::pod_template;
use crate::{
    api::{
        Direction, PodAction, Saga,
        names::{AttemptId, LABEL_ATTEMPT, LABEL_DIRECTION, LABEL_MANAGED_BY, LABEL_SAGA, LABEL_STEP, MANAGER, child_name, is_dns_label},
    },
    manifest::{
        pod_template::{DECIDES, STEP_CONTAINER},
        resources::check_resources,
    },
    model::saga::{Identity, ValidSaga},
};

/// The annotation of a Pod whose exit code 0 always means that its work is done.
pub const FINISHES: &str = "saga.dev/finishes-on-sigterm";

/// How long after the attempt's timeout the kubelet may end the Pod by itself: the operator comes first while it is there.
const DEADLINE_SLACK: Duration = Duration::from_secs(10);
/// The largest `activeDeadlineSeconds` that the API server takes.
const MAX_DEADLINE_SECONDS: i64 = i32::MAX as i64;

/// Builds the Pod of an attempt. `timeout` is the time limit of the attempt.
///
/// # Errors
/// A sentence that begins with the path within the action, where `resources` is not what [`check_resources`] accepts, or `template` not what
/// [`crate::manifest::pod_template::check_template`] does.
pub fn pod(saga: &ValidSaga, identity: &Identity, action: &PodAction, timeout: Duration) -> Result<Pod, String> {
    if let Some(template) = &action.template {
        return pod_template::pod(saga, identity, (template, action.finishes_on_sigterm), timeout);
    }
    let spec = PodSpec {
        active_deadline_seconds: Some(deadline_seconds(timeout)),
        containers: vec![container(identity, action)?],
        // Services of the namespace would otherwise turn up as environment variables, some hundreds in a large one.
        enable_service_links: Some(false),
        restart_policy: Some("Never".into()),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".into(), ..SeccompProfile::default() }),
            ..PodSecurityContext::default()
        }),
        service_account_name: Some(saga.service_account.clone()),
        ..PodSpec::default()
    };
    let annotations = finishes(action.finishes_on_sigterm).map(|finishes| [finishes].into());
    let metadata = ObjectMeta { annotations, ..metadata(saga, &identity.attempt, child_name) };
    Ok(Pod { metadata, spec: Some(spec), status: None })
}

/// The author's word that exit code 0 always means done, as an annotation, where he gives it.
pub(super) fn finishes(said: Option<bool>) -> Option<(String, String)> {
    (said == Some(true)).then(|| (FINISHES.to_owned(), "true".to_owned()))
}

/// Which attempt of which saga, as labels.
pub(super) fn labels(saga: &ValidSaga, attempt: &AttemptId) -> BTreeMap<String, String> {
    let labels = [
        (LABEL_MANAGED_BY, MANAGER.to_owned()),
        (LABEL_SAGA, saga.name.clone()),
        (LABEL_STEP, attempt.step.clone()),
        (LABEL_DIRECTION, attempt.direction.to_string()),
        (LABEL_ATTEMPT, attempt.number.to_string()),
    ];
    labels.map(|(key, value)| (key.to_owned(), value)).into()
}

/// Name, labels and owner. `named` gives the name, as [`child_name`] does.
pub(crate) fn metadata(saga: &ValidSaga, attempt: &AttemptId, named: fn(&str, &str, &AttemptId) -> String) -> ObjectMeta {
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

fn container(identity: &Identity, action: &PodAction) -> Result<Container, String> {
    let env = action.env.iter().flatten().cloned().chain(identity_env(identity)).collect();
    Ok(Container {
        name: STEP_CONTAINER.into(),
        image: action.image.clone(),
        command: action.command.clone(),
        args: action.args.clone(),
        env: Some(env),
        env_from: action.env_from.clone(),
        resources: action.resources.as_ref().map(check_resources).transpose()?,
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".into()]) }),
            ..SecurityContext::default()
        }),
        // A program that writes no termination message still says why it failed: by the end of its log.
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        ..Container::default()
    })
}

/// Who the attempt is, as environment variables.
pub(super) fn identity_env(identity: &Identity) -> [EnvVar; 7] {
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

/// The timeout in whole seconds, rounded up, with the slack; 1 to 2147483647.
pub(super) fn deadline_seconds(timeout: Duration) -> i64 {
    let whole = timeout.saturating_add(DEADLINE_SLACK);
    let seconds = whole.as_secs().saturating_add(u64::from(whole.subsec_nanos() > 0));
    i64::try_from(seconds).unwrap_or(i64::MAX).clamp(1, MAX_DEADLINE_SECONDS)
}

/// The saga that controls a Pod or a Job.
#[must_use]
pub fn saga_of(child: &impl Resource) -> Option<&OwnerReference> {
    let owner = child.meta().owner_references.iter().flatten().find(|owner| owner.controller == Some(true))?;
    let (group, _) = owner.api_version.split_once('/')?;
    (owner.kind == Saga::kind(&()) && group == Saga::group(&())).then_some(owner)
}

/// The saga's UID and the attempt that a Pod or a Job belongs to, by its controller and its labels; `None` where either is missing or malformed.
#[must_use]
pub fn attempt_of(child: &impl Resource) -> Option<(String, AttemptId)> {
    let (owner, labels) = (saga_of(child)?, child.meta().labels.as_ref()?);
    let direction = match labels.get(LABEL_DIRECTION)?.as_str() {
        "action" => Direction::Action,
        "compensation" => Direction::Compensation,
        _ => return None,
    };
    let text = labels.get(LABEL_ATTEMPT)?;
    // Only as this operator writes it: `01` would be another child with the identity of the first.
    let number = text.parse::<i64>().ok().filter(|number| *number > 0 && number.to_string() == *text)?;
    Some((owner.uid.clone(), AttemptId { step: labels.get(LABEL_STEP)?.clone(), direction, number }))
}

/// Whether a Pod or a Job that already bears the name of an attempt is that attempt's, and may be adopted: controlled by the saga with this UID,
/// and labelled with the attempt. Any other is foreign and must be left alone.
#[must_use]
pub fn is_ours(child: &impl Resource, uid: &str, attempt: &AttemptId) -> bool {
    attempt_of(child).is_some_and(|(owner, of)| owner == uid && of == *attempt)
}

/// The name of the container whose exit code is the attempt's outcome.
#[must_use]
pub fn deciding(pod: &Pod) -> &str {
    named(pod).unwrap_or(STEP_CONTAINER)
}

/// Whether the Pod was made from a template.
#[must_use]
pub fn is_of_template(pod: &Pod) -> bool {
    named(pod).is_some()
}

/// Whether exit code 0 always means that the Pod's work is done, also where something told it to go before.
#[must_use]
pub fn finishes_on_sigterm(pod: &Pod) -> bool {
    pod.metadata.annotations.as_ref().and_then(|annotations| annotations.get(FINISHES)).is_some_and(|said| said == "true")
}

/// What the annotation says, where it is the name of a container.
fn named(pod: &Pod) -> Option<&str> {
    let name = pod.metadata.annotations.as_ref()?.get(DECIDES)?;
    Some(name.as_str()).filter(|name| is_dns_label(name))
}

#[cfg(test)]
mod tests;
