//! The Pod of one attempt: how it is built.
//!
//! # Guarantees
//! - The same attempt always gives the same Pod under the same name. A second create therefore
//!   finds the Pod of the first.
//! - The Pod meets the Pod Security Standard "restricted", carries no finalizer and never blocks
//!   the deletion of its saga.
//! - The Pod of one container mounts no API token unless the step asks for it.
//! - The identity of the attempt comes last in the environment: no variable of the user can replace
//!   it.
//!
//! # Caveats
//! `activeDeadlineSeconds` is only a second safeguard. The operator measures the time limit from
//! the recorded intent. A Pod that is never scheduled has no start from which the kubelet could
//! count.

use std::time::Duration;

use k8s_openapi::{
    api::core::v1::{
        Capabilities, Container, Pod, PodSecurityContext, PodSpec, SeccompProfile, SecurityContext,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use super::fields::finishes;
use crate::{
    api::{PodAction, names::child_name},
    manifest::{pod_template::STEP_CONTAINER, resources::check_resources},
    model::saga::{Identity, ValidSaga},
    objects::{
        attempt::{deadline_seconds, identity_env, metadata},
        pod,
    },
};

/// Builds the Pod of an attempt. `timeout` is the time limit of the attempt.
///
/// # Errors
/// Returns a sentence that begins with the path within the action if [`check_resources`] rejects
/// `resources`, if [`crate::manifest::pod_template::check_template`] rejects `template`, or if
/// `template` names another ServiceAccount than the saga's.
pub fn pod(
    saga: &ValidSaga,
    identity: &Identity,
    action: &PodAction,
    timeout: Duration,
) -> Result<Pod, String> {
    if let Some(template) = &action.template {
        return pod::template::pod(saga, identity, (template, action.finishes_on_sigterm), timeout);
    }
    let spec = PodSpec {
        active_deadline_seconds: Some(deadline_seconds(timeout)),
        automount_service_account_token: token(saga, action),
        containers: vec![container(identity, action)?],
        // Otherwise every Service of the namespace adds environment variables, some hundreds in a
        // large namespace.
        enable_service_links: Some(false),
        restart_policy: Some("Never".into()),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".into(),
                ..SeccompProfile::default()
            }),
            ..PodSecurityContext::default()
        }),
        service_account_name: Some(saga.service_account.clone()),
        ..PodSpec::default()
    };
    let annotations = finishes(action.finishes_on_sigterm).map(|finishes| [finishes].into());
    let metadata = ObjectMeta { annotations, ..metadata(saga, &identity.attempt, child_name) };
    Ok(Pod { metadata, spec: Some(spec), status: None })
}

/// Returns whether the Pod mounts an API token; `None` if its ServiceAccount decides.
fn token(saga: &ValidSaga, action: &PodAction) -> Option<bool> {
    action.mount_token.or(if saga.tokens_unasked { None } else { Some(false) })
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
        // If a program writes no termination message, the end of its log shows why it failed.
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        ..Container::default()
    })
}

#[cfg(test)]
mod tests;
