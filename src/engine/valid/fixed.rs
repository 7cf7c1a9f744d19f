//! Which leaves decide what runs, and as whom and where: another side's answer may not reach them.

use serde_json::Value;

use super::{super::expression::Fixed, pod::without_place};
use crate::api::GROUP;

/// Parts of the paths in an object at and below which stands what decides so. The `subjects` of a binding name accounts.
const OF_OBJECTS: &[&str] = &[
    "image",
    "images",
    "kind",
    "apiVersion",
    "serviceAccountName",
    "serviceAccount",
    "subjects",
    "namespace",
    "namespaces",
    "targetNamespace",
];
/// The same in a pod's spec.
pub(super) const OF_PODS: Fixed = Fixed { names: &["image", "serviceAccountName", "serviceAccount", "namespace", "namespaces"], free: &[] };

/// What is mere data in a ConfigMap or a Secret, whatever it is called.
const DATA: &[&str] = &[".manifest.data", ".manifest.stringData", ".manifest.binaryData"];
/// The only part of a saga that another side's answer may reach, as it may in a child saga.
const PARAMS: &[&str] = &[".manifest.spec.params"];

/// What no other side may give within the object that is applied.
pub(super) fn of_manifest(manifest: &Value) -> Fixed {
    let field = |name: &str| manifest.get(name).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (field("apiVersion"), field("kind"));
    let free = match (version, kind) {
        ("v1", "ConfigMap" | "Secret") => DATA,
        _ if may_be_a_saga(version, kind) => PARAMS,
        _ => &[],
    };
    Fixed { names: OF_OBJECTS, free }
}

/// Whether it is a saga, or an expression says what it is.
fn may_be_a_saga(version: &str, kind: &str) -> bool {
    let is_open = |text: &str| text.contains("${");
    (is_open(version) || version.split('/').next() == Some(GROUP)) && (is_open(kind) || kind == "Saga")
}

/// Whether only `params` and `saga` may reach the leaf at a path within the operation, such as `.pod.template.spec.serviceAccountName`.
/// `manifest`: what the operation applies.
pub(super) fn is_fixed(leaf: &str, manifest: Option<&Value>) -> bool {
    let decides = |leaf: &str, names: &[&str]| leaf.split('.').any(|part| names.contains(&without_place(part)));
    if let Some(leaf) = leaf.strip_prefix(".pod.") {
        return leaf == "image" || leaf.strip_prefix("template.spec.").is_some_and(|leaf| decides(leaf, OF_PODS.names));
    }
    if let Some(leaf) = leaf.strip_prefix(".job.spec.") {
        return leaf.strip_prefix("template.spec.").is_some_and(|leaf| decides(leaf, OF_PODS.names));
    }
    if let (Some(leaf), Some(manifest)) = (leaf.strip_prefix(".apply"), manifest) {
        let fixed = of_manifest(manifest);
        // All else in a saga says what it does.
        return !fixed.is_free(leaf) && (fixed.free == PARAMS || decides(leaf, OF_OBJECTS));
    }
    // A request may name whatever it likes in its body, and so may the params of a child: there it is told what may read them.
    !leaf.starts_with(".http.") && !leaf.starts_with(".saga.") && decides(leaf, OF_OBJECTS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fixed(manifest: &Value, leaf: &str) -> bool {
        is_fixed(&format!(".apply.manifest.{leaf}"), Some(manifest))
    }

    fn object(version: &str, kind: &str) -> Value {
        json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}})
    }

    #[test]
    fn what_decides_is_fixed_wherever_it_stands_above_a_leaf() {
        let some = object("apps/v1", "Deployment");
        for leaf in [
            "kind",
            "apiVersion",
            "metadata.namespace",
            "spec.template.spec.containers[0].image",
            "spec.image.tag",
            "spec.image.a",
            "spec.values.image.repository",
            "spec.images[0].newTag",
            "spec.images[1]",
            "spec.namespace[0]",
            "spec.targetNamespace",
            "spec.destination.namespace",
            "spec.namespaces[0].name",
            "spec.serviceAccountName.of",
            "spec.template.kind.of[0].x",
            "subjects[0].name",
            "subjects",
            "spec.forProvider.manifest.subjects[1].name",
            "data.image",
        ] {
            assert!(fixed(&some, leaf), "{leaf}");
        }
        for leaf in ["metadata.name", "metadata.labels.version", "spec.replicas", "spec.imagePolicy.x", "data.namespace-quota", "spec.name"]
        {
            assert!(!fixed(&some, leaf), "{leaf}");
        }
    }

    #[test]
    fn data_is_data_whatever_it_is_called() {
        for (kind, leaf) in
            [("ConfigMap", "data.image"), ("ConfigMap", "binaryData.kind"), ("Secret", "stringData.namespace"), ("Secret", "data")]
        {
            assert!(!fixed(&object("v1", kind), leaf), "{kind} {leaf}");
        }
        for (version, kind, leaf) in [
            ("v1", "ConfigMap", "metadata.namespace"),
            ("v1", "ConfigMap", "database.image"),
            ("v1", "Pod", "data.image"),
            ("example.com/v1", "Secret", "data.image"),
            ("${params.version}", "Secret", "data.image"),
        ] {
            assert!(fixed(&object(version, kind), leaf), "{version} {kind} {leaf}");
        }
    }

    #[test]
    fn a_saga_that_is_applied_takes_what_another_side_said_as_params_alone() {
        for (version, kind) in [
            ("saga.dev/v1alpha1", "Saga"),
            ("saga.dev/v2", "Saga"),
            ("saga.dev/v1alpha1", "${params.kind}"),
            ("${params.version}", "Saga"),
            ("${params.version}", "${params.kind}"),
        ] {
            let saga = object(version, kind);
            for leaf in ["metadata.name", "metadata.annotations.x", "spec", "spec.onFailure", "spec.steps[0].http.url", "spec.paramsOf.x"] {
                assert!(fixed(&saga, leaf), "{version} {kind} {leaf}");
            }
            for leaf in ["spec.params", "spec.params.order", "spec.params.image", "spec.params.lines[0].sku"] {
                assert!(!fixed(&saga, leaf), "{version} {kind} {leaf}");
            }
        }
        assert!(!fixed(&object("saga.dev/v1alpha1", "Other"), "spec.x") && !fixed(&object("example.com/v1", "Saga"), "spec.x"));
    }
}
