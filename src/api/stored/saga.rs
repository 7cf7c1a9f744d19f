//! A saga as stored: how it is read, and how a status write sends it.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json, value::RawValue};

use super::{
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
    /// The specification.
    pub spec: Decoded<SagaSpec>,
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
    /// `v1:` and the hash of the raw `steps`, `params` and `idempotencyPrefix`.
    pub spec_hash: String,
    /// The deletion policy, which is read even if the rest of the spec cannot be.
    pub deletion_policy: DeletionPolicy,
    /// What another version of the operator or of the definition knows and this version does not.
    pub strangers: Option<Box<Strangers>>,
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
        strangers.spec = spec.as_ref().map(strangers_of_spec).unwrap_or_default();
        let mut salvaged = SagaStatus::default();
        let status = match status {
            Ok(Value::Null) => Ok(SagaStatus::default()),
            Ok(status) => read_status(status, &mut strangers).map_err(|(status, sentence)| {
                salvaged = salvage(&status);
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
            salvaged,
            spec_hash,
            deletion_policy,
            strangers,
        })
    }
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
