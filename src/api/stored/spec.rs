//! What is read of a spec as it is stored, whether or not the rest of the spec can be read.

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{api::DeletionPolicy, digest::sha256_hex};

/// What a spec asks for on deletion, whatever else stands in it, however deep.
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

/// The hash of what may never change, over the raw fields as stored and never over our own types,
/// so that a newer operator with more fields computes the same. `serde_json` keeps the keys of an
/// object sorted, which makes the text canonical.
#[must_use]
pub(super) fn spec_hash(spec: &Value) -> String {
    let pinned = json!({
        "steps": spec.get("steps"),
        "params": spec.get("params"),
        "idempotencyPrefix": spec.get("idempotencyPrefix"),
    });
    format!("v1:{}", sha256_hex(&[&pinned.to_string()]))
}
