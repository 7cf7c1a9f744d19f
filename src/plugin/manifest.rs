//! Reads the sagas of a file, or finds all faults of the file.
//!
//! # Guarantees
//! A saga is checked as the API server and the operator check it. Every fault names the document
//! and the field, and says what to write instead.

use serde_json::Value;

use super::fields;
use crate::{
    api::{GROUP, Saga, StoredSaga, UserRequest, VERSION},
    fault::Fault,
    model::saga::{SagaName, ValidSaga},
    validate::saga::validate_stored,
};

/// The namespace of a saga that names none, as in kubectl.
const NAMESPACE: &str = "default";
/// The UID of a saga that was not created in a cluster.
const UID: &str = "00000000-0000-0000-0000-000000000000";

/// One saga of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Manifest {
    /// The saga.
    pub(super) saga: ValidSaga,
    /// The requests in the annotations of the saga.
    pub(super) asked: Vec<UserRequest>,
    /// Whether the document has a status. The status is ignored: the API server also ignores it
    /// when a saga is created.
    pub(super) has_status: bool,
}

/// Returns the sagas of a file in the order of its documents, at least one.
///
/// # Errors
/// Returns one sentence for each fault.
pub(super) fn read(text: &str) -> Result<Vec<Manifest>, Vec<String>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)
        .map_err(|error| vec![format!("it is neither YAML nor JSON: {error}")])?;
    if documents.is_empty() {
        return Err(vec!["it is empty: write a Saga".into()]);
    }
    let (mut sagas, mut faults) = (Vec::new(), Vec::new());
    for (number, document) in (1..).zip(&documents) {
        let name = document.pointer("/metadata/name").and_then(Value::as_str);
        let place = name.map_or_else(
            || format!("document {number}"),
            |name| format!("document {number} ({name})"),
        );
        match manifest(document) {
            Ok(saga) => sagas.push(saga),
            Err(found) => faults.extend(found.into_iter().map(|fault| format!("{place}: {fault}"))),
        }
    }
    if faults.is_empty() { Ok(sagas) } else { Err(faults) }
}

fn manifest(document: &Value) -> Result<Manifest, Vec<Fault>> {
    let word = |field: &str| document.get(field).and_then(Value::as_str).unwrap_or_default();
    let wanted = (format!("{GROUP}/{VERSION}"), <Saga as kube::Resource>::kind(&()));
    if word("kind") != wanted.1 {
        let what = if word("kind").is_empty() {
            "something without a kind".into()
        } else {
            format!("a {}", word("kind"))
        };
        return Err(vec![Fault::new(
            "kind",
            format!("this is {what}: only a {} is simulated, leave all else out", wanted.1),
        )]);
    }
    if word("apiVersion") != wanted.0 {
        return Err(vec![Fault::new("apiVersion", format!("write {}", wanted.0))]);
    }
    let broken = |error: serde_json::Error| vec![Fault::new("metadata", error.to_string())];
    let mut faults = fields::unknown(document).map_err(broken)?;
    let stored: StoredSaga = serde_json::from_str(&document.to_string()).map_err(broken)?;
    let name = stored.metadata.name.clone().unwrap_or_default();
    if name.is_empty() {
        faults.push(Fault::new("metadata.name", "a saga has a name: write one such as order-1042"));
    }
    let namespace = stored.metadata.namespace.clone().unwrap_or_else(|| NAMESPACE.into());
    let who = SagaName {
        name,
        namespace,
        uid: stored.metadata.uid.clone().unwrap_or_else(|| UID.into()),
    };
    let saga = validate_stored(&who, &stored.spec).map_err(|found| faults.extend(found)).ok();
    // The annotations of a file are written again at each apply.
    let asked =
        stored.asked.into_iter().map(|asked| UserRequest { reapplied: true, ..asked }).collect();
    let has_status = document.get("status").is_some_and(|status| !status.is_null());
    match saga {
        Some(saga) if faults.is_empty() => Ok(Manifest { saga, asked, has_status }),
        Some(_) | None => Err(faults),
    }
}
