//! Decides whether an object is in the state in which this manager applied a manifest with
//! server-side apply. The managers of the fields and the values of the fields decide.
//!
//! # Guarantees
//! If the answer is yes, the object has every field of the manifest with its value, and this
//! manager manages each of these fields. Applying the manifest again would change nothing.
//!
//! # Caveats
//! If the API server stores a value in another form than the manifest writes it (a quantity,
//! `stringData`), the answer is no.

use serde_json::{Map, Value};

/// Returns whether this manager applied the manifest to the object. The object must still have its
/// `metadata.managedFields`.
#[must_use]
pub fn is_applied(object: &Value, manifest: &Value, manager: &str) -> bool {
    let text = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    let own = entries.into_iter().flatten().find(|entry| {
        text(entry, "manager").as_deref() == Some(manager)
            && text(entry, "operation").as_deref() == Some("Apply")
            && text(entry, "subresource").unwrap_or_default().is_empty()
    });
    let Some(fields) = own.and_then(|entry| entry.get("fieldsV1")) else { return false };
    let mut manifest = manifest.clone();
    // No manager owns the fields that identify the object.
    let identity = |fields: &mut Map<String, Value>, names: &[&str]| {
        for name in names {
            fields.remove(*name);
        }
    };
    if let Some(fields) = manifest.as_object_mut() {
        identity(fields, &["apiVersion", "kind"]);
    }
    if let Some(fields) = manifest.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        identity(fields, &["name", "namespace"]);
    }
    is_managed(fields, &manifest) && contains(object, &manifest)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Returns whether every field of the wanted value is managed. A list only has to be managed
/// itself: its items are not checked.
fn is_managed(fields: &Value, wanted: &Value) -> bool {
    let Some(wanted) = wanted.as_object() else { return true };
    wanted.iter().filter(|(_, value)| !is_empty(value)).all(|(key, value)| {
        let field = fields.get(format!("f:{key}"));
        // A map that is managed as a whole lists none of its fields.
        field.is_some_and(|field| {
            field.as_object().is_some_and(Map::is_empty) || is_managed(field, value)
        })
    })
}

/// Returns whether the value contains all that is wanted. The value may contain more.
fn contains(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Object(fields), Value::Object(wanted)) => wanted.iter().all(|(key, wanted)| {
            fields.get(key).map_or_else(|| is_empty(wanted), |value| contains(value, wanted))
        }),
        (Value::Array(items), Value::Array(wanted)) => {
            wanted.iter().all(|wanted| items.iter().any(|item| contains(item, wanted)))
        }
        (Value::Number(value), Value::Number(wanted)) => {
            value == wanted || value.as_f64() == wanted.as_f64()
        }
        (value, wanted) => value == wanted || (value.is_null() && is_empty(wanted)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const US: &str = "saga.dev";

    fn manifest() -> Value {
        let container = json!({"name": "web", "image": "web:2"});
        let spec = json!({"replicas": 3, "template": {"spec": {"containers": [container]}}});
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "labels": {"a": "b"}, "annotations": {}}, "spec": spec,
        })
    }

    /// Returns the object that the API server makes of [`manifest`].
    fn object() -> Value {
        let container = json!({"name": "web", "image": "web:2", "imagePullPolicy": "Always"});
        let fields = json!({
            "f:metadata": {"f:labels": {"f:a": {}}, "f:annotations": {"f:saga.dev/applied-by": {}}},
            "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {
                "k:{\"name\":\"web\"}": {".": {}, "f:image": {}, "f:name": {}},
            }}}},
        });
        let ours = json!({"manager": US, "operation": "Apply", "fieldsV1": fields});
        let status =
            json!({"manager": US, "operation": "Apply", "subresource": "status", "fieldsV1": {}});
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "web", "namespace": "shop", "uid": "1", "labels": {"a": "b", "c": "d"},
                "managedFields": [status, ours],
            },
            "spec": {
                "replicas": 3.0, "paused": false, "template": {"spec": {"containers": [container]}},
            },
        })
    }

    #[test]
    fn what_was_applied_is_known_by_its_fields_and_their_manager() {
        assert!(
            is_applied(&object(), &manifest(), US),
            "the API server writes more, and numbers in its own way"
        );
        let empty = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {},
        });
        assert!(is_applied(&object(), &empty, US), "nothing was asked for");
    }

    #[test]
    fn what_somebody_else_manages_or_changed_is_not() {
        let changed = |change: &dyn Fn(&mut Value)| {
            let mut object = object();
            change(&mut object);
            is_applied(&object, &manifest(), US)
        };
        assert!(!changed(&|object| object["spec"]["replicas"] = json!(4)), "another value");
        assert!(
            !changed(&|object| object["spec"]["template"]["spec"]["containers"][0]["image"] =
                json!("web:1")),
            "in a list, too"
        );
        assert!(!changed(&|object| object["metadata"]["labels"] = json!({})));
        assert!(!changed(
            &|object| object["metadata"]["managedFields"][1]["manager"] = json!("kubectl")
        ));
        assert!(!changed(
            &|object| object["metadata"]["managedFields"][1]["operation"] = json!("Update")
        ));
        assert!(
            !changed(&|object| object["metadata"]["managedFields"][1]["fieldsV1"]["f:spec"] =
                json!({"f:template": {}})),
            "replicas"
        );
        assert!(!changed(&|object| object["metadata"]["managedFields"] = Value::Null));
    }
}
