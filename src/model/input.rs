//! The inputs of a plan, besides the saga.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde_json::Value;

use super::{observation::Observations, origin::Origin, skew::Skew, versions::Versions};
use crate::{
    api::{Decoded, DeletionPolicy, SagaStatus, UserRequest, status::Keys},
    fault::Fault,
};

/// What a breaker that is not closed admits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerAllowance {
    /// How many HTTP requests may begin now: 1 if the breaker is half-open and its probe has not
    /// begun, else 0.
    pub left: usize,
    /// Until when the breaker is open, by the wall clock; `None` if it is half-open.
    pub until: Option<Timestamp>,
}

/// A limit of this process that keeps HTTP requests from beginning, with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallLimit {
    /// The HTTP requests of one namespace in flight to one host.
    Host(usize),
    /// The HTTP requests of one namespace in flight.
    Namespace(usize),
    /// The HTTP requests of this process in flight.
    Process(usize),
    /// The name look-ups of one namespace under way.
    NamespaceLookups(usize),
    /// The name look-ups of this process under way.
    ProcessLookups(usize),
}

/// How many HTTP requests to a host may begin now, and the limit that lets no more begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallCapacity {
    /// How many HTTP requests may begin now.
    pub left: usize,
    /// The limit that lets no more begin.
    pub limit: CallLimit,
}

/// Everything that a decision rests on, besides the valid saga.
#[derive(Debug, Clone)]
pub struct PlanInput<'a> {
    /// The saga as it is stored.
    pub stored: StoredFacts<'a>,
    /// The requests of users.
    pub requests: OpenRequests<'a>,
    /// What was observed around the saga.
    pub surroundings: Surroundings<'a>,
    /// What this process may begin, and how well its clock is known.
    pub process: ThisProcess<'a>,
    /// What another version of the operator or of the CustomResourceDefinition (CRD) wrote or
    /// lacks.
    pub versions: Versions<'a>,
    /// The present instant, in whole microseconds.
    pub now: Timestamp,
}

/// The saga as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct StoredFacts<'a> {
    /// `metadata.generation`.
    pub generation: i64,
    /// Whether the saga is terminating.
    pub deleting: bool,
    /// Whether the saga has our finalizer.
    pub finalizer: bool,
    /// The hash of the pinned fields as they are stored now.
    pub spec_hash: &'a str,
    /// The spec's policy for deletion. It is known even if the rest of the spec is not valid.
    pub deletion_policy: DeletionPolicy,
    /// The stored status, or why it cannot be read.
    pub status: &'a Decoded<SagaStatus>,
    /// The message and the conditions of a status that cannot be read.
    pub salvaged: &'a SagaStatus,
    /// Where the idempotency keys of the steps continue, by step, if the saga follows an earlier
    /// child saga.
    pub keys_from: &'a Keys,
}

/// The requests of users.
#[derive(Debug, Clone, Copy)]
pub struct OpenRequests<'a> {
    /// The requests of users by annotation, in the order in which they are handled.
    pub asked: &'a [UserRequest],
    /// The highest number of a plain request whose annotation was handled and removed; 0 if no
    /// number is known.
    pub handled: i64,
    /// Whether no policy guards requests. Then anyone who may patch a saga may make any request.
    pub patch_alone: bool,
}

/// What was observed around the saga.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The children of the active attempts. If a deleted saga is released without being undone,
    /// also the children that belong to no active attempt, by the attempts that created them.
    pub children: &'a Observations,
    /// Whether Pods or Jobs of the saga still exist that are no longer needed: those of an ended
    /// saga that succeeded, and those of old failed attempts of any other saga.
    pub leftovers: bool,
    /// Whether the saga's namespace is terminating and so takes no new Pod. The namespace is read
    /// only if the saga is terminating and waits for a user.
    pub terminating: bool,
    /// Whether the saga is the child of a saga that has our finalizer. Then the parent may still
    /// have to undo the saga after it ended.
    pub parent_holds: bool,
    /// The result of the precheck of a saga that is not accepted yet; `None` if the saga was not
    /// prechecked.
    pub precheck: Option<&'a Precheck>,
}

/// What this process may begin, and how well its clock is known. The default is a process without
/// an executor that knows of no limits.
#[derive(Debug, Clone, Default)]
pub struct ThisProcess<'a> {
    /// The executor of this process; `None` while the process has none, and then nothing begins.
    pub executor: Option<&'a str>,
    /// Whether this process begins nothing, because it is about to end or has no Lease. Active
    /// attempts still settle.
    pub draining: bool,
    /// How far this process's clock may be from the API server's clock.
    pub skew: Skew,
    /// How many HTTP requests may begin now, by host. A host that is not listed has no limit.
    pub host_capacity: BTreeMap<String, CallCapacity>,
    /// The breakers that are not closed, and what they admit. An origin that is not listed has a
    /// closed breaker.
    pub circuits: BTreeMap<Origin, BreakerAllowance>,
}

/// What earlier steps may create or change. A thing that is missing now may exist when a later step
/// begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MayProvide {
    /// Objects may be written. A write may change permissions, and whether the API server refuses
    /// other objects.
    pub objects: bool,
    /// Secrets and `ConfigMap`s in the namespace of the saga may be created. HTTP requests create
    /// none there.
    pub secrets: bool,
    /// Namespaces and kinds may be created. Nothing tells which steps create them.
    pub places: bool,
}

impl MayProvide {
    /// Returns what a step may create. `kind` is the kind of its action. `child` is the spec of its
    /// child saga.
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

    /// Combines what the steps of a child's spec may create. The recursion is bounded, because
    /// child sagas are nested at most eight deep.
    fn after_child(spec: &Value) -> Self {
        let steps = spec.get("steps").and_then(Value::as_array).into_iter().flatten();
        let actions = steps.filter_map(Value::as_object).flatten();
        actions
            .map(|(kind, action)| Self::after(kind, action.get("spec")))
            .fold(Self::default(), Self::with)
    }

    /// Returns what one or the other may create.
    pub(crate) const fn with(self, other: Self) -> Self {
        Self {
            objects: self.objects || other.objects,
            secrets: self.secrets || other.secrets,
            places: self.places || other.places,
        }
    }
}

/// The result of a precheck.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precheck {
    /// The faults with which the saga cannot work.
    pub refused: Vec<Fault>,
    /// How many further operations were not tried, because so many were refused already.
    pub untried: usize,
    /// The wait before a refused saga is tried again; `None` if a trial is under way or if the saga
    /// is not refused.
    pub again: Option<Duration>,
    /// The operations that could not be tried.
    pub unchecked: Vec<String>,
}
