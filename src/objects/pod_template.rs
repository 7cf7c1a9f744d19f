//! The pod of a template: read strictly, and made into the Pod of one attempt.
//!
//! # Guarantees
//! - A field that is no field of a Pod, and a value of a wrong type, are found with their paths, before anything runs.
//! - What the operator sets cannot be set otherwise: names, owner, labels and annotations of `saga.dev`, the identity in every container's
//!   environment, the deadline, `restartPolicy: Never` and the ServiceAccount of the saga, from which a Pod that the operator creates may
//!   borrow no more than the saga has.
//! - Where nothing is said, a Pod meets the Pod Security Standard "restricted". What goes beyond is for the API server to judge.
//!
//! # Caveats
//! The fields are those of Kubernetes 1.33, the lowest version supported: a newer one reads as a field that there is not.

use std::time::Duration;

use k8s_openapi::{
    api::core::v1::{Capabilities, Container, Pod, PodSecurityContext, PodSpec, PodTemplateSpec, SeccompProfile, SecurityContext},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::Value;

use super::{
    pod::{DECIDES, STEP_CONTAINER, deadline_seconds, identity_env, labels, metadata},
    strict,
};
use crate::{
    api::names::{LABEL_MANAGED_BY, child_name},
    fault::{Wrong, sentence, sentences, wrong},
    model::saga::{Identity, ValidSaga},
    text::excerpt,
};

/// The domain of the operator's own labels and annotations.
const OURS: &str = "saga.dev/";

/// The restart policy of a pod that runs once.
pub(super) const NEVER: &str = "Never";

/// Reads a template. Leaves that hold expressions may be missing in it.
///
/// # Errors
/// All that is wrong with it; never empty.
pub fn check_template(value: &Value) -> Result<PodTemplateSpec, Vec<Wrong>> {
    if !value.is_object() {
        return Err(wrong("template", "must be an object, such as {spec: {containers: [{name: step, image: busybox}]}}"));
    }
    let template: PodTemplateSpec = strict::read(value, "template", "Pod")?;
    let mut faults = faults_of(&template, value, "template");
    if template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()).is_some_and(|policy| policy != NEVER) {
        faults.extend(wrong("template.spec.restartPolicy", "must be Never: the step's retry says what is tried again"));
    }
    if faults.is_empty() { Ok(template) } else { Err(faults) }
}

/// What is wrong with a template that stands at `path` within the action and was read from `value`, whatever it is for.
pub(super) fn faults_of(template: &PodTemplateSpec, value: &Value, path: &str) -> Vec<Wrong> {
    let mut faults = Vec::new();
    of_metadata(value.get("metadata"), &format!("{path}.metadata"), &mut faults);
    let spec = template.spec.clone().unwrap_or_default();
    if spec.active_deadline_seconds.is_some() {
        let message = "is set by the operator: leave it out, and set the step's timeout";
        faults.extend(wrong(format!("{path}.spec.activeDeadlineSeconds"), message));
    }
    // An expression may stand for all of them.
    if spec.containers.is_empty() && value.pointer("/spec/containers").is_none_or(Value::is_array) {
        faults.extend(wrong(format!("{path}.spec.containers"), "must have at least one container"));
    }
    for (list, containers) in [("containers", &spec.containers), ("initContainers", spec.init_containers.as_ref().unwrap_or(&Vec::new()))] {
        for (place, container) in containers.iter().enumerate() {
            of_container(container, &format!("{path}.spec.{list}[{place}]"), &mut faults);
        }
    }
    faults
}

/// What a template says of its ServiceAccount, where that is not the one of the saga.
#[must_use]
pub fn check_account(template: &PodTemplateSpec, account: &str) -> Option<Wrong> {
    account_of(template, account, "template")
}

/// The same of a template that stands at `path` within the action.
pub(super) fn account_of(template: &PodTemplateSpec, account: &str, path: &str) -> Option<Wrong> {
    let spec = template.spec.as_ref()?;
    let (name, other) = [("serviceAccountName", &spec.service_account_name), ("serviceAccount", &spec.service_account)]
        .into_iter()
        .find_map(|(name, value)| value.as_deref().filter(|value| *value != account).map(|value| (name, value)))?;
    let message = format!("is {}, and the steps act as the saga's ServiceAccount {account}: leave it out", excerpt(other));
    Some((format!("{path}.spec.{name}"), message))
}

