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

use super::{
    Object,
    sink::Sink,
    state::{shared::Shared, world::World},
};
use crate::{
    api::{Direction, Part, SagaStatus, StepPhase, status::active_attempts, with_strangers},
    model::versions::Versions,
};

/// The field that only the later version knows.
pub(super) const FIELD: &str = "dreamt";
/// The word that only the later version knows: a phase of the saga.
const WORD: &str = "Dreaming";

/// What a replica reads of a status.
pub(super) struct View<'a> {
    pub(super) status: &'a Part<SagaStatus>,
    pub(super) remains: &'a SagaStatus,
    pub(super) versions: Versions<'a>,
}

/// Returns whether a replica is of the later version.
pub(super) fn is_later(world: &World, number: usize) -> bool {
    world.processes.get(number).is_some_and(|process| process.later)
}

/// Returns what a replica reads of the status of a copy.
pub(super) fn view<'a>(world: &World, number: usize, copy: &'a Object) -> View<'a> {
    match copy.shared.as_deref().filter(|_| !is_later(world, number)) {
        Some(shared) => View {
            status: &shared.status,
            remains: &shared.remains,
            versions: Versions::of(Some(&shared.strangers), None),
        },
        None => {
            View { status: &copy.status, remains: copy.status(), versions: Versions::default() }
        }
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

/// Writes the part of a fingerprint that covers the version of a replica.
pub(super) fn version_into(world: &World, sink: &mut Sink<'_>, number: usize) {
    if world.rules.later.is_some() {
        sink.flag(is_later(world, number));
    }
}

pub(super) fn shared_into(sink: &mut Sink<'_>, object: &Object) {
    if let Some(shared) = &object.shared {
        sink.flag(shared.is_strange());
        let fields = unknown(&shared.text);
        sink.count(fields.len());
        fields.keys().flat_map(|name| name.bytes()).for_each(|byte| sink.put(byte.into()));
    }
}

/// Adds what only the later version writes.
fn dream(text: &mut Value, status: &SagaStatus, word: bool) {
    let Some(fields) = text.as_object_mut() else { return };
    fields.insert(FIELD.into(), json!({ "by": "the later version" }));
    let first = |(id, _): (crate::api::names::AttemptId, _)| {
        id.number == 1 && id.direction == Direction::Action
    };
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
