//! The shape of a part of a saga: what a schema allows there.

use std::{collections::BTreeMap, sync::LazyLock};

use kube::CustomResourceExt;
use serde_json::Value;

use super::path::Path;
use crate::api::Saga;

/// The field that identifies an entry, by the name of the list or the field in which the entry
/// stands.
const KEYS: [(&str, &str); 9] = [
    ("steps", "name"),
    ("conditions", "type"),
    ("attempts", "attempt"),
    ("requests", "number"),
    ("active", "startedAt"),
    ("child", "name"),
    ("paused", "at"),
    ("throttled", "origin"),
    ("doubted", "by"),
];
/// What a schema allows in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Any value.
    Free,
    /// A value without fields of its own.
    Value,
    /// One of these words.
    Words(Vec<String>),
    /// These fields, and the field that identifies the object.
    Object(BTreeMap<String, Self>, Option<&'static str>),
    /// Any fields, each with a value of one shape.
    Map(Box<Self>),
    /// Entries of one shape, and the field that identifies an entry.
    List(Box<Self>, Option<&'static str>),
    /// The spec of a child saga, within the spec of its parent.
    ChildSpec,
}

/// The shapes of a saga's spec and status in this version.
#[derive(Debug)]
pub struct KnownShapes {
    /// The shape of the spec.
    pub spec: Shape,
    /// The shape of the status.
    pub status: Shape,
}

/// The shapes of this version.
pub static KNOWN: LazyLock<KnownShapes> = LazyLock::new(|| {
    let definition = serde_json::to_value(Saga::crd()).unwrap_or_default();
    let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties");
    let of = |part: &str| {
        schema
            .and_then(|schema| schema.get(part))
            .map_or(Shape::Free, |schema| Shape::of(part, schema))
    };
    KnownShapes { spec: of("spec"), status: of("status") }
});

impl Shape {
    /// Returns what a schema allows. `name` is the name of the field or the list.
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

    /// Returns the places where a definition with this shape would drop or refuse something that
    /// `own`, the shape of this version, allows.
    #[must_use]
    pub fn lacks(&self, own: &Self) -> Vec<String> {
        let mut lacks = Vec::new();
        self.find_lacks(own, &Path::root("status"), &mut lacks);
        lacks
    }

    fn find_lacks(&self, own: &Self, at: &Path<'_>, lacks: &mut Vec<String>) {
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
                served.find_lacks(own, &at.any(), lacks);
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

    /// Removes what a definition with this shape drops on a write.
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
