//! The accounts of sagas, in whose name the operator reads and writes.

use std::fmt;

use serde_json::Value;

use crate::api::{ApplyAction, ObjectRef};

/// One object, as one account.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) account: Account<'a>,
    pub(crate) api_version: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) name: &'a str,
    pub(crate) namespace: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// The object that is named.
    pub(crate) fn of(account: Account<'a>, object: &'a ObjectRef) -> Self {
        let ObjectRef { api_version, kind, name, namespace } = object;
        Self { account, api_version, kind, name, namespace: namespace.as_deref() }
    }

    /// The object that is applied.
    pub(crate) fn applied(account: Account<'a>, action: &'a ApplyAction) -> Self {
        let text = |pointer: &str| action.manifest.pointer(pointer).and_then(Value::as_str);
        let [api_version, kind, name] = ["/apiVersion", "/kind", "/metadata/name"]
            .map(|pointer| text(pointer).unwrap_or_default());
        Self { account, api_version, kind, name, namespace: text("/metadata/namespace") }
    }
}

/// A `ServiceAccount`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account<'a> {
    /// Its namespace, which is the saga's.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

impl fmt::Display for Account<'_> {
    /// The user name that the API server gives a `ServiceAccount`:
    /// `system:serviceaccount:shop:order-saga`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "system:serviceaccount:{}:{}", self.namespace, self.name)
    }
}
