//! The part of the metadata of a stored saga that the operator reads.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::api::{
    HANDLED, KeysFrom, MAX_STEPS, RequestAction, UserRequest,
    names::{ANNOTATION_KEYS, LABEL_ATTEMPT, LABEL_DIRECTION, LABEL_STEP},
};

/// A number in an idempotency key that no saga reaches.
const MOST_KEYS: i64 = 1 << 40;
/// The annotation in which `kubectl apply` keeps what it applied last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The fields that are read of the metadata. All other fields are skipped.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
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
    /// Returns where the idempotency keys of the steps continue. The operator itself wrote the
    /// annotation, but it is still input.
    pub(super) fn keys_from(&self) -> BTreeMap<String, KeysFrom> {
        let text =
            self.annotations.as_ref().and_then(|annotations| annotations.get(ANNOTATION_KEYS));
        let read = text
            .and_then(|text| serde_json::from_str::<BTreeMap<String, KeysFrom>>(text).ok())
            .unwrap_or_default();
        // A saga has no more steps, so more entries are not the operator's.
        if read.len() > MAX_STEPS {
            return BTreeMap::new();
        }
        let counts = |keys: &KeysFrom| {
            [keys.action, keys.compensation].iter().all(|count| (0..=MOST_KEYS).contains(count))
        };
        let short = |keys: &KeysFrom| keys.child.as_ref().is_none_or(|child| child.len() <= 63);
        if read.values().all(|keys| counts(keys) && short(keys)) { read } else { BTreeMap::new() }
    }

    /// Returns what the annotations ask for, and the highest number of a request without a token
    /// that was handled and removed.
    pub(super) fn requests(&self) -> (Vec<UserRequest>, i64) {
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
            let reapplied = applied.get(action.annotation()) == Some(value)
                || owned.contains(action.annotation());
            UserRequest { action, value: value.clone(), reapplied }
        });
        (asked.collect(), handled.unwrap_or_default())
    }
}

/// Returns the annotations in the configuration that `kubectl apply` applied last; none if the
/// configuration cannot be read.
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

/// Returns the annotations that belong to field managers with server-side apply; none if the
/// managed fields cannot be read. Other fields are skipped without recursion, however deep they
/// are.
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
    /// Returns the metadata that is kept. Users may write any number of labels and owners, so only
    /// the labels of the operator and the owner that controls the saga are kept. Annotations and
    /// managed fields are left out, because `keys_from` and `requests` return all that is read of
    /// them. All finalizers are kept: a write of the finalizers sends the whole list.
    fn from(metadata: Metadata) -> Self {
        let is_read =
            |label: &String| [LABEL_STEP, LABEL_DIRECTION, LABEL_ATTEMPT].contains(&label.as_str());
        let labels = metadata.labels.map(|mut labels| {
            labels.retain(|label, _| is_read(label));
            labels
        });
        let owners = metadata.owner_references.map(|mut owners| {
            owners.retain(|owner| owner.controller == Some(true));
            owners.shrink_to_fit();
            owners
        });
        Self {
            name: metadata.name,
            namespace: metadata.namespace,
            uid: metadata.uid,
            resource_version: metadata.resource_version,
            generation: metadata.generation,
            creation_timestamp: metadata.creation_timestamp,
            deletion_timestamp: metadata.deletion_timestamp,
            finalizers: metadata.finalizers,
            labels,
            owner_references: owners,
            ..Self::default()
        }
    }
}
