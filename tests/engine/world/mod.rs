//! A small world around the real engine: one saga in an API server, its children, and a clock that
//! advances only to instants that the engine or a child determines.
//!
//! The world follows the rules of the shell. A plan is recorded before its effects are performed. A
//! saga is reconciled only if its object changed, a child ended, or its plan asked for a requeue. A
//! saga that rests although it is not done has lost a wake-up.

mod look;
mod people;
mod record;
mod time;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use saga_operator::{
    api::{Direction, SagaSpec, StoredSaga, shape::Shape},
    fault::Fault,
    model::{
        input::{BreakerAllowance, Precheck},
        origin::Origin,
        plan::Notice,
        saga::{SagaName, ValidSaga},
        skew::Skew,
        versions::Served,
    },
    validate::saga::validate,
};
use serde_json::{Value, json};

use crate::{other_side::OtherSide, saga::Draft};

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
    pub host_capacity: BTreeMap<String, usize>,
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
    pub other_side: OtherSide,
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
            other_side: OtherSide::default(),
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
        }
    }

    fn reload(&mut self) {
        self.stored = object(&self.spec, &self.raw, &self.annotations, self.reapplied);
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
