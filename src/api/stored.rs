//! A saga as the API server holds it, read in a way that cannot fail because of one bad object.
//!
//! A list or a watch fails as a whole where one of its objects does not parse. So nothing here that
//! a user can fill is parsed on the way: the API server takes objects that are nested deeper than
//! the parser goes, and repeats their depth in the managed fields.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::Resource;
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};
use serde_json::{Value, json, value::RawValue};

use super::{
    Asked, DeletionPolicy, HANDLED, KeysFrom, RequestAction, Saga, SagaSpec, SagaStatus,
    names::ANNOTATION_KEYS, shape::KNOWN,
};
use crate::{
    digest::sha256_hex,
    mutants::{Twin, broken},
};

/// A key that no saga reaches.
const MOST_KEYS: i64 = 1 << 40;
/// Where `kubectl apply` keeps what it applied last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A part of a stored object: the parsed value, or the sentence that says where and why it does not
/// parse.
pub type Part<T> = Result<T, String>;

/// A saga as stored. Spec and status are parsed apart, so that either may be malformed without
/// taking the other, or any other saga, with it.
#[derive(Clone, Debug)]
pub struct StoredSaga {
    /// The object's metadata: identity, versions, instants, finalizers, labels and owners.
    pub metadata: ObjectMeta,
    /// The specification.
    pub spec: Part<SagaSpec>,
    /// The status; the default where there is none.
    pub status: Part<SagaStatus>,
    /// What can be read all the same where the status does not parse: its message and conditions.
    /// Else the default.
    pub remains: SagaStatus,
    /// What people ask for by annotation, in the order in which it is handled. The annotations as
    /// such are not kept.
    pub asked: Vec<Asked>,
    /// The value of the annotation `saga.dev/handled`; 0 where there is none, or no number.
    pub handled: i64,
    /// Where the idempotency keys of its steps go on, by step, as an annotation says; empty where
    /// it says nothing that can be read.
    pub keys_from: BTreeMap<String, KeysFrom>,
    /// `v1:` and the hash of the raw `steps`, `params` and `idempotencyPrefix`.
    pub spec_hash: String,
    /// What the spec asks for on deletion, read even where the rest of it cannot be.
    pub deletion_policy: DeletionPolicy,
    /// What another version of the operator, or of the definition, knows and this one does not.
    pub strangers: Option<Box<Strangers>>,
}

/// Fields and words of a stored saga that this version does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strangers {
    /// Fields and words of the spec, each as a sentence that begins with its path: the first of
    /// them.
    pub spec: Vec<String>,
    /// Words of the status, each as a sentence that begins with its path. With one of them, the
    /// status counts as one that cannot be read.
    pub words: Vec<String>,
    /// Fields of the status, each in its place. They go along with every write.
    pub fields: Option<Value>,
    /// How many bytes these take.
    pub bytes: usize,
}

impl<'de> Deserialize<'de> for StoredSaga {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            metadata: Metadata,
            spec: Option<Box<RawValue>>,
            status: Option<Box<RawValue>>,
        }
        let Raw { metadata, spec, status } = Raw::deserialize(deserializer)?;
        let mut strangers = Strangers::default();
        let deletion_policy = deletion_policy(spec.as_deref());
        let (spec, status) = (tree("spec", spec.as_deref()), tree("status", status.as_deref()));
        // A spec that cannot be read was never accepted: nothing is compared with this hash.
        let spec_hash = spec
            .as_ref()
            .map_or_else(|sentence| spec_hash(&json!({ "steps": sentence })), spec_hash);
        strangers.spec = spec.as_ref().map(|spec| KNOWN.spec.strangers(spec)).unwrap_or_default();
        let mut remains = SagaStatus::default();
        let status = match status {
            Ok(Value::Null) => Ok(SagaStatus::default()),
            Ok(status) => read_status(status, &mut strangers).map_err(|(status, sentence)| {
                remains = what_remains(&status);
                sentence
            }),
            Err(sentence) => Err(sentence),
        };
        let (asked, handled) = metadata.requests();
        let keys_from = metadata.keys_from();
        let spec = spec.and_then(|spec| parse("spec", &spec));
        let strangers = (strangers != Strangers::default()).then(|| Box::new(strangers));
        Ok(Self {
            metadata: metadata.into(),
            asked,
            handled,
            keys_from,
            spec,
            status,
            remains,
            spec_hash,
            deletion_policy,
            strangers,
        })
    }
}

