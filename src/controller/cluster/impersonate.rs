//! The accounts of sagas, which the operator impersonates when it reads and writes objects.

use std::fmt;

use serde_json::Value;

use crate::{
    api::{ApplyAction, ObjectRef},
    model::saga::ValidSaga,
};

/// One object, and the account that the operator impersonates to access it.
#[derive(Clone, Copy)]
pub(in crate::controller) struct ObjectTarget<'a> {
    pub(in crate::controller) account: Account<'a>,
    pub(in crate::controller) api_version: &'a str,
    pub(in crate::controller) kind: &'a str,
    pub(in crate::controller) name: &'a str,
    pub(in crate::controller) namespace: Option<&'a str>,
}

impl<'a> ObjectTarget<'a> {
    /// Returns the target for the object that `object` names.
    pub(in crate::controller) fn of(account: Account<'a>, object: &'a ObjectRef) -> Self {
        let ObjectRef { api_version, kind, name, namespace } = object;
        Self { account, api_version, kind, name, namespace: namespace.as_deref() }
    }

    /// Returns the target for the object that `action` applies. A field that the manifest lacks is
    /// empty.
    pub(in crate::controller) fn applied(account: Account<'a>, action: &'a ApplyAction) -> Self {
        let text = |pointer: &str| action.manifest.pointer(pointer).and_then(Value::as_str);
        let [api_version, kind, name] = ["/apiVersion", "/kind", "/metadata/name"]
            .map(|pointer| text(pointer).unwrap_or_default());
        Self { account, api_version, kind, name, namespace: text("/metadata/namespace") }
    }
}

/// A `ServiceAccount`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account<'a> {
    /// The namespace of the account, which is the namespace of the saga.
    pub namespace: &'a str,
    /// The name of the account.
    pub name: &'a str,
}

impl fmt::Display for Account<'_> {
    /// Writes the user name that the API server gives a `ServiceAccount`:
    /// `system:serviceaccount:shop:order-saga`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "system:serviceaccount:{}:{}", self.namespace, self.name)
    }
}

/// Returns the target for a child saga of this name, with the account of its parent `saga`.
pub(in crate::controller) fn target<'a>(
    saga: &'a ValidSaga,
    name: &'a str,
    api_version: &'a str,
) -> ObjectTarget<'a> {
    let account = Account { namespace: &saga.namespace, name: &saga.service_account };
    ObjectTarget { account, api_version, kind: "Saga", name, namespace: Some(&saga.namespace) }
}
