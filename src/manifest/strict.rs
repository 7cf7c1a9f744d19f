//! Reads a value into a type of the Kubernetes API as the API server does where it is asked to be
//! strict: what it would ignore is a fault.
//!
//! Those types ignore what they do not know. So what was read is written again and compared: a
//! field that got lost is none.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::text::excerpt;

/// The most lost fields that are named.
const NAMED: usize = 8;
/// Fields that hold quantities by name, and fields that are quantities: Kubernetes takes numbers
/// for them as well.
const MAPS_OF_QUANTITIES: [&str; 4] = ["limits", "requests", "overhead", "capacity"];
const QUANTITIES: [&str; 2] = ["sizeLimit", "divisor"];

/// Reads the value that stands at `path` and belongs to a kind.
///
/// # Errors
/// The paths of what is wrong, each with what to do; never empty.
pub(crate) fn read<T: Serialize + DeserializeOwned>(
    value: &Value,
    path: &str,
    kind: &str,
) -> Result<T, Vec<(String, String)>> {
    let value = with_quantities(value);
    let read: T = serde_path_to_error::deserialize(&value).map_err(|error| {
        let place = error.path().to_string();
        let at = if place == "." { path.to_owned() } else { format!("{path}.{place}") };
        vec![(at, error.into_inner().to_string())]
    })?;
    let mut lost = Vec::new();
    find_lost(&value, &serde_json::to_value(&read).unwrap_or_default(), path, &mut lost);
    if lost.is_empty() {
        return Ok(read);
    }
    lost.truncate(NAMED);
    let sentence = format!("is no field that a {kind} has here: correct its name, or take it out");
    Err(lost.into_iter().map(|path| (path, sentence.clone())).collect())
}

/// The paths of what was written and is not there any more. Null is the same as nothing.
fn find_lost(written: &Value, read: &Value, path: &str, lost: &mut Vec<String>) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            for (name, value) in written.iter().filter(|(_, value)| !value.is_null()) {
                let path = format!("{path}.{}", excerpt(name));
                match read.get(name) {
                    Some(read) => find_lost(value, read, &path, lost),
                    None => lost.push(path),
                }
            }
        }
        (Value::Array(written), Value::Array(read)) => {
            for (place, (written, read)) in written.iter().zip(read).enumerate() {
                find_lost(written, read, &format!("{path}[{place}]"), lost);
            }
        }
        _ => {}
    }
}

/// The value with text for the numbers that are quantities.
fn with_quantities(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields.iter().map(|(name, value)| (name.clone(), quantity_or(name, value))).collect(),
        ),
        Value::Array(items) => items.iter().map(with_quantities).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn quantity_or(name: &str, value: &Value) -> Value {
    let as_text = |value: &Value| {
        if value.is_number() { Value::String(value.to_string()) } else { value.clone() }
    };
    match value {
        Value::Object(by_name) if MAPS_OF_QUANTITIES.contains(&name) => by_name
            .iter()
            .map(|(name, value)| (name.clone(), as_text(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Number(_) if QUANTITIES.contains(&name) => as_text(value),
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => with_quantities(value),
    }
}