/// Builds the Pod of an attempt. `finishes`: whether exit code 0 always means done. `timeout` is the time limit of the attempt.
///
/// # Errors
/// A sentence that begins with the path within the action.
pub(super) fn pod(
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
    let spec = spec.map(|spec| PodSpec { active_deadline_seconds: Some(deadline_seconds(timeout)), ..spec });
    let named = metadata(saga, &identity.attempt, child_name);
    Ok(Pod { metadata: ObjectMeta { labels, annotations, ..named }, spec, status: None })
}

/// The template with all that the operator sets in it, except its name and its deadline.
pub(super) fn completed(saga: &ValidSaga, identity: &Identity, template: PodTemplateSpec, finishes: Option<bool>) -> PodTemplateSpec {
    let (theirs, mut spec) = (template.metadata.unwrap_or_default(), template.spec.unwrap_or_default());
    let decides = deciding(&spec).to_owned();
    let metadata = ObjectMeta {
        labels: Some(theirs.labels.into_iter().flatten().chain(labels(saga, &identity.attempt)).collect()),
        annotations: Some(
            theirs.annotations.into_iter().flatten().chain([(DECIDES.to_owned(), decides)]).chain(super::pod::finishes(finishes)).collect(),
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

/// The name of the container whose exit code is the attempt's outcome: `step`, or else the first.
fn deciding(spec: &PodSpec) -> &str {
    let step = spec.containers.iter().find(|container| container.name == STEP_CONTAINER);
    step.or(spec.containers.first()).map_or(STEP_CONTAINER, |container| &container.name)
}

/// The image of the deciding container, where a template says it.
#[must_use]
pub fn deciding_image(template: &Value) -> Option<&str> {
    let containers = template.pointer("/spec/containers")?.as_array()?;
    let step = containers.iter().find(|container| container.get("name").is_some_and(|name| name == STEP_CONTAINER));
    step.or(containers.first())?.get("image")?.as_str()
}

fn restrict_pod(context: &mut PodSecurityContext) {
    context.run_as_non_root.get_or_insert(true);
    context.seccomp_profile.get_or_insert_with(|| SeccompProfile { type_: "RuntimeDefault".into(), ..SeccompProfile::default() });
}

fn restrict(context: &mut SecurityContext) {
    let adds = |capability: &str| context.capabilities.iter().flat_map(|all| all.add.iter().flatten()).any(|added| added == capability);
    // The API server takes no `false` beside these.
    if context.privileged != Some(true) && !adds("SYS_ADMIN") && !adds("CAP_SYS_ADMIN") {
        context.allow_privilege_escalation.get_or_insert(false);
    }
    let capabilities: &mut Capabilities = context.capabilities.get_or_insert_default();
    capabilities.drop.get_or_insert_with(|| vec!["ALL".into()]);
}

/// Only labels and annotations, and none of the operator's.
pub(super) fn of_metadata(metadata: Option<&Value>, path: &str, faults: &mut Vec<Wrong>) {
    for (name, value) in metadata.and_then(Value::as_object).into_iter().flatten() {
        let path = format!("{path}.{}", excerpt(name));
        if !matches!(name.as_str(), "labels" | "annotations") && !value.is_null() {
            faults.extend(wrong(path, "is set by the operator: leave it out (labels and annotations may be set)"));
            continue;
        }
        for key in value.as_object().into_iter().flatten().map(|(key, _)| key) {
            if key.starts_with(OURS) || (name == "labels" && key == LABEL_MANAGED_BY) {
                faults.extend(wrong(format!("{path}.{}", excerpt(key)), "is set by the operator: leave it out"));
            }
        }
    }
}

fn of_container(container: &Container, path: &str, faults: &mut Vec<Wrong>) {
    for (place, variable) in container.env.iter().flatten().enumerate() {
        if variable.name.starts_with("SAGA_") {
            let message = "names that begin with SAGA_ are set by the operator: choose another name";
            faults.extend(wrong(format!("{path}.env[{place}].name"), message));
        }
    }
}

#[cfg(test)]
mod tests;
