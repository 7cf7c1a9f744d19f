//! An object as the API server holds it. What cannot be read of one object affects no other object.
//!
//! A list or a watch fails as a whole if one of its objects does not parse. So nothing that a user
//! can write is parsed while the list is read. Without rights on sagas, a user can write into a Pod
//! or a Job what the API server accepts and the parser refuses: managed fields that are nested
//! deeper than the parser allows, or an instant that is later than the parser knows.
//!
//! # Guarantees
//! - The managed fields are not read at all.
//! - An object whose spec, status or metadata cannot be read is replaced by one with the readable
//!   fields of its metadata and a [mark](super::unreadable). Name, UID, version, labels and owners
//!   are readable although another part is not.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec, JobStatus},
        core::v1::{Namespace, NamespaceSpec, NamespaceStatus, Pod, PodSpec, PodStatus},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::Resource;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::unreadable::mark;
use crate::text::one_line;

/// An object that was read by its parts.
#[derive(Clone, Debug, Serialize)]
pub struct StoredObject<K>(pub K);

/// A kind whose objects are read by their parts.
pub trait InParts: Resource<DynamicType = ()> + Clone {
    /// The specification.
    type Spec: DeserializeOwned;
    /// The status.
    type Status: DeserializeOwned;

    /// Returns the object with these parts.
    fn of(metadata: ObjectMeta, spec: Option<Self::Spec>, status: Option<Self::Status>) -> Self;
}

impl InParts for Pod {
    type Spec = PodSpec;
    type Status = PodStatus;

    fn of(metadata: ObjectMeta, spec: Option<PodSpec>, status: Option<PodStatus>) -> Self {
        Self { metadata, spec, status }
    }
}

impl InParts for Job {
    type Spec = JobSpec;
    type Status = JobStatus;

    fn of(metadata: ObjectMeta, spec: Option<JobSpec>, status: Option<JobStatus>) -> Self {
        Self { metadata, spec, status }
    }
}

impl InParts for Namespace {
    type Spec = NamespaceSpec;
    type Status = NamespaceStatus;

    fn of(
        metadata: ObjectMeta,
        spec: Option<NamespaceSpec>,
        status: Option<NamespaceStatus>,
    ) -> Self {
        Self { metadata, spec, status }
    }
}

/// A field of which nothing is parsed yet.
type RawField = Box<RawValue>;

impl<'de, K: InParts> Deserialize<'de> for StoredObject<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Unparsed {
            #[serde(default)]
            metadata: BTreeMap<String, RawField>,
            spec: Option<RawField>,
            status: Option<RawField>,
        }
        let Unparsed { metadata, spec, status } = Unparsed::deserialize(deserializer)?;
        let mut fault = None;
        let mut metadata = read_metadata(&metadata, &mut fault);
        let spec = read("spec", spec.as_deref(), &mut fault);
        let status = read("status", status.as_deref(), &mut fault);
        // No part counts without the others: a status means nothing without its spec.
        let (spec, status) = if fault.is_none() { (spec, status) } else { (None, None) };
        mark(&mut metadata, fault);
        Ok(Self(K::of(metadata, spec, status)))
    }
}

/// Parses one field. If that fails, `fault` says why, unless it names an earlier field.
fn read<T: DeserializeOwned>(
    name: &str,
    raw: Option<&RawValue>,
    fault: &mut Option<String>,
) -> Option<T> {
    match serde_json::from_str::<Option<T>>(raw?.get()) {
        Ok(value) => value,
        Err(error) => {
            fault.get_or_insert_with(|| one_line(&format!("{name}: {error}")));
            None
        }
    }
}

/// Returns the metadata without the managed fields. A field that cannot be read is missing.
fn read_metadata(raw: &BTreeMap<String, RawField>, fault: &mut Option<String>) -> ObjectMeta {
    fn field<T: DeserializeOwned>(
        raw: &BTreeMap<String, RawField>,
        name: &str,
        fault: &mut Option<String>,
    ) -> Option<T> {
        read(&format!("metadata.{name}"), raw.get(name).map(Box::as_ref), fault)
    }
    ObjectMeta {
        annotations: field(raw, "annotations", fault),
        creation_timestamp: field(raw, "creationTimestamp", fault),
        deletion_grace_period_seconds: field(raw, "deletionGracePeriodSeconds", fault),
        deletion_timestamp: field(raw, "deletionTimestamp", fault),
        finalizers: field(raw, "finalizers", fault),
        generate_name: field(raw, "generateName", fault),
        generation: field(raw, "generation", fault),
        labels: field(raw, "labels", fault),
        managed_fields: None,
        name: field(raw, "name", fault),
        namespace: field(raw, "namespace", fault),
        owner_references: field(raw, "ownerReferences", fault),
        resource_version: field(raw, "resourceVersion", fault),
        self_link: None,
        uid: field(raw, "uid", fault),
    }
}

impl<K: InParts> Resource for StoredObject<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.meta_mut()
    }
}

#[cfg(test)]
mod tests;
