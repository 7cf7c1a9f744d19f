//! What is read of a spec as it is stored, whether or not the rest of the spec can be read.

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{api::DeletionPolicy, digest::sha256_hex};

/// Returns the deletion policy of a spec, whatever else the spec holds and however deep it is.
pub(super) fn deletion_policy(spec: Option<&RawValue>) -> DeletionPolicy {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Policy<'a> {
        #[serde(borrow)]
        deletion_policy: Option<&'a RawValue>,
    }
    let policy =
        spec.and_then(|spec| serde_json::from_str::<Policy<'_>>(spec.get()).ok()?.deletion_policy);
    policy.and_then(|policy| serde_json::from_str(policy.get()).ok()).unwrap_or_default()
}

/// Returns the hash of the fields that may never change. It is computed from the raw fields as
/// stored and not from the types of this crate, so that a newer operator with more fields computes
/// the same hash. `serde_json` keeps the keys of an object sorted, which makes the text canonical.
#[must_use]
pub(super) fn spec_hash(spec: &Value) -> String {
    let pinned = json!({
        "steps": spec.get("steps"),
        "params": spec.get("params"),
        "idempotencyPrefix": spec.get("idempotencyPrefix"),
    });
    format!("v1:{}", sha256_hex(&[&pinned.to_string()]))
}
