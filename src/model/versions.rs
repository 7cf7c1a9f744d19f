//! What this version and the served definition know of a saga.

use serde_json::Value;

use super::plan::Effect;
use crate::api::{
    SagaStatus, Strangers,
    names::AttemptId,
    shape::{KNOWN, Shape},
};

/// Fields of the status that tell a person something, and that no decision rests on.
pub(crate) const TOLD_ONLY: [&str; 5] = [
    "status.acceptedBy",
    "status.currentSteps",
    "status.message",
    "status.progress",
    "status.retries",
];

/// What another version knows of a saga, and what becomes of what this one writes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Versions<'a> {
    /// Fields and words of the spec that this version does not know, each as a sentence.
    pub spec: &'a [String],
    /// Words of the status that this version does not know, each as a sentence: with one of them it
    /// cannot be read.
    pub words: &'a [String],
    /// Whether these were met for the first time.
    pub words_are_news: bool,
    /// How many bytes the fields of the status take that this version does not know.
    pub bytes: usize,
    /// The definition that is served, where it lacks something.
    pub served: Option<&'a Served>,
    /// Whether another process has just put its own words for what is said, and gets the last one
    /// for now.
    pub words_wait: bool,
}

impl<'a> Versions<'a> {
    /// What stands in a stored saga, and the definition that is served where it lacks something.
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

    /// Whether a status is another one once it is written.
    pub(crate) fn differs(&self, old: &SagaStatus, new: &SagaStatus) -> bool {
        old != new && self.served.is_none_or(|served| served.pruned(old) != served.pruned(new))
    }

    /// Takes out of the effects what would come again at each look, where a difference cannot be
    /// written: events, and attempts whose intent does not stand.
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

/// A definition that takes away, or refuses, some of what this version writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    shape: Shape,
    lacks: Vec<String>,
}

impl Served {
    /// The definition whose status has this schema; `None` where it takes all that this version
    /// writes.
    #[must_use]
    pub fn new(status: &Value) -> Option<Self> {
        let shape = Shape::of("status", status);
        let lacks = shape.lacks(&KNOWN.status);
        (!lacks.is_empty()).then_some(Self { shape, lacks })
    }

    /// All that it lacks: paths of fields, and of words with the word.
    #[must_use]
    pub fn lacks(&self) -> &[String] {
        &self.lacks
    }

    /// What it lacks of that which decisions rest on.
    pub(crate) fn needed(&self) -> Vec<String> {
        self.lacks.iter().filter(|lack| !TOLD_ONLY.contains(&lack.as_str())).cloned().collect()
    }

    fn pruned(&self, status: &SagaStatus) -> Option<Value> {
        let mut status = serde_json::to_value(status).ok()?;
        self.shape.prune(&mut status);
        Some(status)
    }
}
