//! The leaves that decide what runs, as which account, with which rights, in which namespace and
//! how near to its node. The answer of a service may not reach these leaves.
//!
//! A leaf is identified by the keys from its action to the leaf. Each key is compared as a whole,
//! because a key may hold dots itself.

use serde_json::Value;

use super::acceptance::Acceptance;
use crate::{api::GROUP, expression::template::budget::TrustedFields, model::saga::Work};

/// The keys in an object at and below which a leaf decides what runs. The `subjects` of a binding
/// name accounts, its `roleRef` and the `rules` of a role give rights, and the `clientConfig` of a
/// webhook names who sees every object. The first [`EARLIER_OF_OBJECTS`] are also those of earlier
/// versions.
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
    "roleRef",
    "rules",
    "clientConfig",
    "command",
    "securityContext",
    "privileged",
    "hostNetwork",
    "hostPath",
    "nodeName",
];
const EARLIER_OF_OBJECTS: usize = 10;
/// The same keys in the spec of a Pod. The first [`EARLIER_OF_PODS`] are also those of earlier
/// versions.
const OF_PODS: &[&str] = &[
    "image",
    "serviceAccountName",
    "serviceAccount",
    "namespace",
    "namespaces",
    "command",
    "securityContext",
    "privileged",
    "hostNetwork",
    "hostPath",
    "nodeName",
];
const EARLIER_OF_PODS: usize = 5;

/// The paths that hold only data in every object, whatever the keys below them are called.
const MARKS: &[&[&str]] = &[
    &["manifest", "metadata", "labels"],
    &["manifest", "metadata", "annotations"],
    &["manifest", "spec", "template", "metadata", "labels"],
    &["manifest", "spec", "template", "metadata", "annotations"],
];
/// The paths that hold only data in a ConfigMap or a Secret.
const DATA: &[&[&str]] = &[
    &["manifest", "metadata", "labels"],
    &["manifest", "metadata", "annotations"],
    &["manifest", "data"],
    &["manifest", "stringData"],
    &["manifest", "binaryData"],
];
/// The only part of an applied saga that the answer of a service may reach, as in a child saga.
const PARAMS: &[&[&str]] = &[&["manifest", "spec", "params"]];

/// Returns the fields that an object from a service may not bring into the action. What an earlier
/// version accepted goes on, so only the fields that this version knew may not be brought into it.
pub(in crate::validate) fn trusted_fields(work: &Work, acceptance: Acceptance) -> TrustedFields {
    let (all, earlier) = match work {
        Work::Pod(_) | Work::Job(_) => {
            (TrustedFields { names: OF_PODS, free: &[] }, EARLIER_OF_PODS)
        }
        Work::Apply(action) => (of_manifest(&action.manifest), EARLIER_OF_OBJECTS),
        Work::Http(_)
        | Work::Delete(_)
        | Work::Until(_)
        | Work::Saga(_)
        | Work::UndoSaga
        | Work::Approval(_)
        | Work::Wait(_) => return TrustedFields::default(),
    };
    let names = match acceptance {
        Acceptance::Earlier => all.names.get(..earlier).unwrap_or(all.names),
        Acceptance::Pending | Acceptance::Done => all.names,
    };
    TrustedFields { names, ..all }
}

/// Returns the fields that an object from a service may not bring into the applied object.
fn of_manifest(manifest: &Value) -> TrustedFields {
    let field = |name: &str| manifest.get(name).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (field("apiVersion"), field("kind"));
    let free = match (version, kind) {
        ("v1", "ConfigMap" | "Secret") => DATA,
        _ if may_be_a_saga(version, kind) => PARAMS,
        _ => MARKS,
    };
    TrustedFields { names: OF_OBJECTS, free }
}

/// Returns whether the object is a saga. If an expression decides the kind, the object may be a
/// saga.
fn may_be_a_saga(version: &str, kind: &str) -> bool {
    let is_open = |text: &str| text.contains("${");
    (is_open(version) || version.split('/').next() == Some(GROUP))
        && (is_open(kind) || kind == "Saga")
}

