//! A saga as stored: how it is read, and how a status write sends it.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json, value::RawValue};

use super::{
    large::LargeSpec,
    metadata::Metadata,
    part::{Decoded, parse, tree},
    spec::{deletion_policy, spec_hash},
    status::{Strangers, read_status, salvage, with_strangers},
};
use crate::api::{
    DeletionPolicy, KeysFrom, Saga, SagaSpec, SagaStatus, UserRequest, shape::strangers_of_spec,
};

/// A saga as stored. Spec and status are parsed separately: a malformed part affects neither the
/// other part nor another saga.
#[derive(Clone, Debug)]
pub struct StoredSaga {
    /// The metadata of the object: identity, versions, instants, finalizers, labels and owners.
    pub metadata: ObjectMeta,
    /// The specification. An error if it is too large to be kept, also if the saga was accepted:
    /// only a [`WholeSaga`] holds the spec of such a saga.
    pub spec: Decoded<SagaSpec>,
    /// What stays of a spec that is too large, or nested too deep, to be kept.
    pub large: Option<Box<LargeSpec>>,
    /// The status; the default if there is none.
    pub status: Decoded<SagaStatus>,
    /// If the status does not parse: its message and conditions, as far as they can be read.
    /// Otherwise the default.
    pub salvaged: SagaStatus,
    /// What users ask for by annotation, in the order in which requests are handled. The other
    /// annotations are not kept.
    pub asked: Vec<UserRequest>,
    /// The value of the annotation `saga.dev/handled`; 0 if there is none, or if it is no number.
    pub handled: i64,
    /// Where the idempotency keys of its steps continue, by step, as the annotation says; empty if
    /// there is no readable annotation.
    pub keys_from: BTreeMap<String, KeysFrom>,
    /// `v1:` and the hash of the raw `steps`, `params` and `idempotencyPrefix`. Of a spec that was
    /// not parsed, this is the hash of no spec.
    pub spec_hash: String,
    /// The deletion policy, which is read even if the rest of the spec cannot be.
    pub deletion_policy: DeletionPolicy,
    /// What another version of the operator or of the definition knows and this version does not.
    pub strangers: Option<Box<Strangers>>,
}

/// How much of a large spec is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// What is read of every spec.
    Outline,
    /// All of it, if the saga was accepted.
    Whole,
}

/// The parts of a saga, each as the text that the API server sent.
#[derive(Deserialize)]
struct RawSaga {
    metadata: Metadata,
    spec: Option<Box<RawValue>>,
    status: Option<Box<RawValue>>,
}

impl<'de> Deserialize<'de> for StoredSaga {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RawSaga::deserialize(deserializer).map(|raw| Self::read(raw, Extent::Outline))
    }
}

/// A saga whose spec is parsed although it is large, because the saga was accepted: an earlier
/// version knew no bound. Whoever reads one takes care that the process holds one at a time.
#[derive(Clone, Debug)]
pub struct WholeSaga(pub StoredSaga);

impl<'de> Deserialize<'de> for WholeSaga {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RawSaga::deserialize(deserializer).map(|raw| Self(StoredSaga::read(raw, Extent::Whole)))
    }
}

impl StoredSaga {
    fn read(raw: RawSaga, extent: Extent) -> Self {
        let RawSaga { metadata, spec, status } = raw;
        let mut strangers = Strangers::default();
        let mut salvaged = SagaStatus::default();
        let status = match tree("status", status.as_deref()) {
            Ok(Value::Null) => Ok(SagaStatus::default()),
            Ok(status) => read_status(status, &mut strangers).map_err(|(status, sentence)| {
                salvaged = salvage(&status);
                sentence
            }),
            Err(sentence) => Err(sentence),
        };
        let deletion_policy = deletion_policy(spec.as_deref());
        let large = spec.as_deref().and_then(LargeSpec::of).map(Box::new);
        let spec = match &large {
            Some(large) if extent == Extent::Outline || !is_accepted(&status) => {
                Err(large.refusal())
            }
            Some(_) | None => tree("spec", spec.as_deref()),
        };
        // Nothing is compared with the hash of a spec that was not read: such a saga was never
        // accepted, or it is read whole before anything is decided.
        let spec_hash = spec
            .as_ref()
            .map_or_else(|sentence| spec_hash(&json!({ "steps": sentence })), spec_hash);
        strangers.spec = spec.as_ref().map(strangers_of_spec).unwrap_or_default();
        let (asked, handled) = metadata.requests();
        let keys_from = metadata.keys_from();
        let spec = spec.and_then(|spec| parse("spec", &spec));
        let strangers = (strangers != Strangers::default()).then(|| Box::new(strangers));
        Self {
            metadata: metadata.into(),
            asked,
            handled,
            keys_from,
            spec,
            large,
            status,
            salvaged,
            spec_hash,
            deletion_policy,
            strangers,
        }
    }

    /// Returns whether the saga was accepted, by this version or by another one.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        is_accepted(&self.status)
    }

    /// Returns whether nothing may be decided before the saga is read as a [`WholeSaga`]: it was
    /// accepted, and its spec is too large to be kept.
    #[must_use]
    pub fn is_to_be_read_whole(&self) -> bool {
        self.large.is_some() && self.is_accepted()
    }

    /// Returns the ServiceAccount as which the steps act, or `None` if the spec cannot be read.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        match (&self.spec, &self.large) {
            (Ok(spec), _) => Some(spec.account()),
            (Err(_), Some(large)) => large.account.as_deref(),
            (Err(_), None) => None,
        }
    }

    /// Returns the saga's `spec.suspend`.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        match (&self.spec, &self.large) {
            (Ok(spec), _) => spec.suspend.unwrap_or_default(),
            (Err(_), Some(large)) => large.suspended,
            (Err(_), None) => false,
        }
    }

    /// Returns whether the fields that may never change are the same in both copies.
    #[must_use]
    pub fn has_steps_of(&self, other: &Self) -> bool {
        match (&self.large, &other.large) {
            (None, None) => self.spec_hash == other.spec_hash,
            // One of the copies may hold the spec and the other may not.
            (Some(own), Some(others)) => own.pinned == others.pinned,
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
}

fn is_accepted(status: &Decoded<SagaStatus>) -> bool {
    status.as_ref().is_ok_and(|status| status.spec_hash.is_some())
}

impl Serialize for StoredSaga {
    /// Serializes the object for a status write: identity, version and status, with what another
    /// version wrote into the status. The API server ignores a spec in such a write.
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
