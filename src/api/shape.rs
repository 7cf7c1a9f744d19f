//! What a version knows of a saga: its fields, and the words that may stand in them.
//!
//! # Guarantees
//! The types alone say what is known, by the schema that is generated from them. What another
//! version wrote into a status is taken out before the rest is read, and put back where the rest is
//! written: each part of it belongs to the entry that it stood in, and goes with it.

use std::{collections::BTreeMap, fmt, sync::LazyLock};

use jiff::Timestamp;
use kube::CustomResourceExt;
use serde_json::{Map, Value};

use super::Saga;

/// The field by which an entry is known again, by the name of the list or of the field that it
/// stands in.
const KEYS: [(&str, &str); 7] = [
    ("steps", "name"),
    ("conditions", "type"),
    ("attempts", "attempt"),
    ("requests", "number"),
    ("active", "startedAt"),
    ("child", "name"),
    ("paused", "at"),
];
/// The conditions of this version.
const CONDITIONS: [&str; 4] = ["Accepted", "Ready", "Reconciling", "Stalled"];
/// The most strangers of a spec that are told.
const MOST_TOLD: usize = 20;

/// What may stand at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Anything at all.
    Free,
    /// A value without fields of its own.
    Value,
    /// One of these words.
    Words(Vec<String>),
    /// These fields, and the one by which the object is known again.
    Object(BTreeMap<String, Self>, Option<&'static str>),
    /// Any fields, each with a value of one shape.
    Map(Box<Self>),
    /// Entries of one shape, and the field by which each is known again.
    List(Box<Self>, Option<&'static str>),
    /// The spec of a child saga, in that of its parent.
    ChildSpec,
}

/// The shapes of a saga's spec and of its status, as this version has them.
#[derive(Debug)]
pub struct Known {
    /// Of the spec.
    pub spec: Shape,
    /// Of the status.
    pub status: Shape,
}

/// What this version knows.
pub static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let definition = serde_json::to_value(Saga::crd()).unwrap_or_default();
    let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties");
    let of = |part: &str| {
        schema
            .and_then(|schema| schema.get(part))
            .map_or(Shape::Free, |schema| Shape::of(part, schema))
    };
    Known { spec: of("spec"), status: of("status") }
});

