//! The status as it is stored, which may hold what another version wrote.

use serde::Deserialize;
use serde_json::Value;

use super::part::parse;
use crate::api::{SagaStatus, rules, shape::take_strangers};

/// Fields and enumeration values of a stored saga that this version does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strangers {
    /// Fields and values of the spec, each as a sentence that begins with its path: the first of
    /// them.
    pub spec: Vec<String>,
    /// Values of the status, each as a sentence that begins with its path. With one of them, the
    /// status counts as unreadable.
    pub words: Vec<String>,
    /// Fields of the status, each in its place. Every write keeps them.
    pub fields: Option<Value>,
    /// The size of these fields in bytes.
    pub bytes: usize,
}

/// Returns the status without what another version wrote, which is added to `strangers`.
///
/// # Errors
/// If the status cannot be parsed: the JSON value, and why it cannot be parsed.
pub fn read_status(
    mut status: Value,
    strangers: &mut Strangers,
) -> Result<SagaStatus, (Value, String)> {
    strangers.fields = take_strangers(&mut status, &mut strangers.words);
    strangers.bytes = strangers.fields.as_ref().map_or(0, |fields| fields.to_string().len());
    if !strangers.words.is_empty() {
        return Err((
            status,
            format!("{}: a word that this version does not know", strangers.words.join(", ")),
        ));
    }
    parse("status", &status).map_err(|sentence| (status, sentence))
}

/// Returns what the operator itself wrote into a status that it cannot read, so that it does not
/// write the same again and again.
#[must_use]
pub fn salvage(status: &Value) -> SagaStatus {
    let message = status.get("message").and_then(Value::as_str).map(str::to_owned);
    let conditions = status
        .get("conditions")
        .and_then(|conditions| Vec::deserialize(conditions).ok())
        .unwrap_or_default();
    SagaStatus { message, conditions, ..SagaStatus::default() }
}

/// Returns a status for a write, with what another version wrote into the previous status.
///
/// # Errors
/// If the status is no JSON.
pub fn with_strangers(status: &SagaStatus, fields: &Value) -> serde_json::Result<Value> {
    let mut status = serde_json::to_value(status)?;
    rules::put_back(&mut status, fields);
    Ok(status)
}
