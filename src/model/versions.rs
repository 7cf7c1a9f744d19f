//! What this version and the served CustomResourceDefinition (CRD) know of a saga.

use serde_json::Value;

use super::plan::Effect;
use crate::api::{
    SagaStatus, Strangers,
    names::AttemptId,
    shape::{KNOWN, Shape},
};

/// Status fields for users only. No decision rests on them.
pub(in crate::model) const TOLD_ONLY: [&str; 6] = [
    "status.currentSteps",
    "status.message",
    "status.progress",
    "status.retries",
    DOUBTED,
    THROTTLED,
];
/// The field for what a version of the operator finds wrong with an accepted spec.
pub(crate) const DOUBTED: &str = "status.doubted";
/// The field that says why the due attempt of a step does not begin.
pub(crate) const THROTTLED: &str = "status.steps[].throttled";

/// What another version wrote into a saga, and whether the cluster stores all that this version
/// writes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Versions<'a> {
    /// Fields and values of the spec that this version does not know, each as a sentence.
    pub spec: &'a [String],
    /// Values in the status that this version does not know, each as a sentence. A status with such
    /// a value cannot be read.
    pub words: &'a [String],
    /// Whether these values are found for the first time.
    pub words_are_news: bool,
    /// The size in bytes of the status fields that this version does not know.
    pub bytes: usize,
    /// The served CRD, if it lacks something.
    pub served: Option<&'a Served>,
    /// Whether another process has just rewritten the message texts in its own wording. Then this
    /// process does not rewrite them for now.
    pub rewording_waits: bool,
}

impl<'a> Versions<'a> {
    /// Combines what is stored in a saga with the served CRD if the CRD lacks something.
    #[must_use]
    pub fn of(strangers: Option<&'a Strangers>, served: Option<&'a Served>) -> Self {
        let none = Self { served, ..Self::default() };
        strangers.map_or(none, |strangers| Self {
            spec: &strangers.spec,
            words: &strangers.words,
            bytes: strangers.bytes,
            ..none
        })
    }

    /// Returns whether the stored status would change if the new status were written.
    pub(crate) fn differs(&self, old: &SagaStatus, new: &SagaStatus) -> bool {
        old != new && self.served.is_none_or(|served| served.pruned(old) != served.pruned(new))
    }

    /// Returns whether the cluster stores a field of the status, with all that stands in the field.
    pub(crate) fn stores(&self, field: &str) -> bool {
        self.served.is_none_or(|served| !served.lacks.iter().any(|lack| lack.starts_with(field)))
    }

    /// Removes the effects that would repeat at every reconcile because the CRD drops the
    /// difference: events, and attempts whose intent is not stored.
    pub(crate) fn without_record(effects: &mut Vec<Effect>, stands: impl Fn(&AttemptId) -> bool) {
        effects.retain(|effect| match effect {
            Effect::Begin { identity, .. } => stands(&identity.attempt),
            Effect::Publish(_) => false,
            Effect::Ask { .. }
            | Effect::Stop(_)
            | Effect::Sweep
            | Effect::Delete
            | Effect::TakeAway { .. } => true,
        });
    }
}

/// A CRD that drops or refuses some of what this version writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    shape: Shape,
    lacks: Vec<String>,
}

impl Served {
    /// Reads the schema of the status in a CRD. Returns `None` if the CRD accepts all that this
    /// version writes.
    #[must_use]
    pub fn new(status: &Value) -> Option<Self> {
        let shape = Shape::of("status", status);
        let lacks = shape.lacks(&KNOWN.status);
        (!lacks.is_empty()).then_some(Self { shape, lacks })
    }

    /// Returns all that the CRD lacks: paths of fields, and paths of enum values with the value.
    #[must_use]
    pub fn lacks(&self) -> &[String] {
        &self.lacks
    }

    /// Returns what the CRD lacks and decisions rest on.
    pub(crate) fn needed(&self) -> Vec<String> {
        self.lacks.iter().filter(|lack| !TOLD_ONLY.contains(&lack.as_str())).cloned().collect()
    }

    fn pruned(&self, status: &SagaStatus) -> Option<Value> {
        let mut status = serde_json::to_value(status).ok()?;
        self.shape.prune(&mut status);
        Some(status)
    }
}
