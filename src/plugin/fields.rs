//! Finds unknown fields. The API server rejects these fields if the client asks for strict
//! validation, as `kubectl apply` does.
//!
//! # Guarantees
//! Only the definition of the resource determines which fields are known.

use k8s_openapi::{
    apiextensions_apiserver::pkg::apis::apiextensions::v1::{
        JSONSchemaProps, JSONSchemaPropsOrArray,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::Value;

use crate::{
    api::{VERSION, crd},
    fault::Fault,
};

/// Returns a fault for each field of a saga that the definition does not have. Faults of `metadata`
/// come last.
///
/// # Errors
/// Returns an error if the definition cannot be built. A test excludes this error.
pub(super) fn unknown(saga: &Value) -> Result<Vec<Fault>, serde_json::Error> {
    let mut faults = Vec::new();
    for version in
        crd::definition()?.spec.versions.into_iter().filter(|version| version.name == VERSION)
    {
        if let Some(schema) = version.schema.and_then(|schema| schema.open_api_v3_schema) {
            walk(&schema, saga, "", &mut faults);
        }
    }
    let metadata = saga.get("metadata").unwrap_or(&Value::Null);
    // If the metadata cannot be read at all, the code that reads the saga reports the fault.
    if let (Value::Object(written), Ok(read)) =
        (metadata, serde_json::from_value::<ObjectMeta>(metadata.clone()))
    {
        let read = serde_json::to_value(read)?;
        let lost = written
            .iter()
            .filter(|(name, value)| !value.is_null() && read.get(name.as_str()).is_none());
        faults.extend(lost.map(|(name, _)| {
            Fault::new(format!("metadata.{name}"), "metadata has no such field: correct the name")
        }));
    }
    Ok(faults)
}

fn walk(schema: &JSONSchemaProps, value: &Value, path: &str, faults: &mut Vec<Fault>) {
    match (value, &schema.properties, &schema.items) {
        (Value::Object(fields), Some(known), _) => {
            let free = schema.x_kubernetes_preserve_unknown_fields.unwrap_or_default();
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                match known.get(name) {
                    Some(schema) => walk(schema, value, &path, faults),
                    // Every object has these fields; the definition of the resource does not name
                    // them.
                    None if free
                        || (path == *name
                            && ["apiVersion", "kind", "metadata"].contains(&name.as_str())) => {}
                    None => {
                        let known = known.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                        faults.push(Fault::new(
                            path,
                            format!("there is no such field: there are {known}"),
                        ));
                    }
                }
            }
        }
        (Value::Array(items), _, Some(JSONSchemaPropsOrArray::Schema(schema))) => {
            for (place, item) in items.iter().enumerate() {
                walk(schema, item, &format!("{path}[{place}]"), faults);
            }
        }
        // Either any field is allowed, or the code that reads the value checks its type.
        (_, _, _) => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use serde_json::json;

    use super::*;

    fn paths(saga: &Value) -> Vec<String> {
        unknown(saga).unwrap().into_iter().map(|fault| fault.path).collect()
    }

    #[test]
    fn a_field_that_nobody_reads_is_told_with_its_path() {
        let step = json!({"name": "a", "dependson": [], "http": {"url": "http://a", "heders": []}});
        let saga = json!({
            "kind": "Saga", "metadata": {"name": "a", "anotations": {}},
            "spec": {"stepz": 1, "steps": [step]}, "spek": {},
        });
        assert_eq!(
            paths(&saga),
            [
                "spec.steps[0].dependson",
                "spec.steps[0].http.heders",
                "spec.stepz",
                "spek",
                "metadata.anotations"
            ]
        );
    }

    #[test]
    fn what_may_have_any_fields_may() {
        let pod = json!({
            "image": "a", "resources": {"limits": {"cpu": 1}}, "env": [{"name": "A", "value": "b"}],
        });
        let steps = json!([
            {"name": "a", "pod": pod},
            {"name": "b", "http": {"url": "http://a", "body": {"any": {"thing": 1}}}},
        ]);
        let metadata = json!({"name": "a", "labels": {"a/b": "c"}, "annotations": null});
        let saga = json!({
            "apiVersion": "v1", "kind": "Saga", "metadata": metadata,
            "spec": {"params": {"any": 1}, "steps": steps},
        });
        assert!(paths(&saga).is_empty(), "{:?}", paths(&saga));
    }
}
