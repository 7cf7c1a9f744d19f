//! The rules on what is stored, as functions of values. Each rule has the name of the mutant that
//! breaks it.

use serde_json::Value;

use crate::api::shape::put_strangers_back;

/// Rule "unknown fields": fields that another version wrote into the status are written back.
/// `status`: the status that is written. `fields`: the fields of the other version.
pub(in crate::api) fn put_back(status: &mut Value, fields: &Value) {
    put_strangers_back(status, fields);
}

/// Rule "numbers": a value is made what the API server will return for it before anything is
/// computed from it. Then every look at the value computes the same. `as_stored` does that.
pub(crate) fn read_back<V>(value: V, as_stored: impl Fn(V) -> V) -> V {
    as_stored(value)
}
