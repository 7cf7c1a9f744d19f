//! Converts between JSON and CEL. All values that are stored and sent are JSON.
//!
//! # Guarantees
//! An expression reads every value as the API server would return it ([`number_as_stored`]),
//! whatever the source of the value. So a value is the same before it is stored and after. A value
//! that an expression passes through unchanged keeps the form in which it was read.

use std::collections::{BTreeMap, HashMap};

use kube::core::cel::cel::{
    Value as Cel,
    objects::{Key, Map},
};
use serde_json::{Number, Value};

use crate::api::{
    json::{number_as_stored, whole},
    rules,
};

/// Converts a JSON value into CEL. Whole numbers become `int`, as in the CEL of Kubernetes, and all
/// other numbers `double`.
pub(in crate::expression) fn into_cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::Number(number) => number_into_cel(number),
        Value::String(text) => Cel::from(text.as_str()),
        Value::Array(items) => Cel::from(items.iter().map(into_cel).collect::<Vec<_>>()),
        Value::Object(fields) => fields_into_cel(fields),
    }
}

fn number_into_cel(number: &Number) -> Cel {
    let number = rules::read_back(number.clone(), |number| number_as_stored(&number));
    match (number.as_i64(), number.as_f64()) {
        (Some(integer), _) => Cel::Int(integer),
        (None, Some(double)) => Cel::Float(double),
        (None, None) => Cel::Null,
    }
}

/// Converts a JSON object into CEL.
pub(in crate::expression) fn fields_into_cel(fields: &serde_json::Map<String, Value>) -> Cel {
    let fields: HashMap<Key, Cel> =
        fields.iter().map(|(name, value)| (Key::from(name.as_str()), into_cel(value))).collect();
    Cel::Map(Map::from(fields))
}

/// Converts a CEL value into JSON.
///
/// # Errors
/// Returns in words what JSON cannot express.
pub(in crate::expression) fn into_json(value: &Cel) -> Result<Value, String> {
    match value {
        Cel::Null => Ok(Value::Null),
        Cel::Bool(value) => Ok(Value::Bool(*value)),
        Cel::Int(number) => Ok((*number).into()),
        Cel::UInt(number) => Ok((*number).into()),
        Cel::Float(number) => number_into_json(*number)
            .map(Value::Number)
            .ok_or_else(|| "gives a number that JSON cannot hold".into()),
        Cel::String(text) => Ok(Value::String(text.to_string())),
        Cel::List(items) => items.iter().map(into_json).collect(),
        Cel::Map(map) => {
            let field = |(key, value): (&Key, &Cel)| match key {
                Key::String(name) => Ok((name.to_string(), into_json(value)?)),
                Key::Int(_) | Key::Uint(_) | Key::Bool(_) => {
                    Err("gives an object with a key that is no string".to_owned())
                }
            };
            // Goes in order, so that the same one of several faults is reported each time.
            let ordered: BTreeMap<&Key, &Cel> = map.map.iter().collect();
            ordered.into_iter().map(field).collect::<Result<_, _>>().map(Value::Object)
        }
        other => Err(format!("gives {}: write string(…) to make text of it", other.type_of())),
    }
}

/// Converts a double into a JSON number. An unsigned integer above the range of `int` is a double
/// in CEL: it becomes an unsigned integer again.
fn number_into_json(double: f64) -> Option<Number> {
    let unsigned = || whole(double).filter(|number| number.is_u64() && !number.is_i64());
    unsigned().or_else(|| Number::from_f64(double))
}

/// Returns the kind of a value in words.
pub(in crate::expression) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