/// What is read of the metadata. All else is skipped.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    finalizers: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    managed_fields: Option<Box<RawValue>>,
    owner_references: Option<Vec<OwnerReference>>,
}

impl Metadata {
    /// Where the keys of the steps go on. It is the operator's own word, and input all the same.
    fn keys_from(&self) -> BTreeMap<String, KeysFrom> {
        let text =
            self.annotations.as_ref().and_then(|annotations| annotations.get(ANNOTATION_KEYS));
        let read = text
            .and_then(|text| serde_json::from_str::<BTreeMap<String, KeysFrom>>(text).ok())
            .unwrap_or_default();
        let counts = |keys: &KeysFrom| {
            [keys.action, keys.compensation].iter().all(|count| (0..=MOST_KEYS).contains(count))
        };
        let short = |keys: &KeysFrom| keys.child.as_ref().is_none_or(|child| child.len() <= 63);
        if read.values().all(|keys| counts(keys) && short(keys)) { read } else { BTreeMap::new() }
    }

    /// What the annotations ask for, and the highest number of a plain request that was handled and
    /// taken away.
    fn requests(&self) -> (Vec<Asked>, i64) {
        let Some(annotations) = &self.annotations else { return (Vec::new(), 0) };
        let handled = annotations
            .get(HANDLED)
            .and_then(|number| number.parse().ok())
            .filter(|number| *number >= 0);
        let present = || {
            RequestAction::ALL
                .into_iter()
                .filter_map(|action| Some((action, annotations.get(action.annotation())?)))
        };
        if present().next().is_none() {
            return (Vec::new(), handled.unwrap_or_default());
        }
        let applied =
            annotations.get(LAST_APPLIED).map(|text| last_applied(text)).unwrap_or_default();
        let owned = self.managed_fields.as_deref().map(owned_by_apply).unwrap_or_default();
        let asked = present().map(|(action, value)| {
            let held_in_git = applied.get(action.annotation()) == Some(value)
                || owned.contains(action.annotation());
            Asked { action, value: value.clone(), held_in_git }
        });
        (asked.collect(), handled.unwrap_or_default())
    }
}

/// The annotations in the configuration that `kubectl apply` applied last; none where it cannot be
/// read.
fn last_applied(text: &str) -> BTreeMap<String, String> {
    #[derive(Default, Deserialize)]
    struct Applied {
        metadata: AppliedMetadata,
    }
    #[derive(Default, Deserialize)]
    struct AppliedMetadata {
        annotations: Option<BTreeMap<String, String>>,
    }
    serde_json::from_str::<Applied>(text)
        .ok()
        .and_then(|applied| applied.metadata.annotations)
        .unwrap_or_default()
}

/// The annotations that belong to managers which apply from the server's side; none where that
/// cannot be read. What is not looked for is skipped without recursion, however deep it is.
fn owned_by_apply(raw: &RawValue) -> BTreeSet<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry {
        operation: Option<String>,
        fields_v1: Option<Fields>,
    }
    #[derive(Deserialize)]
    struct Fields {
        #[serde(rename = "f:metadata")]
        metadata: Option<MetadataFields>,
    }
    #[expect(clippy::zero_sized_map_values, reason = "no set is read from an object's keys")]
    #[derive(Deserialize)]
    struct MetadataFields {
        #[serde(rename = "f:annotations")]
        annotations: Option<BTreeMap<String, IgnoredAny>>,
    }
    let entries: Vec<Entry> = serde_json::from_str(raw.get()).unwrap_or_default();
    let applied = entries.into_iter().filter(|entry| entry.operation.as_deref() == Some("Apply"));
    let fields = applied.filter_map(|entry| entry.fields_v1?.metadata?.annotations).flatten();
    fields.filter_map(|(field, _)| field.strip_prefix("f:").map(str::to_owned)).collect()
}

impl From<Metadata> for ObjectMeta {
    fn from(metadata: Metadata) -> Self {
        let Metadata {
            name,
            namespace,
            uid,
            resource_version,
            generation,
            creation_timestamp,
            deletion_timestamp,
            finalizers,
            labels,
            annotations: _,
            managed_fields: _,
            owner_references,
        } = metadata;
        Self {
            name,
            namespace,
            uid,
            resource_version,
            generation,
            creation_timestamp,
            deletion_timestamp,
            finalizers,
            labels,
            owner_references,
            ..Self::default()
        }
    }
}

/// The tree of a part; null where there is none.
fn tree(part: &str, raw: Option<&RawValue>) -> Part<Value> {
    raw.map_or(Ok(Value::Null), |raw| {
        serde_json::from_str(raw.get()).map_err(|error| format!("{part}: {error}"))
    })
}

