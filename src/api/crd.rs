//! The CustomResourceDefinition as it is applied to a cluster.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::Saga;

/// The definition of `sagas.saga.dev`: what the types generate, and what they cannot say.
///
/// # Errors
/// Where the generated definition is no valid CustomResourceDefinition, which a test excludes.
pub fn definition() -> Result<CustomResourceDefinition, serde_json::Error> {
    let mut crd = serde_json::to_value(Saga::crd())?;
    tidy(&mut crd);
    if let Some(status) = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/status") {
        // A saga that no operator has seen yet must read as in progress: without a status, kstatus calls it Current.
        status["default"] = json!({"observedGeneration": -1});
    }
    serde_json::from_value(crd)
}

/// Takes out what Kubernetes does not know or what would let `null` in: a pruned `null` is a field that is not set.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.remove("nullable");
            if fields.get("format").is_some_and(|format| matches!(format.as_str(), Some("uint32" | "uint64" | "uint8" | "uint16"))) {
                fields.remove("format");
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