impl Shape {
    /// What a schema lets stand, of the field or the list of this name.
    #[must_use]
    pub fn of(name: &str, schema: &Value) -> Self {
        let key = || KEYS.iter().find(|(list, _)| *list == name).map(|(_, key)| *key);
        let words = schema.get("enum").and_then(Value::as_array);
        if let Some(words) = words {
            return Self::Words(
                words.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            );
        }
        if let Some(items) = schema.get("items") {
            return Self::List(Box::new(Self::of(name, items)), key());
        }
        if schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true)) {
            return Self::Free;
        }
        if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
            let shape = |(field, schema): (&String, &Value)| {
                let child = name == "saga" && field == "spec";
                (field.clone(), if child { Self::ChildSpec } else { Self::of(field, schema) })
            };
            return Self::Object(fields.iter().map(shape).collect(), key());
        }
        match schema.get("additionalProperties") {
            Some(of_all @ Value::Object(_)) => Self::Map(Box::new(Self::of("", of_all))),
            Some(_) | None if schema.get("type").and_then(Value::as_str) == Some("object") => {
                Self::Object(BTreeMap::new(), None)
            }
            Some(_) | None => Self::Value,
        }
    }

    /// The fields and words of a spec that this version does not know, each with its path: the
    /// first of them.
    #[must_use]
    pub fn strangers(&self, spec: &Value) -> Vec<String> {
        let mut found = Vec::new();
        self.find_strangers(self, spec, &At { up: None, name: Name::Field("spec") }, &mut found);
        found.truncate(MOST_TOLD);
        found
    }

    fn find_strangers(&self, root: &Self, value: &Value, at: &At<'_>, found: &mut Vec<String>) {
        if found.len() >= MOST_TOLD {
            return;
        }
        match (self, value) {
            (Self::Object(fields, _), Value::Object(values)) => {
                // Null is the same as nothing.
                for (name, value) in values.iter().filter(|(_, value)| !value.is_null()) {
                    let at = at.field(name);
                    match fields.get(name) {
                        Some(shape) => shape.find_strangers(root, value, &at, found),
                        None => {
                            found.push(format!("{at} is a field that this version does not know"));
                        }
                    }
                }
            }
            (Self::Map(shape), Value::Object(values)) => {
                values.iter().for_each(|(name, value)| {
                    shape.find_strangers(root, value, &at.field(name), found);
                });
            }
            (Self::List(shape, _), Value::Array(values)) => {
                values.iter().enumerate().for_each(|(place, value)| {
                    shape.find_strangers(root, value, &at.place(place), found);
                });
            }
            (Self::Words(words), Value::String(word)) if !words.contains(word) => {
                found.push(format!(
                    "{at} is {}, a word that this version does not know",
                    short(word)
                ));
            }
            (Self::ChildSpec, _) => root.find_strangers(root, value, at, found),
            (
                Self::Free
                | Self::Value
                | Self::Words(_)
                | Self::Object(..)
                | Self::Map(_)
                | Self::List(..),
                _,
            ) => {}
        }
    }

    /// Takes out of a status what this version does not know. Returns the fields, in their places,
    /// and adds the words that stand where this version knows others.
    pub fn take_strangers(&self, status: &mut Value, words: &mut Vec<String>) -> Option<Value> {
        self.take(status, &At { up: None, name: Name::Field("status") }, words)
    }

    fn take(&self, value: &mut Value, at: &At<'_>, words: &mut Vec<String>) -> Option<Value> {
        match (self, value) {
            (Self::Object(fields, key), Value::Object(values)) => {
                let strange: Vec<_> =
                    values.keys().filter(|name| !fields.contains_key(*name)).cloned().collect();
                let mut kept: Map<_, _> =
                    strange.into_iter().filter_map(|name| values.remove_entry(&name)).collect();
                for (name, value) in values.iter_mut() {
                    let part = fields
                        .get(name)
                        .and_then(|shape| shape.take(value, &at.field(name), words));
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
            (Self::List(shape, key), Value::Array(values)) => {
                let strange = values
                    .extract_if(.., |value| is_of_another_version(*key, value))
                    .collect::<Vec<_>>();
                let known = values
                    .iter_mut()
                    .enumerate()
                    .filter_map(|(place, value)| shape.take(value, &at.place(place), words));
                let kept: Vec<_> = known.chain(strange).collect();
                (!kept.is_empty()).then_some(Value::Array(kept))
            }
            (Self::Words(known), Value::String(word)) if !known.contains(word) => {
                words.push(format!("{at} is {}", short(word)));
                None
            }
            (
                Self::Free
                | Self::Value
                | Self::Words(_)
                | Self::Object(..)
                | Self::Map(_)
                | Self::List(..)
                | Self::ChildSpec,
                _,
            ) => None,
        }
    }

    /// Puts back what was taken out. What stood in an entry that is gone is gone with it.
    pub fn put_back(&self, value: &mut Value, kept: &Value) {
        match (self, value, kept) {
            (Self::Object(fields, key), Value::Object(values), Value::Object(kept)) => {
                for (name, part) in kept.iter().filter(|(name, _)| Some(name.as_str()) != *key) {
                    match (fields.get(name), values.get_mut(name)) {
                        (None, _) => drop(values.insert(name.clone(), part.clone())),
                        (Some(shape), Some(value)) if shape.is_same(value, part) => {
                            shape.put_back(value, part);
                        }
                        (Some(_), _) => {}
                    }
                }
            }
            (Self::List(shape, key), Value::Array(values), Value::Array(kept)) => {
                for part in kept {
                    if is_of_another_version(*key, part) {
                        values.push(part.clone());
                    } else if let Some(value) =
                        values.iter_mut().find(|value| is_same_entry(*key, value, part))
                    {
                        shape.put_back(value, part);
                    }
                }
            }
            (_, _, _) => {}
        }
    }

    /// Whether an object is still the one from which something was taken.
    fn is_same(&self, value: &Value, part: &Value) -> bool {
        match self {
            Self::Object(_, key) => is_same_entry(*key, value, part),
            Self::Free
            | Self::Value
            | Self::Words(_)
            | Self::Map(_)
            | Self::List(..)
            | Self::ChildSpec => true,
        }
    }

    /// Where a definition with this shape would take something away, or refuse it, of what may
    /// stand here by the shape of this version.
    #[must_use]
    pub fn lacks(&self, own: &Self) -> Vec<String> {
        let mut lacks = Vec::new();
        self.find_lacks(own, &At { up: None, name: Name::Field("status") }, &mut lacks);
        lacks
    }

    fn find_lacks(&self, own: &Self, at: &At<'_>, lacks: &mut Vec<String>) {
        match (self, own) {
            (Self::Object(served, _), Self::Object(own, _)) => {
                for (name, own) in own {
                    let at = at.field(name);
                    match served.get(name) {
                        Some(served) => served.find_lacks(own, &at, lacks),
                        None => lacks.push(at.to_string()),
                    }
                }
            }
            (Self::List(served, _), Self::List(own, _)) | (Self::Map(served), Self::Map(own)) => {
                served.find_lacks(own, &At { up: Some(at), name: Name::Any }, lacks);
            }
            (Self::Words(served), Self::Words(own)) => {
                lacks.extend(
                    own.iter()
                        .filter(|word| !served.contains(word))
                        .map(|word| format!("{at}: {word}")),
                );
            }
            (
                Self::Free
                | Self::Value
                | Self::Words(_)
                | Self::Object(..)
                | Self::Map(_)
                | Self::List(..)
                | Self::ChildSpec,
                _,
            ) => {}
        }
    }

    /// Takes away what a definition with this shape takes away when it is written.
    pub fn prune(&self, value: &mut Value) {
        match (self, value) {
            (Self::Object(fields, _), Value::Object(values)) => {
                values.retain(|name, _| fields.contains_key(name));
                for (name, value) in values {
                    if let Some(shape) = fields.get(name) {
                        shape.prune(value);
                    }
                }
            }
            (Self::List(shape, _), Value::Array(values)) => {
                for value in values {
                    shape.prune(value);
                }
            }
            (Self::Map(shape), Value::Object(values)) => {
                for value in values.values_mut() {
                    shape.prune(value);
                }
            }
            (
                Self::Free
                | Self::Value
                | Self::Words(_)
                | Self::Object(..)
                | Self::Map(_)
                | Self::List(..)
                | Self::ChildSpec,
                _,
            ) => {}
        }
    }
}

/// Whether an entry of the list of conditions is one that this version does not write.
fn is_of_another_version(key: Option<&str>, entry: &Value) -> bool {
    let kind = entry.get("type").and_then(Value::as_str);
    key == Some("type") && kind.is_some_and(|kind| !CONDITIONS.contains(&kind))
}

fn is_same_entry(key: Option<&str>, value: &Value, part: &Value) -> bool {
    key.is_none_or(|key| are_equal(value.get(key), part.get(key)))
}

/// Whether two values are the same, or the same instant.
fn are_equal(one: Option<&Value>, other: Option<&Value>) -> bool {
    let instant = |value: Option<&Value>| {
        value.and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok())
    };
    one == other || instant(one).is_some_and(|one| Some(one) == instant(other))
}

/// A word as it is shown: at most 63 characters.
fn short(word: &str) -> String {
    word.chars().filter(|letter| !letter.is_control()).take(63).collect()
}

/// A place within a saga.
struct At<'a> {
    up: Option<&'a Self>,
    name: Name<'a>,
}

enum Name<'a> {
    Field(&'a str),
    Place(usize),
    /// Each entry.
    Any,
}

impl<'a> At<'a> {
    const fn field(&'a self, name: &'a str) -> Self {
        Self { up: Some(self), name: Name::Field(name) }
    }

    const fn place(&'a self, place: usize) -> Self {
        Self { up: Some(self), name: Name::Place(place) }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(up) = self.up {
            up.fmt(f)?;
        }
        match (&self.name, self.up.is_some()) {
            (Name::Field(name), true) => write!(f, ".{}", short(name)),
            (Name::Field(name), false) => f.write_str(name),
            (Name::Place(place), _) => write!(f, "[{place}]"),
            (Name::Any, _) => f.write_str("[]"),
        }
    }
}

#[cfg(test)]
mod tests;