/// The status, without what another version wrote.
///
/// # Errors
/// The status as it can be read by hand, and why it cannot be read as such.
pub fn read_status(
    mut status: Value,
    strangers: &mut Strangers,
) -> Result<SagaStatus, (Value, String)> {
    strangers.fields = KNOWN.status.take_strangers(&mut status, &mut strangers.words);
    strangers.bytes = strangers.fields.as_ref().map_or(0, |fields| fields.to_string().len());
    if !strangers.words.is_empty() {
        return Err((
            status,
            format!("{}: a word that this version does not know", strangers.words.join(", ")),
        ));
    }
    parse("status", &status).map_err(|sentence| (status, sentence))
}

/// What a spec asks for on deletion, whatever else stands in it, however deep.
fn deletion_policy(spec: Option<&RawValue>) -> DeletionPolicy {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Policy<'a> {
        #[serde(borrow)]
        deletion_policy: Option<&'a RawValue>,
    }
    let policy =
        spec.and_then(|spec| serde_json::from_str::<Policy<'_>>(spec.get()).ok()?.deletion_policy);
    policy.and_then(|policy| serde_json::from_str(policy.get()).ok()).unwrap_or_default()
}

/// What the operator itself wrote into a status that it cannot read, so that it does not write the
/// same again and again.
#[must_use]
pub fn what_remains(status: &Value) -> SagaStatus {
    let message = status.get("message").and_then(Value::as_str).map(str::to_owned);
    let conditions = status
        .get("conditions")
        .and_then(|conditions| Vec::deserialize(conditions).ok())
        .unwrap_or_default();
    SagaStatus { message, conditions, ..SagaStatus::default() }
}

impl Serialize for StoredSaga {
    /// The object as a status write sends it: identity, version and status, with what another
    /// version wrote into that. The API server ignores a spec there.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Written<'a> {
            api_version: Cow<'a, str>,
            kind: Cow<'a, str>,
            metadata: &'a ObjectMeta,
            #[serde(skip_serializing_if = "Option::is_none")]
            status: Option<Whole<'a>>,
        }
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Whole<'a> {
            Own(&'a SagaStatus),
            Shared(Value),
        }
        let (api_version, kind) = (Saga::api_version(&()), Saga::kind(&()));
        let whole = |status| match self
            .strangers
            .as_ref()
            .and_then(|strangers| strangers.fields.as_ref())
        {
            Some(fields) => with_strangers(status, fields).map(Whole::Shared),
            None => Ok(Whole::Own(status)),
        };
        let status =
            self.status.as_ref().ok().map(whole).transpose().map_err(serde::ser::Error::custom)?;
        Written { api_version, kind, metadata: &self.metadata, status }.serialize(serializer)
    }
}

/// A status as it is written, with what another version wrote into the one before.
///
/// # Errors
/// Where the status is no JSON.
pub fn with_strangers(status: &SagaStatus, fields: &Value) -> serde_json::Result<Value> {
    let mut status = serde_json::to_value(status)?;
    if !broken(Twin::DropsFields) {
        KNOWN.status.put_back(&mut status, fields);
    }
    Ok(status)
}

/// Parses one part and says the path of what does not fit.
fn parse<'a, T: Deserialize<'a>>(part: &str, value: &'a Value) -> Part<T> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if path == "." { format!("{part}: {inner}") } else { format!("{part}.{path}: {inner}") }
    })
}

/// The hash of what may never change, over the raw fields as stored and never over our own types,
/// so that a newer operator with more fields computes the same. `serde_json` keeps the keys of an
/// object sorted, which makes the text canonical.
#[must_use]
pub fn spec_hash(spec: &Value) -> String {
    let pinned = json!({
        "steps": spec.get("steps"),
        "params": spec.get("params"),
        "idempotencyPrefix": spec.get("idempotencyPrefix"),
    });
    format!("v1:{}", sha256_hex(&[&pinned.to_string()]))
}

impl Resource for StoredSaga {
    type DynamicType = ();
    type Scope = k8s_openapi::NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        Saga::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        Saga::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        Saga::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        Saga::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(feature = "operator")]
pub(crate) fn name(saga: &StoredSaga) -> &str {
    saga.metadata.name.as_deref().unwrap_or_default()
}

