//! A part of a stored saga: its spec or its status.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// A part of a stored object: the parsed value, or the sentence that says where and why the part
/// does not parse.
pub type Decoded<T> = Result<T, String>;

/// Returns the JSON tree of a part; null if there is none.
pub(super) fn tree(part: &str, raw: Option<&RawValue>) -> Decoded<Value> {
    raw.map_or(Ok(Value::Null), |raw| {
        serde_json::from_str(raw.get()).map_err(|error| format!("{part}: {error}"))
    })
}

/// Parses one part. The error is a sentence that names the path of the wrong value.
pub(super) fn parse<'a, T: Deserialize<'a>>(part: &str, value: &'a Value) -> Decoded<T> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if path == "." { format!("{part}: {inner}") } else { format!("{part}.{path}: {inner}") }
    })
}
