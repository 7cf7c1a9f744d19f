//! Reads a value into a type of the Kubernetes API as strictly as the API server can: a field that
//! the API server would ignore is a fault.
//!
//! The types of the Kubernetes API ignore fields that they do not know. So the value that was read
//! is serialized again and compared with the written value: a field that is lost does not exist.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::text::excerpt;

/// The most lost fields that an error names.
const NAMED: usize = 8;
/// The fields that hold quantities by name. `QUANTITIES` holds the fields that are quantities
/// themselves. Kubernetes accepts numbers for both.
const MAPS_OF_QUANTITIES: [&str; 4] = ["limits", "requests", "overhead", "capacity"];
const QUANTITIES: [&str; 2] = ["sizeLimit", "divisor"];

/// Reads the value at `path`. `kind` is the kind of object that the value belongs to, for the
/// message.
///
/// # Errors
/// Returns the paths of the faults, each with what to do. The list is never empty.
pub(in crate::manifest) fn read<T: Serialize + DeserializeOwned>(
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

/// Collects the paths of the fields that are in `written` and not in `read`. A null field counts as
/// absent.
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

/// Returns the value with each number that is a quantity turned into text.
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
