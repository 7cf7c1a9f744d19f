//! What a plan is made of, besides the saga.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::{observation::Observed, origin::Origin, skew::Skew, versions::Versions};
use crate::{
    api::{Asked, DeletionPolicy, Part, SagaStatus, status::Keys},
    fault::Fault,
};

/// What a circuit that is not closed lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// How many requests may begin now: 0, or 1 where it is half-open and its probe has not begun.
    pub left: usize,
    /// Until when it is open, by the wall clock; `None` where it is half-open.
    pub until: Option<Timestamp>,
}

/// All that a decision rests on, besides the valid saga.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are seen one by one, in any combination"
)]
pub struct Seen<'a> {
    /// `metadata.generation`.
    pub generation: i64,
    /// Whether the saga is being deleted.
    pub deleting: bool,
    /// Whether the saga's namespace is being deleted, so that it takes no new Pod. Only looked for
    /// where the saga is deleted and stands still.
    pub terminating: bool,
    /// Whether the saga has our finalizer.
    pub finalizer: bool,
    /// Whether the saga is the child of one that has our finalizer: it may still have to be undone
    /// after it ended.
    pub parent_holds: bool,
    /// The hash of the pinned fields as stored now.
    pub spec_hash: &'a str,
    /// What the spec asks for on deletion, even where the rest of it is not valid.
    pub deletion_policy: DeletionPolicy,
    /// The status as stored, or why it cannot be read.
    pub status: &'a Part<SagaStatus>,
    /// Message and conditions of a status that cannot be read.
    pub remains: &'a SagaStatus,
    /// What people ask for by annotation, in the order in which it is handled.
    pub asked: &'a [Asked],
    /// The highest number of a plain request that was handled and taken away; 0 where that is not
    /// known.
    pub handled: i64,
    /// Where the idempotency keys of the steps go on, by step, where the saga follows an earlier
    /// child saga.
    pub keys_from: &'a Keys,
    /// The children of the active attempts; of a deleted saga that goes as it is, those that no
    /// attempt follows any more as well, by the attempts that made them.
    pub children: &'a Observed,
    /// Whether succeeded Pods of the saga still exist.
    pub leftovers: bool,
    /// What came of trying a saga that is not accepted yet.
    pub precheck: &'a Precheck,
    /// Whether no policy guards requests, so that whoever may patch a saga may ask it for anything.
    pub patch_alone: bool,
    /// The id under which this process sends requests; empty while it has none, and then nothing
    /// begins.
    pub executor: &'a str,
    /// How far this process's clock may be from the API server's.
    pub skew: Skew,
    /// How many requests may begin now, by host and port. A host that is not named has room for
    /// all.
    pub room: &'a BTreeMap<String, usize>,
    /// The circuits that are not closed, and what they let through. Whatever is not named is
    /// closed.
    pub circuits: &'a BTreeMap<Origin, Gate>,
    /// What another version of the operator or of the definition has to do with the saga.
    pub versions: Versions<'a>,
    /// Whether this process begins nothing, because it is about to end or has no Lease: what is
    /// under way settles.
    pub draining: bool,
    /// Now, to the microsecond.
    pub now: Timestamp,
}

/// What earlier steps may bring about, so that what is missing may be there by then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MayCome {
    /// Objects are written: what is refused of others, and rights, may change by it.
    pub objects: bool,
    /// Secrets and `ConfigMap`s in the namespace of the saga. Requests make none there.
    pub secrets: bool,
    /// Namespaces and kinds, of which there is no telling who makes them.
    pub places: bool,
}

impl MayCome {
    /// What comes of a step whose action is of this kind, and of the steps of its child.
    pub(crate) fn after(kind: &str, child: Option<&Value>) -> Self {
        match kind {
            "apply" => Self { objects: true, secrets: true, places: true },
            "delete" => Self { objects: true, ..Self::default() },
            "pod" | "job" => Self { objects: false, secrets: true, places: true },
            "http" => Self { places: true, ..Self::default() },
            "saga" => child.map(Self::after_child).unwrap_or_default(),
            _ => Self::default(),
        }
    }

    /// The same of the steps of a child's spec, which holds at most eight others in each other.
    fn after_child(spec: &Value) -> Self {
        let steps = spec.get("steps").and_then(Value::as_array).into_iter().flatten();
        let actions = steps.filter_map(Value::as_object).flatten();
        actions
            .map(|(kind, action)| Self::after(kind, action.get("spec")))
            .fold(Self::default(), Self::with)
    }

    /// What comes of either.
    pub(crate) const fn with(self, other: Self) -> Self {
        Self {
            objects: self.objects || other.objects,
            secrets: self.secrets || other.secrets,
            places: self.places || other.places,
        }
    }
}

/// What came of the trial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precheck {
    /// What cannot work, all of it.
    pub refused: Vec<Fault>,
    /// The operations that could not be tried.
    pub unchecked: Vec<String>,
}
