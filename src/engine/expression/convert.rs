//! Between JSON, of which everything stored and sent is made, and CEL.

use std::collections::HashMap;

use kube::core::cel::cel::{
    Value as Cel,
    objects::{Key, Map},
};
use serde_json::{Number, Value};

/// A JSON value in CEL. Whole numbers are `int`, as in the CEL of Kubernetes; those past it are `uint`, and all others `double`.
pub(super) fn into_cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => Cel::Int(number),
            (None, Some(number), _) => Cel::UInt(number),
            (None, None, Some(number)) => Cel::Float(number),
            (None, None, None) => Cel::Null,
        },
        Value::String(text) => Cel::from(text.as_str()),
        Value::Array(items) => Cel::from(items.iter().map(into_cel).collect::<Vec<_>>()),
        Value::Object(fields) => fields_into_cel(fields),
    }
}

/// An object in CEL.
pub(super) fn fields_into_cel(fields: &serde_json::Map<String, Value>) -> Cel {
    let fields: HashMap<Key, Cel> = fields.iter().map(|(name, value)| (Key::from(name.as_str()), into_cel(value))).collect();
    Cel::Map(Map::from(fields))
}

/// A CEL value in JSON.
///
/// # Errors
/// What JSON has no word for, in words.
pub(super) fn into_json(value: &Cel) -> Result<Value, String> {
    match value {
        Cel::Null => Ok(Value::Null),
        Cel::Bool(value) => Ok(Value::Bool(*value)),
        Cel::Int(number) => Ok((*number).into()),
        Cel::UInt(number) => Ok((*number).into()),
        Cel::Float(number) => Number::from_f64(*number).map(Value::Number).ok_or_else(|| "gives a number that JSON cannot hold".into()),
        Cel::String(text) => Ok(Value::String(text.to_string())),
        Cel::List(items) => items.iter().map(into_json).collect(),
        Cel::Map(map) => {
            let field = |(key, value): (&Key, &Cel)| match key {
                Key::String(name) => Ok((name.to_string(), into_json(value)?)),
                Key::Int(_) | Key::Uint(_) | Key::Bool(_) => Err("gives an object with a key that is no string".to_owned()),
            };
            map.map.iter().map(field).collect::<Result<_, _>>().map(Value::Object)
        }
        other => Err(format!("gives {}: write string(…) to make text of it", other.type_of())),
    }
}

/// What a value is, in a word.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
