//! An object as the API server returned it: a text of bounded size.
//!
//! # Guarantees
//! A tree of an object takes up to thirty times the bytes of its text. So an object is kept as
//! text, and a tree is made only for as long as the object is judged. The values of a Secret are
//! removed from a tree before any expression reads it. Its keys stay.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};

use super::{
    impersonate::ObjectTarget,
    refusal::{ApiRefusal, Refused},
};
use crate::api::names::ANNOTATION_ATTEMPT;

/// An object as the API server returned it.
pub(in crate::controller) struct ObjectText {
    text: String,
    /// The kind and the name, for messages.
    what: String,
}

/// What identifies an object, and says whether it is being deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::controller) struct ObjectHead {
    /// The UID of the object; empty if the object has none.
    pub(in crate::controller) uid: String,
    /// The attempt that applied the object last, as the annotation of the object names it.
    pub(in crate::controller) mark: Option<String>,
    /// Whether the object is terminating.
    pub(in crate::controller) deleting: bool,
    /// The finalizers of the object.
    pub(in crate::controller) finalizers: Option<Vec<String>>,
}

impl ObjectText {
    pub(super) fn new(target: ObjectTarget<'_>, text: String) -> Self {
        Self { text, what: format!("{} {:?}", target.kind, target.name) }
    }

    /// Returns the size of the text in bytes.
    pub(in crate::controller) const fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Reads the head of the object alone.
    pub(in crate::controller) fn head(&self) -> Result<ObjectHead, ApiRefusal> {
        #[derive(Deserialize)]
        struct HeadFields {
            #[serde(default)]
            metadata: HeadMetadata,
        }
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct HeadMetadata {
            uid: String,
            deletion_timestamp: Option<IgnoredAny>,
            finalizers: Option<Vec<String>>,
            annotations: Option<BTreeMap<String, String>>,
        }
        let HeadFields { metadata } = self.parse()?;
        Ok(ObjectHead {
            uid: metadata.uid,
            mark: metadata
                .annotations
                .and_then(|mut annotations| annotations.remove(ANNOTATION_ATTEMPT)),
            deleting: metadata.deletion_timestamp.is_some(),
            finalizers: metadata.finalizers,
        })
    }

    /// Parses the whole object into a tree. The caller drops the tree once the object is judged.
    pub(in crate::controller) fn tree(&self) -> Result<Value, ApiRefusal> {
        self.parse()
    }

    fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ApiRefusal> {
        serde_json::from_str(&self.text).map_err(|error| {
            if error.to_string().starts_with("recursion limit exceeded") {
                let message = format!("{} is too large: it is nested too deep", self.what);
                return ApiRefusal::Final(Refused::TooLarge, message);
            }
            ApiRefusal::Lost(format!("the API server's answer is no {}", self.what))
        })
    }
}

/// Returns the object without what no expression reads: the managers of the fields, and the values
/// of a Secret. The keys of a Secret stay.
pub(in crate::controller) fn stripped(mut object: Value) -> Value {
    if let Some(metadata) = object.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    if (text("/apiVersion"), text("/kind")) != (Some("v1"), Some("Secret")) {
        return object;
    }
    if let Some(annotations) =
        object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
    {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    for value in object
        .pointer_mut("/data")
        .and_then(Value::as_object_mut)
        .into_iter()
        .flat_map(|data| data.values_mut())
    {
        *value = json!("[hidden]");
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_expression_reads_what_a_secret_holds() {
        let last_applied = "kubectl.kubernetes.io/last-applied-configuration";
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "data": {"token": "Y2FuYXJ5"},
            "metadata": {
                "name": "a", "managedFields": [],
                "annotations": {last_applied: "canary", "b": "c"},
            },
        });
        let metadata = json!({"name": "a", "annotations": {"b": "c"}});
        assert_eq!(
            stripped(secret),
            json!({
                "apiVersion": "v1", "kind": "Secret", "data": {"token": "[hidden]"},
                "metadata": metadata,
            })
        );
        let config_map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}});
        assert_eq!(stripped(config_map.clone()), config_map);
    }

    #[test]
    fn the_head_is_read_whatever_the_object_holds() {
        let deep = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
        let head = |text: String| ObjectText { text, what: "Widget \"a\"".into() }.head();
        let metadata = format!(
            r#"{{"uid": "1", "deletionTimestamp": "x", "finalizers": ["a/b"],
                "annotations": {{"c": "d", "{ANNOTATION_ATTEMPT}": "m"}},
                "managedFields": {deep}}}"#
        );
        let expected = ObjectHead {
            uid: "1".into(),
            mark: Some("m".into()),
            deleting: true,
            finalizers: Some(vec!["a/b".into()]),
        };
        assert_eq!(head(format!(r#"{{"data": {deep}, "metadata": {metadata}}}"#)), Ok(expected));
        assert_eq!(head("{}".into()), Ok(ObjectHead::default()));
        assert!(matches!(head("no object".into()), Err(ApiRefusal::Lost(_))));
        let deep = ObjectText { text: deep, what: "Widget \"a\"".into() }.tree();
        assert!(
            matches!(&deep, Err(ApiRefusal::Final(Refused::TooLarge, why)) if why.contains("deep")),
            "{deep:?}"
        );
    }
}
