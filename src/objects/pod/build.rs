//! The Pod of one attempt: how it is built, and how it is known again.
//!
//! # Guarantees
//! - The same attempt always gives the same Pod under the same name, so that creating it twice
//!   meets the first one.
//! - It meets the Pod Security Standard "restricted", carries no finalizer and never blocks the
//!   deletion of its saga.
//! - The attempt's identity stands last in the environment: nothing the user writes can replace it.
//!
//! # Caveats
//! `activeDeadlineSeconds` is the second line only: the operator measures the timeout from the
//! recorded intent, and a Pod that is never scheduled has no start from which the kubelet could
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
/// A sentence that begins with the path within the action, where `resources` is not what
/// [`check_resources`] accepts, or `template` not what
/// [`crate::manifest::pod_template::check_template`] does.
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
        containers: vec![container(identity, action)?],
        // Services of the namespace would otherwise turn up as environment variables, some hundreds
        // in a large one.
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
        // A program that writes no termination message still says why it failed: by the end of its
        // log.
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        ..Container::default()
    })
}

#[cfg(test)]
mod tests;
