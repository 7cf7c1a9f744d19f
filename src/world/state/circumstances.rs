//! What surrounds a world and no move changes: what a test arranges, and the model leaves alone.

use std::collections::BTreeMap;

use super::attempt::AttemptRef;
use crate::model::{
    input::{BreakerAllowance, CallCapacity, Precheck},
    observation::{End, PodTrouble},
    origin::Origin,
    skew::Skew,
    versions::Served,
};

/// What surrounds a saga, apart from what the moves of a world change. The default surrounds a saga
/// with nothing: no limits, no terminating namespace, no parent, no words of a service.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are true one by one, in any combination"
)]
pub struct Circumstances {
    /// Whether no admission policy guards requests.
    pub patch_alone: bool,
    /// Whether Pods of the saga still exist that are no longer needed.
    pub leftovers: bool,
    /// Whether the namespace of the saga is terminating.
    pub terminating: bool,
    /// Whether the saga is the child of a saga that has the finalizer.
    pub parent_holds: bool,
    /// The result of the precheck; `None` if the saga was not prechecked.
    pub precheck: Option<Precheck>,
    /// Whether the replicas begin nothing, because they are about to end.
    pub draining: bool,
    /// How far the clock of a replica may be from the API server's clock; `None` if the replicas
    /// compare their clocks.
    pub skew: Option<Skew>,
    /// How many HTTP requests may begin, by host. A host that is not listed has no limit.
    pub host_capacity: BTreeMap<String, CallCapacity>,
    /// The breakers that are not closed.
    pub circuits: BTreeMap<Origin, BreakerAllowance>,
    /// The served definition, if that definition lacks something.
    pub served: Option<Served>,
    /// What keeps attempts from beginning.
    pub creation_faults: BTreeMap<AttemptRef, CreationFaults>,
    /// How attempts end in the words of the service or of the child. The words stand for those of
    /// the world, which knows only what was done.
    pub answers: BTreeMap<AttemptRef, End>,
    /// The text that the API server puts in front of every message about a child.
    pub talk: String,
    /// The trouble that keeps every child from making progress.
    pub trouble: Option<PodTrouble>,
}

/// What keeps an attempt from beginning, before it begins after all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CreationFaults {
    /// How many times the creation is lost before it arrives.
    pub lost: u32,
    /// How many times the API server refuses to create the child after that. An HTTP request is
    /// refused by nobody.
    pub refused: u32,
}
