//! Two versions at work: what another version of the operator wrote into a saga, and what the definition that is served takes away.
//!
//! # Guarantees
//! What this version does not know is never acted on as if it were not there. What the API server takes away when a status is written is no
//! difference to be written: no saga is written again and again for it.

use serde_json::Value;

use super::{
    Seen,
    effect::{Effect, Finalizer, Notice, Plan, Tally},
    plan::release,
    summary::Hold,
};
use crate::api::{
    DeletionPolicy, RELEASE, SagaStatus, Strangers,
    names::AttemptId,
    shape::{KNOWN, Shape},
};

/// Fields of the status that tell a person something, and that no decision rests on.
const TOLD_ONLY: [&str; 5] = ["status.acceptedBy", "status.currentSteps", "status.message", "status.progress", "status.retries"];
/// How many lacks are named.
const SHOWN: usize = 5;

/// What another version knows of a saga, and what becomes of what this one writes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Versions<'a> {
    /// Fields and words of the spec that this version does not know, each as a sentence.
    pub spec: &'a [String],
    /// Words of the status that this version does not know, each as a sentence: with one of them it cannot be read.
    pub words: &'a [String],
    /// Whether these were met for the first time.
    pub words_are_news: bool,
    /// How many bytes the fields of the status take that this version does not know.
    pub bytes: usize,
    /// The definition that is served, where it lacks something.
    pub served: Option<&'a Served>,
    /// Whether another process has just put its own words for what is said, and gets the last one for now.
    pub words_wait: bool,
}

impl<'a> Versions<'a> {
    /// What stands in a stored saga, and the definition that is served where it lacks something.
    #[must_use]
    pub fn of(strangers: Option<&'a Strangers>, served: Option<&'a Served>) -> Self {
        let none = Self { served, ..Self::default() };
        strangers.map_or(none, |strangers| Self { spec: &strangers.spec, words: &strangers.words, bytes: strangers.bytes, ..none })
    }

    /// Whether a status is another one once it is written.
    pub(super) fn differs(&self, old: &SagaStatus, new: &SagaStatus) -> bool {
        old != new && self.served.is_none_or(|served| served.pruned(old) != served.pruned(new))
    }

    /// Takes out of the effects what would come again at each look, where a difference cannot be written: events, and attempts whose intent
    /// does not stand.
    pub(super) fn without_record(effects: &mut Vec<Effect>, stands: impl Fn(&AttemptId) -> bool) {
        effects.retain(|effect| match effect {
            Effect::Begin { identity, .. } => stands(&identity.attempt),
            Effect::Publish(_) => false,
            Effect::Ask { .. } | Effect::Stop(_) | Effect::Sweep | Effect::Delete | Effect::TakeAway { .. } => true,
        });
    }
}

/// Why a saga is not accepted although its spec is valid.
pub(super) fn refused(status: &SagaStatus, seen: &Seen<'_>) -> Option<Hold> {
    if status.spec_hash.is_some() || seen.deleting {
        return None;
    }
    let needed = seen.versions.served.map(Served::needed).unwrap_or_default();
    if !needed.is_empty() {
        return Some(Hold::DefinitionTooOld(needed));
    }
    (!seen.precheck.refused.is_empty()).then(|| Hold::Refused(seen.precheck.refused.clone()))
}

/// A saga in whose status words of another version stand: nothing is known of it, and nothing is written, but that it goes where it is to be
/// given up.
pub(super) fn leave_alone(seen: &Seen<'_>) -> Plan {
    if seen.deleting && seen.deletion_policy == DeletionPolicy::Abandon {
        let message = "deletionPolicy is Abandon: the saga goes as it is; what is still in effect stands in a status of another version";
        return release(Some(Notice { warning: true, reason: "Abandoned", message: message.into() }));
    }
    let message = || {
        format!(
            "{}: words of another version, so that this operator leaves the saga to one of that version; nothing is done or written until then",
            seen.versions.words.join(", ")
        )
    };
    let told = seen.versions.words_are_news.then(|| Effect::Publish(Notice { warning: true, reason: "UnknownWord", message: message() }));
    Plan::new(None, Finalizer::Keep, None, Tally::default(), told.into_iter().collect())
}

/// A definition that takes away, or refuses, some of what this version writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    shape: Shape,
    lacks: Vec<String>,
}

impl Served {
    /// The definition whose status has this schema; `None` where it takes all that this version writes.
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
    pub(super) fn needed(&self) -> Vec<String> {
        self.lacks.iter().filter(|lack| !TOLD_ONLY.contains(&lack.as_str())).cloned().collect()
    }

    fn pruned(&self, status: &SagaStatus) -> Option<Value> {
        let mut status = serde_json::to_value(status).ok()?;
        self.shape.prune(&mut status);
        Some(status)
    }
}

/// What a person is told of a definition that is too old.
pub(super) fn too_old(lacks: &[String]) -> String {
    let mut shown = lacks.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if let Some(more) = lacks.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        shown = format!("{shown} and {more} more");
    }
    format!(
        "the definition of sagas.saga.dev in this cluster is older than the operator, and would lose what has to be recorded ({shown}): apply \
         that of version {RELEASE} (crds/sagas.yaml, or what saga-operator crd prints); nothing starts until then"
    )
}
