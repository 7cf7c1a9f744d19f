//! Two versions at work: what a replica of a later version writes into a status, and what a replica
//! of this version reads of that status.
//!
//! # Guarantees
//! The code by which the real operator reads and writes a saga decides what this version does not
//! know, and what happens to the unknown parts when this version writes.
//!
//! # Assumptions
//! The later version decides as this version does. It writes one more field into the status, and
//! into the status of each step that began. If the rules allow it, it also writes one more word
//! while the first attempt of an action is under way. The definition that the API server serves has
//! both.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::state::{
    object::{SagaObject, Shared},
    world::World,
};
use crate::{
    api::{
        Decoded, Direction, SagaStatus, StepPhase, names::AttemptId, status::active_attempts,
        with_strangers,
    },
    model::versions::Versions,
};

/// The field that only the later version knows.
const FIELD: &str = "dreamt";
/// The word that only the later version knows: a phase of the saga.
const WORD: &str = "Dreaming";

/// What a replica reads of a status.
pub(super) struct ReadStatus<'a> {
    pub(super) status: &'a Decoded<SagaStatus>,
    pub(super) salvaged: &'a SagaStatus,
    pub(super) versions: Versions<'a>,
}

/// Returns whether a replica is of the later version.
pub(super) fn is_later(world: &World, number: usize) -> bool {
    world.replicas.get(number).is_some_and(|replica| replica.later)
}

/// Returns what a replica reads of the status of a copy.
pub(super) fn read_status<'a>(
    world: &World,
    number: usize,
    copy: &'a SagaObject,
) -> ReadStatus<'a> {
    match copy.shared.as_deref().filter(|_| !is_later(world, number)) {
        Some(shared) => ReadStatus {
            status: &shared.status,
            salvaged: &shared.salvaged,
            versions: Versions::of(Some(&shared.strangers), None),
        },
        None => ReadStatus {
            status: &copy.status,
            salvaged: copy.status(),
            versions: Versions::default(),
        },
    }
}

/// Returns whether a replica can read the stored status.
pub(super) fn can_read(world: &World, number: usize) -> bool {
    is_later(world, number)
        || world.object().shared.as_ref().is_none_or(|shared| !shared.is_strange())
}

/// Returns the stored form of the status that a replica writes now; `None` if all replicas are of
/// one version.
pub(super) fn shared(world: &World, number: usize, status: &SagaStatus) -> Option<Arc<Shared>> {
    let later = world.rules.later?;
    let before = world.object().shared.as_deref();
    let kept = before.and_then(|shared| shared.strangers.fields.as_ref());
    let mut text = match kept {
        Some(fields) => with_strangers(status, fields),
        None => serde_json::to_value(status),
    }
    .unwrap_or_default();
    if is_later(world, number) {
        dream(&mut text, status, later.word);
    }
    Some(Arc::new(Shared::new(text)))
}

/// Adds what only the later version writes.
fn dream(text: &mut Value, status: &SagaStatus, word: bool) {
    let Some(fields) = text.as_object_mut() else { return };
    fields.insert(FIELD.into(), json!({ "by": "the later version" }));
    let first = |(id, _): (AttemptId, _)| id.number == 1 && id.direction == Direction::Action;
    if word && active_attempts(status).any(first) {
        fields.insert("phase".into(), json!(WORD));
    }
    let steps = fields.get_mut("steps").and_then(Value::as_array_mut).into_iter().flatten();
    for (step, text) in status.steps.iter().zip(steps) {
        if let Some(text) = text.as_object_mut().filter(|_| step.phase != StepPhase::Pending) {
            text.insert(FIELD.into(), json!(true));
        }
    }
}

/// Returns what only the later version knows of a status. The keys are the names of the steps, and
/// the empty name for the whole status.
pub(super) fn unknown(text: &Value) -> Map<String, Value> {
    let of =
        |name: &str, value: &Value| value.get(FIELD).map(|field| (name.to_owned(), field.clone()));
    let steps = text.get("steps").and_then(Value::as_array).into_iter().flatten();
    let named = steps.filter_map(|step| of(step.get("name")?.as_str()?, step));
    of("", text).into_iter().chain(named).collect()
}