#[cfg(feature = "operator")]
pub(crate) fn namespace(saga: &StoredSaga) -> &str {
    saga.metadata.namespace.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn a_malformed_status_leaves_the_spec_readable() {
        let saga: StoredSaga = serde_json::from_value(json!({
            "metadata": {"name": "a"},
            "spec": {"steps": [{"name": "b", "pod": {"image": "c"}}]},
            "status": {"phase": "Running", "message": "m", "conditions": [], "steps": 7},
        }))
        .unwrap();
        assert_eq!((saga.spec.unwrap().steps.len(), saga.strangers), (1, None));
        assert!(saga.status.unwrap_err().starts_with("status.steps: invalid type: integer `7`"));
        assert_eq!(saga.remains, SagaStatus { message: Some("m".into()), ..SagaStatus::default() });
    }

    #[test]
    fn a_word_of_another_version_is_told_apart_from_nonsense() {
        let status = json!({"phase": "Dreaming", "message": "m"});
        let saga: StoredSaga = serde_json::from_value(
            json!({"metadata": {}, "spec": {"steps": []}, "status": status}),
        )
        .unwrap();
        assert_eq!(
            saga.status.unwrap_err(),
            "status.phase is Dreaming: a word that this version does not know"
        );
        assert_eq!(saga.strangers.unwrap().words, ["status.phase is Dreaming"]);
        assert_eq!(saga.remains.message.as_deref(), Some("m"));
    }

    #[test]
    fn fields_of_another_version_go_along_with_a_status_write() {
        let step = json!({"name": "a", "phase": "Running", "colour": "red"});
        let status = json!({"phase": "Running", "note": {"by": 1}, "steps": [step]});
        let mut saga: StoredSaga = serde_json::from_value(
            json!({"metadata": {}, "spec": {"steps": []}, "status": status}),
        )
        .unwrap();
        let bytes = saga.strangers.as_ref().unwrap().bytes;
        assert_eq!(
            bytes,
            json!({"note": {"by": 1}, "steps": [{"name": "a", "colour": "red"}]}).to_string().len()
        );
        saga.status.as_mut().unwrap().steps[0].phase = crate::api::StepPhase::Completed;
        let written = serde_json::to_value(&saga).unwrap();
        let step = json!({"name": "a", "phase": "Completed", "colour": "red"});
        assert_eq!(
            written["status"],
            json!({"phase": "Running", "note": {"by": 1}, "steps": [step]})
        );
    }

    #[test]
    fn what_is_asked_for_on_deletion_is_read_out_of_any_spec() {
        let policy = |spec: &str| {
            let saga: StoredSaga =
                serde_json::from_str(&format!(r#"{{"metadata": {{}}, "spec": {spec}}}"#)).unwrap();
            (saga.deletion_policy, saga.spec.is_ok())
        };
        let deep =
            format!(r#"{{"params": {}, "deletionPolicy": "Abandon", "steps": []}}"#, nested(1000));
        for broken in [
            &deep,
            r#"{"steps": 7, "deletionPolicy": "Abandon"}"#,
            r#"{"onFailure": "Explode", "deletionPolicy": "Abandon"}"#,
        ] {
            assert_eq!(policy(broken), (DeletionPolicy::Abandon, false), "{broken}");
        }
        assert_eq!(
            policy(r#"{"steps": [], "deletionPolicy": "Abandon"}"#),
            (DeletionPolicy::Abandon, true)
        );
        for other in [r#"{"steps": []}"#, r#"{"steps": [], "deletionPolicy": "Keep"}"#, "7"] {
            assert_eq!(policy(other).0, DeletionPolicy::Compensate, "{other}");
        }
    }

    /// `depth` objects, each within the one before.
    fn nested(depth: usize) -> String {
        format!("{}1{}", r#"{"f:a":"#.repeat(depth), "}".repeat(depth))
    }

    #[test]
    fn a_saga_nested_too_deep_to_be_read_harms_no_other_one() {
        let deep = nested(1000);
        let saga = |spec: &str| {
            let managed = format!(r#"[{{"manager": "kubectl", "fieldsV1": {deep}}}]"#);
            let meta = format!(
                r#"{{"name": "a", "uid": "u", "finalizers": ["x/y"], "managedFields": {managed}}}"#
            );
            let status = r#"{"message": "m"}"#;
            format!(r#"{{"kind": "Saga", "metadata": {meta}, "spec": {spec}, "status": {status}}}"#)
        };
        let (deep, plain) = (saga(&deep), saga(r#"{"steps": []}"#));
        let what = r#""kind": "SagaList", "apiVersion": "saga.dev/v1alpha1""#;
        let list = format!(r#"{{{what}, "metadata": {{}}, "items": [{deep}, {plain}]}}"#);
        let list: kube::core::ObjectList<StoredSaga> = serde_json::from_str(&list).unwrap();
        let [deep, plain] = list.items.as_slice() else { panic!("{list:?}") };
        assert!(
            deep.spec.as_ref().unwrap_err().starts_with("spec: recursion limit exceeded"),
            "{:?}",
            deep.spec
        );
        assert_eq!(deep.metadata.finalizers, Some(vec!["x/y".into()]));
        assert_eq!(deep.status.as_ref().unwrap().message.as_deref(), Some("m"));
        assert_eq!(plain.spec.as_ref().unwrap().steps.len(), 0);
    }

    #[test]
    fn a_watch_goes_on_past_a_saga_nested_too_deep() {
        let event = format!(
            r#"{{"type": "ADDED", "object": {{"metadata": {{"name": "a"}}, "spec": {}}}}}"#,
            nested(1000)
        );
        let event: kube::core::WatchEvent<StoredSaga> = serde_json::from_str(&event).unwrap();
        assert!(matches!(event, kube::core::WatchEvent::Added(saga) if saga.spec.is_err()));
    }

    /// What a saga with these annotations and managed fields asks for: action, value, whether it is
    /// held in Git.
    fn asked(annotations: &Value, managed: &Value) -> Vec<(RequestAction, String, bool)> {
        let saga = json!({"metadata": {
            "name": "a", "annotations": annotations, "managedFields": managed,
        }});
        let saga: StoredSaga = serde_json::from_value(saga).unwrap();
        saga.asked.into_iter().map(|asked| (asked.action, asked.value, asked.held_in_git)).collect()
    }

    #[test]
    fn requests_are_read_in_the_order_in_which_they_are_handled() {
        let annotations = json!({
            "saga.dev/retry": "b", "saga.dev/compensate": "no", "other": "x",
            "saga.dev/handled": "7",
        });
        let expected = [
            (RequestAction::Compensate, "no".to_owned(), false),
            (RequestAction::Retry, "b".to_owned(), false),
        ];
        assert_eq!(asked(&annotations, &json!([])), expected);
    }

    #[test]
    fn a_number_that_no_request_has_counts_as_none() {
        for (text, handled) in
            [("7", 7), ("-1", 0), ("many", 0), ("9223372036854775808", 0), ("", 0)]
        {
            let saga: StoredSaga = serde_json::from_value(
                json!({"metadata": {"annotations": {"saga.dev/handled": text}}}),
            )
            .unwrap();
            assert_eq!(saga.handled, handled, "{text}");
        }
    }

    #[test]
    fn what_would_be_applied_again_is_held_in_git() {
        let applied = |value: &str| {
            json!({"metadata": {"annotations": {"saga.dev/retry": value}}, "spec": {}}).to_string()
        };
        let plain = |applied: String| {
            json!({
                "saga.dev/retry": "b",
                "kubectl.kubernetes.io/last-applied-configuration": applied,
            })
        };
        let held = |annotations: Value, managed: Value| asked(&annotations, &managed)[0].2;
        assert!(held(plain(applied("b")), json!([])));
        assert!(
            !held(plain(applied("c")), json!([])),
            "another value was applied: this one was asked for since"
        );
        assert!(!held(plain("no JSON".into()), json!([])));
        let owner = |operation: &str| {
            let fields = json!({"f:metadata": {"f:annotations": {"f:saga.dev/retry": {}}}});
            json!([{"operation": operation, "fieldsV1": fields}])
        };
        let bare = || json!({"saga.dev/retry": "b"});
        assert!(held(bare(), owner("Apply")));
        assert!(!held(bare(), owner("Update")));
        assert!(!held(bare(), json!([{"operation": "Apply", "fieldsV1": {"f:spec": {}}}, 7])));
    }

    #[test]
    fn the_hash_ignores_the_order_of_keys_and_sees_the_order_of_steps() {
        let hash = |text: &str| spec_hash(&serde_json::from_str(text).unwrap());
        assert_eq!(hash(r#"{"params":{"a":1,"b":2}}"#), hash(r#"{"params":{"b":2,"a":1}}"#));
        assert_ne!(
            hash(r#"{"steps":[{"name":"a"},{"name":"b"}]}"#),
            hash(r#"{"steps":[{"name":"b"},{"name":"a"}]}"#)
        );
        assert_eq!(hash(r#"{"maxParallel":1}"#), hash(r#"{"maxParallel":2}"#));
    }
}
