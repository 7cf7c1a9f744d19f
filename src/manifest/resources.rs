//! The resource requests and limits of a container.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity,
};
use serde_json::Value;

use crate::text::excerpt;

/// Reads the requests and limits of a container strictly. What the API server would ignore or
/// refuse is refused here, before anything runs. A number counts as a quantity (`cpu: 1`), as in
/// Kubernetes.
///
/// # Errors
/// Returns a sentence that begins with the path (`resources.limits.cpu: …`) and says what to write
/// instead.
pub fn check_resources(value: &Value) -> Result<ResourceRequirements, String> {
    let Value::Object(fields) = value else {
        return Err("resources: must be an object, such as {requests: {cpu: 100m}, limits: \
            {memory: 128Mi}}"
            .into());
    };
    if let Some(unknown) = fields.keys().find(|key| !matches!(key.as_str(), "requests" | "limits"))
    {
        return Err(format!(
            "resources.{}: is not supported: write requests or limits",
            excerpt(unknown)
        ));
    }
    let part = |name| {
        fields
            .get(name)
            .filter(|part| !part.is_null())
            .map(|part| quantities(name, part))
            .transpose()
    };
    Ok(ResourceRequirements { claims: None, limits: part("limits")?, requests: part("requests")? })
}

/// Reads one of the two maps (`requests` or `limits`, named by `part`) from resource names to
/// quantities.
pub(in crate::manifest) fn quantities(
    part: &str,
    value: &Value,
) -> Result<BTreeMap<String, Quantity>, String> {
    let Value::Object(entries) = value else {
        return Err(format!(
            "resources.{part}: must be an object, such as {{cpu: 500m, memory: 128Mi}}"
        ));
    };
    let entry = |(name, value): (&String, &Value)| {
        let path = format!("resources.{part}.{}", excerpt(name));
        if !is_resource(name) {
            return Err(format!(
                "{path}: is no resource of a container: write cpu, memory, ephemeral-storage, \
                 hugepages-2Mi, or a name with a domain such as nvidia.com/gpu"
            ));
        }
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => String::new(),
        };
        if is_quantity(&text) {
            Ok((name.clone(), Quantity(text)))
        } else {
            Err(format!("{path}: must be a number with an optional unit, such as 2, 500m or 128Mi"))
        }
    };
    entries.iter().map(entry).collect()
}

/// Returns whether a container can have a resource of this name: a standard resource, or a resource
/// with a domain.
pub(in crate::manifest) fn is_resource(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage")
        || name.starts_with("hugepages-")
        || name.contains('/')
}

/// Returns whether the text is a quantity that is not negative, by the grammar of Kubernetes'
/// `resource.Quantity`.
pub(crate) fn is_quantity(text: &str) -> bool {
    const UNITS: [&str; 16] =
        ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let is_digit = |c: char| c.is_ascii_digit();
    let number = text.strip_prefix('+').unwrap_or(text);
    let (digits, unit) =
        number.split_at(number.find(|c: char| !is_digit(c) && c != '.').unwrap_or(number.len()));
    let exponent = || {
        unit.strip_prefix(['e', 'E'])
            .map(|power| power.strip_prefix(['+', '-']).unwrap_or(power))
            .is_some_and(|power| !power.is_empty() && power.chars().all(is_digit))
    };
    digits.contains(is_digit)
        && digits.matches('.').count() <= 1
        && (UNITS.contains(&unit) || exponent())
}
