//! A Pod template that a user wrote in full.

use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};
use serde_json::Value;

use super::strict;
use crate::{
    api::names::LABEL_MANAGED_BY,
    fault::{Wrong, wrong},
    text::excerpt,
};

/// The name of the container whose exit code is the outcome of the attempt. If a template has no
/// container of this name, its first container decides.
pub const STEP_CONTAINER: &str = "step";

/// The annotation that names the container of a template whose exit code is the outcome of the
/// attempt.
pub const DECIDES: &str = "saga.dev/container";

/// The domain of the operator's own labels and annotations.
pub(in crate::manifest) const OURS: &str = "saga.dev/";

/// The restart policy of a Pod that runs once.
pub(crate) const NEVER: &str = "Never";

/// Reads a Pod template. Leaves that hold expressions may be missing in `value`.
///
/// # Errors
/// Returns all faults of the template. The list is never empty.
pub fn check_template(value: &Value) -> Result<PodTemplateSpec, Vec<Wrong>> {
    if !value.is_object() {
        return Err(wrong(
            "template",
            "must be an object, such as {spec: {containers: [{name: step, image: busybox}]}}",
        ));
    }
    let template: PodTemplateSpec = strict::read(value, "template", "Pod")?;
    let mut faults = faults_of(&template, value, "template");
    if template
        .spec
        .as_ref()
        .and_then(|spec| spec.restart_policy.as_deref())
        .is_some_and(|policy| policy != NEVER)
    {
        faults.extend(wrong(
            "template.spec.restartPolicy",
            "must be Never: the retry policy of the step decides about retries",
        ));
    }
    if faults.is_empty() { Ok(template) } else { Err(faults) }
}

/// Returns the faults of a template that was read from `value`, by the rules for Pods and Jobs
/// alike. `path` is the place of the template within the action.
pub(in crate::manifest) fn faults_of(
    template: &PodTemplateSpec,
    value: &Value,
    path: &str,
) -> Vec<Wrong> {
    let mut faults = Vec::new();
    of_metadata(value.get("metadata"), &format!("{path}.metadata"), &mut faults);
    let spec = template.spec.clone().unwrap_or_default();
    if spec.active_deadline_seconds.is_some() {
        let message = "is set by the operator: leave it out, and set the step's timeout";
        faults.extend(wrong(format!("{path}.spec.activeDeadlineSeconds"), message));
    }
    // An expression may stand for the whole list of containers.
    if spec.containers.is_empty() && value.pointer("/spec/containers").is_none_or(Value::is_array) {
        faults.extend(wrong(format!("{path}.spec.containers"), "must have at least one container"));
    }
    for (list, containers) in [
        ("containers", &spec.containers),
        ("initContainers", spec.init_containers.as_ref().unwrap_or(&Vec::new())),
    ] {
        for (place, container) in containers.iter().enumerate() {
            of_container(container, &format!("{path}.spec.{list}[{place}]"), &mut faults);
        }
    }
    faults
}

/// Returns the fault of a template that names another ServiceAccount than the saga's (`account`).
#[must_use]
pub fn check_account(template: &PodTemplateSpec, account: &str) -> Option<Wrong> {
    account_of(template, account, "template")
}

/// Does the same as [`check_account`] for a template at `path` within the action.
pub(in crate::manifest) fn account_of(
    template: &PodTemplateSpec,
    account: &str,
    path: &str,
) -> Option<Wrong> {
    let spec = template.spec.as_ref()?;
    let (name, other) = [
        ("serviceAccountName", &spec.service_account_name),
        ("serviceAccount", &spec.service_account),
    ]
    .into_iter()
    .find_map(|(name, value)| {
        value.as_deref().filter(|value| *value != account).map(|value| (name, value))
    })?;
    let message = format!(
        "is {}, and the steps act as the saga's ServiceAccount {account}: leave it out",
        excerpt(other)
    );
    Some((format!("{path}.spec.{name}"), message))
}

/// Returns the image of the deciding container, if the template names one.
#[must_use]
pub fn deciding_image(template: &Value) -> Option<&str> {
    let containers = template.pointer("/spec/containers")?.as_array()?;
    let step = containers
        .iter()
        .find(|container| container.get("name").is_some_and(|name| name == STEP_CONTAINER));
    step.or(containers.first())?.get("image")?.as_str()
}

/// Checks that the metadata holds only labels and annotations, and none of the operator's own.
pub(in crate::manifest) fn of_metadata(
    metadata: Option<&Value>,
    path: &str,
    faults: &mut Vec<Wrong>,
) {
    for (name, value) in metadata.and_then(Value::as_object).into_iter().flatten() {
        let path = format!("{path}.{}", excerpt(name));
        if !matches!(name.as_str(), "labels" | "annotations") && !value.is_null() {
            faults.extend(wrong(
                path,
                "is set by the operator: leave it out (labels and annotations may be set)",
            ));
            continue;
        }
        for key in value.as_object().into_iter().flatten().map(|(key, _)| key) {
            if key.starts_with(OURS) || (name == "labels" && key == LABEL_MANAGED_BY) {
                faults.extend(wrong(
                    format!("{path}.{}", excerpt(key)),
                    "is set by the operator: leave it out",
                ));
            }
        }
    }
}

pub(in crate::manifest) fn of_container(
    container: &Container,
    path: &str,
    faults: &mut Vec<Wrong>,
) {
    for (place, variable) in container.env.iter().flatten().enumerate() {
        if variable.name.starts_with("SAGA_") {
            let message =
                "names that begin with SAGA_ are set by the operator: choose another name";
            faults.extend(wrong(format!("{path}.env[{place}].name"), message));
        }
    }
}
