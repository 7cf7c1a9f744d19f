//! The simulated world of `saga_operator::world`, with one process, for stories: the services
//! follow scripts, users edit and annotate the saga, and the clock advances only to instants that
//! the engine or a service determines.
//!
//! The simulated world observes, records and performs. This module stores the saga in it as users
//! leave it, ends the attempts as their scripts say, and asserts what must hold of every plan and
//! every write. A saga is reconciled only if its object changed, a child ended, or its plan asked
//! for a requeue. A saga that rests although it is not done has lost a wake-up.

mod people;
mod reconcile;
mod record;
mod time;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use saga_operator::{
    api::{Direction, SagaSpec, StoredSaga, shape::Shape},
    fault::Fault,
    model::{
        input::{BreakerAllowance, CallCapacity, CallLimit, Precheck},
        origin::Origin,
        plan::Notice,
        saga::{SagaName, ValidSaga},
        skew::Skew,
        versions::Served,
    },
    validate::saga::validate,
    world::{ReplicaFault, Rules, World as Simulated, stage},
};
use serde_json::{Value, json};

use crate::{saga::Draft, services::Services};

/// When every world begins: 2026-01-01T00:00:00Z.
pub const DAWN: i64 = 1_767_225_600;
const UID: &str = "0d1c5a2e";

pub struct World {
    pub spec: SagaSpec,
    pub saga: Result<ValidSaga, Vec<Fault>>,
    pub generation: i64,
    pub deleting: bool,
    /// Whether the namespace is terminating, too.
    pub terminating: bool,
    pub finalizer: bool,
    /// Whether the saga is the child of a saga that has the finalizer.
    pub parent_holds: bool,
    /// How many HTTP requests may begin to a host, if that number is limited.
    pub host_capacity: BTreeMap<String, CallCapacity>,
    /// The circuits that are not closed.
    pub circuits: BTreeMap<Origin, BreakerAllowance>,
    /// The result of the precheck of the saga.
    pub precheck: Precheck,
    /// Whether no admission policy guards requests.
    pub patch_alone: bool,
    /// The schema of the status that is served, if it is not that of this version.
    pub served: Option<(Shape, Option<Served>)>,
    /// Fields and words of the spec that this version does not know.
    pub strange: Vec<String>,
    /// How far the clock of this process may differ from that of the API server.
    pub skew: Skew,
    /// Whether the process is about to end.
    pub draining: bool,
    /// Whether the object no longer exists.
    pub gone: bool,
    pub stored: StoredSaga,
    /// The status as stored.
    pub raw: Value,
    /// The annotations that users and the operator wrote on the saga.
    pub annotations: BTreeMap<String, String>,
    /// Whether an applied manifest holds the annotations.
    pub reapplied: bool,
    pub now: Timestamp,
    pub services: Services,
    /// How many times the process died.
    pub crashes: usize,
    /// How many times the status was written.
    pub writes: usize,
    pub notices: Vec<Notice>,
    pub sweeps: usize,
    /// The steps and directions that succeeded, in the order in which the successes were written.
    pub succeeded: Vec<(String, Direction)>,
    /// Whether the stored status must keep the invariants: false after a user forged the status.
    pub trusted: bool,
    wake: Option<Timestamp>,
    again: Option<Timestamp>,
    /// The moves after which the process dies, and how long the process is down.
    fatal: BTreeMap<usize, Duration>,
    moves: usize,
    simulated: Simulated,
}

/// The error that the process died.
#[derive(Debug)]
pub struct Died;

impl World {
    pub fn with(draft: Draft) -> Self {
        let spec = draft.0;
        Self {
            saga: check(&spec),
            stored: object(&spec, &Value::Null, &BTreeMap::new(), false),
            spec,
            raw: Value::Null,
            annotations: BTreeMap::new(),
            reapplied: false,
            generation: 1,
            deleting: false,
            terminating: false,
            finalizer: false,
            parent_holds: false,
            host_capacity: BTreeMap::new(),
            circuits: BTreeMap::new(),
            precheck: Precheck::default(),
            patch_alone: false,
            served: None,
            strange: Vec::new(),
            skew: Skew::default(),
            draining: false,
            gone: false,
            now: Timestamp::from_second(DAWN).unwrap(),
            services: Services::default(),
            crashes: 0,
            writes: 0,
            notices: Vec::new(),
            sweeps: 0,
            succeeded: Vec::new(),
            trusted: true,
            wake: None,
            again: None,
            fatal: BTreeMap::new(),
            moves: 0,
            simulated: stage::empty(rules()),
        }
    }

    /// Lets so many HTTP requests to this host begin, because 32 are in flight otherwise.
    pub fn takes(&mut self, host: &str, left: usize) {
        let capacity = CallCapacity { left, limit: CallLimit::Host(32) };
        self.host_capacity.insert(host.into(), capacity);
    }

    fn reload(&mut self) {
        self.stored = object(&self.spec, &self.raw, &self.annotations, self.reapplied);
    }
}

/// Returns the rules of a world in which a process dies and loses its Lease as often as a test
/// wants.
fn rules() -> Rules {
    let origin = Instant::now();
    Rules {
        faults: usize::MAX,
        fault_kinds: vec![ReplicaFault::Crash, ReplicaFault::Lapse],
        ..Rules::calm(origin)
    }
}

fn check(spec: &SagaSpec) -> Result<ValidSaga, Vec<Fault>> {
    validate(&name(), spec)
}

fn name() -> SagaName {
    SagaName { name: "order-1042".into(), namespace: "shop".into(), uid: UID.into() }
}

/// Returns the object as the API server would return it.
fn object(
    spec: &SagaSpec,
    status: &Value,
    annotations: &BTreeMap<String, String>,
    reapplied: bool,
) -> StoredSaga {
    let mut annotations = annotations.clone();
    if reapplied {
        let applied = json!({"metadata": {"annotations": annotations}}).to_string();
        annotations.insert("kubectl.kubernetes.io/last-applied-configuration".into(), applied);
    }
    let metadata =
        json!({"name": "order-1042", "namespace": "shop", "uid": UID, "annotations": annotations});
    let object = json!({"metadata": metadata, "spec": spec, "status": status}).to_string();
    serde_json::from_str(&object).expect("reading a saga never fails")
}
