//! The spec of a Job that a user wrote in full.

use k8s_openapi::{api::batch::v1::JobSpec, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde_json::Value;

use super::{
    pod_template::{NEVER, account_of, faults_of, of_metadata},
    strict,
};
use crate::fault::{Wrong, wrong};

/// The shortest `ttlSecondsAfterFinished` of a Job, in seconds. The operator may be down for a
/// while, and must still find the finished Job.
pub(in crate::manifest) const SHORTEST_TTL: i32 = 600;

/// The fields of a Job's spec that the user may not set, each with what to do instead.
pub(in crate::manifest) const TAKEN: [(&str, &str); 3] = [
    ("activeDeadlineSeconds", "is set by the operator: leave it out, and set the step's timeout"),
    ("selector", "is set by Kubernetes: leave it out"),
    ("manualSelector", "is set by Kubernetes: leave it out"),
];

/// Reads the spec of a Job. Leaves that hold expressions may be missing in `value`.
///
/// # Errors
/// Returns all faults of the spec. The list is never empty.
pub fn check_spec(value: &Value) -> Result<JobSpec, Vec<Wrong>> {
    let Some(fields) = value.as_object() else {
        return Err(wrong(
            "spec",
            "must be an object, such as {template: {spec: {containers: [{name: step, image: \
             busybox}]}}}",
        ));
    };
    let spec: JobSpec = strict::read(value, "spec", "Job")?;
    let mut faults = Vec::new();
    for (name, message) in TAKEN {
        if fields.get(name).is_some_and(|value| !value.is_null()) {
            faults.extend(wrong(format!("spec.{name}"), message));
        }
    }
    if spec.ttl_seconds_after_finished.is_some_and(|ttl| ttl < SHORTEST_TTL) {
        let message = "must be at least 600: the outcome of a Job that is deleted sooner may be \
            lost. If the field is left out, the operator deletes succeeded Jobs ten minutes after \
            the saga's end, and the others with the saga";
        faults.extend(wrong("spec.ttlSecondsAfterFinished", message));
    }
    let policy = spec.template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
    if policy.is_some_and(|policy| policy != NEVER && policy != "OnFailure") {
        faults.extend(wrong("spec.template.spec.restartPolicy", "must be Never or OnFailure"));
    }
    faults.extend(faults_of(
        &spec.template,
        value.get("template").unwrap_or(&Value::Null),
        "spec.template",
    ));
    if faults.is_empty() { Ok(spec) } else { Err(faults) }
}

/// Reads the labels and annotations of a Job.
///
/// # Errors
/// Returns all faults of the metadata. The list is never empty.
pub fn check_metadata(value: Option<&Value>) -> Result<ObjectMeta, Vec<Wrong>> {
    let Some(value) = value else { return Ok(ObjectMeta::default()) };
    let metadata = strict::read(value, "metadata", "Job")?;
    let mut faults = Vec::new();
    of_metadata(Some(value), "metadata", &mut faults);
    if faults.is_empty() { Ok(metadata) } else { Err(faults) }
}

/// Returns the fault of a Job's template that names another ServiceAccount than the saga's
/// (`account`).
#[must_use]
pub fn check_account(spec: &JobSpec, account: &str) -> Option<Wrong> {
    account_of(&spec.template, account, "spec.template")
}
