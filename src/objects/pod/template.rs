//! The pod template of an action: checked strictly, and completed to the Pod of one attempt.
//!
//! # Guarantees
//! - Unknown fields and values of a wrong type are reported with their paths before anything runs.
//! - A template cannot change what the operator sets: names, owner, labels and annotations of
//!   `saga.dev`, the identity in every container's environment, the deadline, `restartPolicy:
//!   Never`, and the saga's ServiceAccount. A Pod that the operator creates cannot use more rights
//!   than the saga has.
//! - A Pod meets the Pod Security Standard "restricted" unless the template says otherwise. The API
//!   server decides whether it admits a template that asks for more.
//!
//! # Caveats
//! The known fields are those of Kubernetes 1.33, the lowest supported version. A field of a newer
//! version counts as unknown.

use std::time::Duration;

use k8s_openapi::{
    api::core::v1::{
        Capabilities, Pod, PodSecurityContext, PodSpec, PodTemplateSpec, SeccompProfile,
        SecurityContext,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::Value;

use crate::{
    api::names::child_name,
    fault::{sentence, sentences},
    manifest::pod_template::{DECIDES, NEVER, STEP_CONTAINER, check_account, check_template},
    model::saga::{Identity, ValidSaga},
    objects::attempt::{deadline_seconds, identity_env, labels, metadata},
};

/// Builds the Pod of an attempt. `finishes`: whether exit code 0 always means that the work is
/// done. `timeout` is the time limit of the attempt.
///
/// # Errors
/// Returns a sentence that begins with the path within the action if [`check_template`] or
/// [`check_account`] finds a fault.
pub(in crate::objects) fn pod(
    saga: &ValidSaga,
    identity: &Identity,
    (template, finishes): (&Value, Option<bool>),
    timeout: Duration,
) -> Result<Pod, String> {
    let template = check_template(template).map_err(sentences)?;
    if let Some(wrong) = check_account(&template, &saga.service_account) {
        return Err(sentence(wrong));
    }
    let PodTemplateSpec { metadata: made, spec } = completed(saga, identity, template, finishes);
    let ObjectMeta { labels, annotations, .. } = made.unwrap_or_default();
    let spec = spec
        .map(|spec| PodSpec { active_deadline_seconds: Some(deadline_seconds(timeout)), ..spec });
    let named = metadata(saga, &identity.attempt, child_name);
    Ok(Pod { metadata: ObjectMeta { labels, annotations, ..named }, spec, status: None })
}

/// Returns the template with everything that the operator sets, except the name and the deadline.
pub(in crate::objects) fn completed(
    saga: &ValidSaga,
    identity: &Identity,
    template: PodTemplateSpec,
    finishes: Option<bool>,
) -> PodTemplateSpec {
    let (theirs, mut spec) =
        (template.metadata.unwrap_or_default(), template.spec.unwrap_or_default());
    let decides = deciding(&spec).to_owned();
    let metadata = ObjectMeta {
        labels: Some(
            theirs.labels.into_iter().flatten().chain(labels(saga, &identity.attempt)).collect(),
        ),
        annotations: Some(
            theirs
                .annotations
                .into_iter()
                .flatten()
                .chain([(DECIDES.to_owned(), decides)])
                .chain(super::fields::finishes(finishes))
                .collect(),
        ),
        ..ObjectMeta::default()
    };
    spec.enable_service_links.get_or_insert(false);
    spec.restart_policy.get_or_insert_with(|| NEVER.into());
    spec.service_account = None;
    spec.service_account_name = Some(saga.service_account.clone());
    let linux = spec.os.as_ref().is_none_or(|os| os.name != "windows");
    if linux {
        restrict_pod(spec.security_context.get_or_insert_default());
    }
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        container.env.get_or_insert_default().extend(identity_env(identity));
        container.termination_message_policy.get_or_insert_with(|| "FallbackToLogsOnError".into());
        if linux {
            restrict(container.security_context.get_or_insert_default());
        }
    }
    PodTemplateSpec { metadata: Some(metadata), spec: Some(spec) }
}

/// Returns the name of the deciding container: the container `step`, or else the first container.
fn deciding(spec: &PodSpec) -> &str {
    let step = spec.containers.iter().find(|container| container.name == STEP_CONTAINER);
    step.or(spec.containers.first()).map_or(STEP_CONTAINER, |container| &container.name)
}

fn restrict_pod(context: &mut PodSecurityContext) {
    context.run_as_non_root.get_or_insert(true);
    context.seccomp_profile.get_or_insert_with(|| SeccompProfile {
        type_: "RuntimeDefault".into(),
        ..SeccompProfile::default()
    });
}

fn restrict(context: &mut SecurityContext) {
    let adds = |capability: &str| {
        context
            .capabilities
            .iter()
            .flat_map(|all| all.add.iter().flatten())
            .any(|added| added == capability)
    };
    // The API server rejects `allowPrivilegeEscalation: false` together with these settings.
    if context.privileged != Some(true) && !adds("SYS_ADMIN") && !adds("CAP_SYS_ADMIN") {
        context.allow_privilege_escalation.get_or_insert(false);
    }
    let capabilities: &mut Capabilities = context.capabilities.get_or_insert_default();
    capabilities.drop.get_or_insert_with(|| vec!["ALL".into()]);
}

#[cfg(test)]
mod tests;