/// Returns whether only `params` and `saga` may reach the leaf below these keys of an action, such
/// as `template`, `spec`, `serviceAccountName`.
pub(in crate::validate) fn is_fixed(work: &Work, keys: &[String]) -> bool {
    let whole: Vec<&str> = keys.iter().map(String::as_str).collect();
    let decides = |keys: &[&str], names: &[&str]| keys.iter().any(|key| names.contains(key));
    match work {
        Work::Pod(_) => match whole.as_slice() {
            ["template", "spec", within @ ..] => decides(within, OF_PODS),
            within => matches!(within, ["image"] | ["command", ..]),
        },
        Work::Job(_) => {
            matches!(
                whole.as_slice(),
                ["spec", "template", "spec", within @ ..] if decides(within, OF_PODS)
            )
        }
        Work::Apply(action) => {
            let fixed = of_manifest(&action.manifest);
            // Everything else in a saga decides what the saga does.
            !fixed.is_free(keys) && (fixed.free == PARAMS || decides(&whole, OF_OBJECTS))
        }
        // An HTTP request may name anything in its body. So may the params of a child: the child's
        // own check decides what may read them.
        Work::Http(_) | Work::Saga(_) | Work::UndoSaga => false,
        Work::Delete(_) | Work::Until(_) | Work::Approval(_) | Work::Wait(_) => {
            decides(&whole, OF_OBJECTS)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use serde_json::json;

    use super::*;

    fn keys<'a>(keys: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        keys.into_iter().map(str::to_owned).collect()
    }

    fn fixed_below(manifest: &Value, below: &[&str]) -> bool {
        let work = Work::Apply(serde_json::from_value(json!({"manifest": manifest})).unwrap());
        is_fixed(&work, &keys(["manifest"].into_iter().chain(below.iter().copied())))
    }

    /// `leaf` is a path of keys without dots in them.
    fn fixed(manifest: &Value, leaf: &str) -> bool {
        fixed_below(manifest, &leaf.split('.').collect::<Vec<_>>())
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
            "spec.template.spec.containers.image",
            "spec.image.tag",
            "spec.image.a",
            "spec.values.image.repository",
            "spec.images.newTag",
            "spec.images",
            "spec.namespace",
            "spec.targetNamespace",
            "spec.destination.namespace",
            "spec.namespaces.name",
            "spec.serviceAccountName.of",
            "spec.template.kind.of.x",
            "subjects.name",
            "subjects",
            "spec.forProvider.manifest.subjects.name",
            "roleRef.name",
            "rules.verbs",
            "webhooks.clientConfig.url",
            "spec.template.spec.containers.command",
            "spec.template.spec.containers.securityContext.privileged",
            "spec.template.spec.containers.securityContext.runAsUser",
            "spec.template.spec.hostNetwork",
            "spec.template.spec.volumes.hostPath.path",
            "spec.template.spec.nodeName",
            "data.image",
        ] {
            assert!(fixed(&some, leaf), "{leaf}");
        }
        for leaf in [
            "metadata.name",
            "spec.template.spec.containers.args",
            "metadata.labels.version",
            "spec.replicas",
            "spec.imagePolicy.x",
            "data.namespace-quota",
            "spec.name",
        ] {
            assert!(!fixed(&some, leaf), "{leaf}");
        }
    }

    #[test]
    fn the_node_the_program_and_the_powers_of_a_pod_are_fixed() {
        let work = |kind: &str, action: Value| match kind {
            "pod" => Work::Pod(serde_json::from_value(action).unwrap()),
            _ => Work::Job(serde_json::from_value(action).unwrap()),
        };
        let plain = work("pod", json!({"image": "a"}));
        for (leaf, fixed) in [("image", true), ("command", true), ("args", false), ("env", false)] {
            assert_eq!(is_fixed(&plain, &keys([leaf])), fixed, "{leaf}");
        }
        let template = ["template", "spec"];
        for (work, above) in [
            (work("pod", json!({"template": {}})), [].as_slice()),
            (work("job", json!({"spec": {}})), ["spec"].as_slice()),
        ] {
            let below =
                |path: &str| keys(above.iter().copied().chain(template).chain(path.split('.')));
            for leaf in [
                "containers.command",
                "containers.securityContext.privileged",
                "securityContext.runAsUser",
                "hostNetwork",
                "volumes.hostPath.path",
                "nodeName",
            ] {
                assert!(is_fixed(&work, &below(leaf)), "{leaf}");
            }
            for leaf in ["containers.args", "containers.env.value", "nodeSelector.disk"] {
                assert!(!is_fixed(&work, &below(leaf)), "{leaf}");
            }
        }
    }

    #[test]
    fn an_object_may_bring_into_what_an_earlier_version_accepted_what_it_could_bring_then() {
        let apply = json!({"manifest": object("apps/v1", "Deployment")});
        let works = [
            Work::Apply(serde_json::from_value(apply).unwrap()),
            Work::Pod(serde_json::from_value(json!({"template": {}})).unwrap()),
            Work::Job(serde_json::from_value(json!({"spec": {}})).unwrap()),
        ];
        for work in works {
            let names = |acceptance| trusted_fields(&work, acceptance).names;
            for known in ["image", "serviceAccountName", "namespaces"] {
                assert!(names(Acceptance::Earlier).contains(&known), "{known}");
                assert!(names(Acceptance::Done).contains(&known), "{known}");
            }
            for new in ["command", "securityContext", "nodeName", "hostPath"] {
                assert!(!names(Acceptance::Earlier).contains(&new), "{new}");
                assert!(names(Acceptance::Pending).contains(&new), "{new}");
            }
            let rights = ["subjects", "targetNamespace"];
            let is_apply = matches!(work, Work::Apply(_));
            assert!(rights.iter().all(|right| {
                names(Acceptance::Earlier).contains(right) == is_apply
                    && !names(Acceptance::Earlier).contains(&"roleRef")
            }));
        }
    }

    #[test]
    fn data_is_data_whatever_it_is_called() {
        for (kind, leaf) in [
            ("ConfigMap", "data.image"),
            ("ConfigMap", "binaryData.kind"),
            ("Secret", "stringData.namespace"),
            ("Secret", "data"),
        ] {
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
    fn labels_and_annotations_are_data_and_keys_count_as_a_whole() {
        let some = object("apps/v1", "Deployment");
        for marks in ["labels", "annotations"] {
            for key in [
                "image",
                "kind",
                "namespace",
                "image.example.com/built-by",
                "namespace.example.com/kind",
            ] {
                for kind in [&some, &object("v1", "ConfigMap")] {
                    assert!(!fixed_below(kind, &["metadata", marks, key]), "{marks} {key}");
                }
                assert!(
                    !fixed_below(&some, &["spec", "template", "metadata", marks, key]),
                    "{marks} {key}"
                );
                assert!(
                    fixed_below(&object("saga.dev/v1alpha1", "Saga"), &["metadata", marks, key]),
                    "{marks} {key}"
                );
            }
            assert!(
                fixed_below(&some, &["spec", "metadata", marks, "image"])
                    && fixed_below(&some, &["spec", marks, "image"]),
                "{marks}"
            );
        }
        assert!(!fixed_below(
            &some,
            &["spec", "selector", "matchLabels", "image.example.com/built-by"]
        ));
        assert!(!fixed_below(&object("v1", "ConfigMap"), &["data", "image.tag"]));
        // `metadata.labels` and `data.x` are single keys here, not paths to data.
        assert!(
            fixed_below(&some, &["metadata.labels", "image"])
                && fixed_below(&object("v1", "ConfigMap"), &["data.x", "image"])
        );
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
            for leaf in [
                "metadata.name",
                "metadata.annotations.x",
                "spec",
                "spec.onFailure",
                "spec.steps.http.url",
                "spec.paramsOf.x",
            ] {
                assert!(fixed(&saga, leaf), "{version} {kind} {leaf}");
            }
            for leaf in
                ["spec.params", "spec.params.order", "spec.params.image", "spec.params.lines.sku"]
            {
                assert!(!fixed(&saga, leaf), "{version} {kind} {leaf}");
            }
        }
        assert!(
            !fixed(&object("saga.dev/v1alpha1", "Other"), "spec.x")
                && !fixed(&object("example.com/v1", "Saga"), "spec.x")
        );
    }
}
