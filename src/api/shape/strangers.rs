//! Fields and words that another version wrote.
//!
//! # Guarantees
//! The strangers of a status are taken out before the rest is read, and put back where the rest is
//! written. Each of them belongs to the entry in which it stood, and ends with that entry.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    path::{Path, short},
    schema::{KNOWN, Shape},
};

/// The conditions of this version.
const CONDITIONS: [&str; 4] = ["Accepted", "Ready", "Reconciling", "Stalled"];
/// The most strangers of a spec that are reported.
pub(super) const MOST_TOLD: usize = 20;

/// Returns the first fields and words of a spec that this version does not know, each with its
/// path.
pub(in crate::api) fn strangers_of_spec(spec: &Value) -> Vec<String> {
    let mut found = Vec::new();
    find(&KNOWN.spec, spec, &Path::root("spec"), &mut found);
    found.truncate(MOST_TOLD);
    found
}

fn find(shape: &Shape, value: &Value, at: &Path<'_>, found: &mut Vec<String>) {
    if found.len() >= MOST_TOLD {
        return;
    }
    match (shape, value) {
        (Shape::Object(fields, _), Value::Object(values)) => {
            // Null is the same as nothing.
            for (name, value) in values.iter().filter(|(_, value)| !value.is_null()) {
                let at = at.field(name);
                match fields.get(name) {
                    Some(shape) => find(shape, value, &at, found),
                    None => {
                        found.push(format!("{at} is a field that this version does not know"));
                    }
                }
            }
        }
        (Shape::Map(shape), Value::Object(values)) => {
            values.iter().for_each(|(name, value)| {
                find(shape, value, &at.field(name), found);
            });
        }
        (Shape::List(shape, _), Value::Array(values)) => {
            values.iter().enumerate().for_each(|(place, value)| {
                find(shape, value, &at.place(place), found);
            });
        }
        (Shape::Words(words), Value::String(word)) if !words.contains(word) => {
            found.push(format!("{at} is {}, a word that this version does not know", short(word)));
        }
        (Shape::ChildSpec, _) => find(&KNOWN.spec, value, at, found),
        (
            Shape::Free
            | Shape::Value
            | Shape::Words(_)
            | Shape::Object(..)
            | Shape::Map(_)
            | Shape::List(..),
            _,
        ) => {}
    }
}

/// Takes out of a status what this version does not know. Returns the fields, in their places, and
/// adds the unknown values of enumerations to `words`.
pub(in crate::api) fn take_strangers(status: &mut Value, words: &mut Vec<String>) -> Option<Value> {
    take(&KNOWN.status, status, &Path::root("status"), words)
}

fn take(shape: &Shape, value: &mut Value, at: &Path<'_>, words: &mut Vec<String>) -> Option<Value> {
    match (shape, value) {
        (Shape::Object(fields, key), Value::Object(values)) => {
            let strange: Vec<_> =
                values.keys().filter(|name| !fields.contains_key(*name)).cloned().collect();
            let mut kept: Map<_, _> =
                strange.into_iter().filter_map(|name| values.remove_entry(&name)).collect();
            for (name, value) in values.iter_mut() {
                let part =
                    fields.get(name).and_then(|shape| take(shape, value, &at.field(name), words));
                kept.extend(part.map(|part| (name.clone(), part)));
            }
            if kept.is_empty() {
                return None;
            }
            kept.extend(
                key.and_then(|key| values.get_key_value(key))
                    .map(|(key, value)| (key.clone(), value.clone())),
            );
            Some(Value::Object(kept))
        }
        (Shape::List(shape, key), Value::Array(values)) => {
            let strange = values
                .extract_if(.., |value| is_of_another_version(*key, value))
                .collect::<Vec<_>>();
            let known = values
                .iter_mut()
                .enumerate()
                .filter_map(|(place, value)| take(shape, value, &at.place(place), words));
            let kept: Vec<_> = known.chain(strange).collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        (Shape::Words(known), Value::String(word)) if !known.contains(word) => {
            words.push(format!("{at} is {}", short(word)));
            None
        }
        (
            Shape::Free
            | Shape::Value
            | Shape::Words(_)
            | Shape::Object(..)
            | Shape::Map(_)
            | Shape::List(..)
            | Shape::ChildSpec,
            _,
        ) => None,
    }
}

/// Puts back what was taken out of a status. If an entry no longer exists, what stood in the entry
/// is dropped.
pub(in crate::api) fn put_strangers_back(status: &mut Value, kept: &Value) {
    put_back(&KNOWN.status, status, kept);
}

fn put_back(shape: &Shape, value: &mut Value, kept: &Value) {
    match (shape, value, kept) {
        (Shape::Object(fields, key), Value::Object(values), Value::Object(kept)) => {
            for (name, part) in kept.iter().filter(|(name, _)| Some(name.as_str()) != *key) {
                match (fields.get(name), values.get_mut(name)) {
                    (None, _) => drop(values.insert(name.clone(), part.clone())),
                    (Some(shape), Some(value)) if is_same(shape, value, part) => {
                        put_back(shape, value, part);
                    }
                    (Some(_), _) => {}
                }
            }
        }
        (Shape::List(shape, key), Value::Array(values), Value::Array(kept)) => {
            for part in kept {
                if is_of_another_version(*key, part) {
                    values.push(part.clone());
                } else if let Some(value) =
                    values.iter_mut().find(|value| is_same_entry(*key, value, part))
                {
                    put_back(shape, value, part);
                }
            }
        }
        (_, _, _) => {}
    }
}

/// Returns whether an object is still the one from which something was taken.
fn is_same(shape: &Shape, value: &Value, part: &Value) -> bool {
    match shape {
        Shape::Object(_, key) => is_same_entry(*key, value, part),
        Shape::Free
        | Shape::Value
        | Shape::Words(_)
        | Shape::Map(_)
        | Shape::List(..)
        | Shape::ChildSpec => true,
    }
}

/// Returns whether an entry of the list of conditions has a type that this version does not write.
fn is_of_another_version(key: Option<&str>, entry: &Value) -> bool {
    let kind = entry.get("type").and_then(Value::as_str);
    key == Some("type") && kind.is_some_and(|kind| !CONDITIONS.contains(&kind))
}

fn is_same_entry(key: Option<&str>, value: &Value, part: &Value) -> bool {
    key.is_none_or(|key| are_equal(value.get(key), part.get(key)))
}

/// Returns whether two values are equal, or the same instant.
fn are_equal(one: Option<&Value>, other: Option<&Value>) -> bool {
    let instant = |value: Option<&Value>| {
        value.and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok())
    };
    one == other || instant(one).is_some_and(|one| Some(one) == instant(other))
}
