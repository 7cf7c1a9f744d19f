//! A saga as the API server holds it, read in a way that cannot fail because of one bad object.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::{Saga, SagaSpec, SagaStatus, names::sha256_hex};

/// A part of a stored object: the parsed value, or the sentence that says where and why it does not parse.
pub type Part<T> = Result<T, String>;

/// A saga as stored. Spec and status are parsed apart, so that either may be malformed without taking the other, or any other saga, with it.
#[derive(Clone, Debug)]
pub struct StoredSaga {
    /// The object's metadata, without its managed fields.
    pub metadata: ObjectMeta,
    /// The specification.
    pub spec: Part<SagaSpec>,
    /// The status; the default where there is none.
    pub status: Part<SagaStatus>,
    /// What can be read all the same where the status does not parse: its message and conditions. Else the default.
    pub remains: SagaStatus,
    /// `v1:` and the hash of the raw `steps`, `params` and `idempotencyPrefix`.
    pub spec_hash: String,
}

impl<'de> Deserialize<'de> for StoredSaga {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            metadata: ObjectMeta,
            #[serde(default)]
            spec: Value,
            #[serde(default)]
            status: Value,
        }
        let Raw { mut metadata, spec, status } = Raw::deserialize(deserializer)?;
        metadata.managed_fields = None;
        let spec_hash = spec_hash(&spec);
        let mut remains = SagaStatus::default();
        let status = if status.is_null() {
            Ok(SagaStatus::default())
        } else {
            parse("status", &status).inspect_err(|_| remains = what_remains(&status))
        };
        Ok(Self { metadata, spec: parse("spec", &spec), status, remains, spec_hash })
    }
}

/// What the operator itself wrote into a status that it cannot read, so that it does not write the same again and again.
fn what_remains(status: &Value) -> SagaStatus {
    let message = status.get("message").and_then(Value::as_str).map(str::to_owned);
    let conditions = status.get("conditions").and_then(|conditions| Vec::deserialize(conditions).ok()).unwrap_or_default();
    SagaStatus { message, conditions, ..SagaStatus::default() }
}

impl Serialize for StoredSaga {
    /// The object as a status write sends it: identity, version and status. The API server ignores a spec there.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Written<'a> {
            api_version: Cow<'a, str>,
            kind: Cow<'a, str>,
            metadata: &'a ObjectMeta,
            #[serde(skip_serializing_if = "Option::is_none")]
            status: Option<&'a SagaStatus>,
        }
        let (api_version, kind) = (Saga::api_version(&()), Saga::kind(&()));
        Written { api_version, kind, metadata: &self.metadata, status: self.status.as_ref().ok() }.serialize(serializer)
    }
}

/// Parses one part and says the path of what does not fit.
fn parse<'a, T: Deserialize<'a>>(part: &str, value: &'a Value) -> Part<T> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if path == "." { format!("{part}: {inner}") } else { format!("{part}.{path}: {inner}") }
    })
}

/// The hash of what may never change, over the raw fields as stored and never over our own types, so that a newer operator with more
/// fields computes the same. `serde_json` keeps the keys of an object sorted, which makes the text canonical.
#[must_use]
pub fn spec_hash(spec: &Value) -> String {
    let pinned = json!({
        "steps": spec.get("steps"),
        "params": spec.get("params"),
        "idempotencyPrefix": spec.get("idempotencyPrefix"),
    });
    format!("v1:{}", sha256_hex(&[&pinned.to_string()]))
}

impl Resource for StoredSaga {
    type DynamicType = ();
    type Scope = k8s_openapi::NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        Saga::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        Saga::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        Saga::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        Saga::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_status_leaves_the_spec_readable() {
        let saga: StoredSaga = serde_json::from_value(json!({
            "metadata": {"name": "a"},
            "spec": {"steps": [{"name": "b", "pod": {"image": "c"}}]},
            "status": {"phase": "Nonsense", "message": "m", "conditions": [], "steps": 7},
        }))
        .unwrap();
        assert_eq!(saga.spec.unwrap().steps.len(), 1);
        assert!(saga.status.unwrap_err().starts_with("status.phase: unknown variant `Nonsense`"));
        assert_eq!(saga.remains, SagaStatus { message: Some("m".into()), ..SagaStatus::default() });
    }

    #[test]
    fn the_hash_ignores_the_order_of_keys_and_sees_the_order_of_steps() {
        let hash = |text: &str| spec_hash(&serde_json::from_str(text).unwrap());
        assert_eq!(hash(r#"{"params":{"a":1,"b":2}}"#), hash(r#"{"params":{"b":2,"a":1}}"#));
        assert_ne!(hash(r#"{"steps":[{"name":"a"},{"name":"b"}]}"#), hash(r#"{"steps":[{"name":"b"},{"name":"a"}]}"#));
        assert_eq!(hash(r#"{"maxParallel":1}"#), hash(r#"{"maxParallel":2}"#));
    }
}
