//! A small world around the real engine: one saga in an API server, its children, a clock that goes
//! only where the engine asked it to.
//!
//! The world keeps the rules of the shell: a plan is recorded before its effects are performed, and
//! a saga is looked at only when its object changed, when a child ended, or when its plan asked for
//! it. A saga that rests although it is not done is a lost wake-up.

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
        input::{Gate, Precheck},
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
    /// The namespace goes, too.
    pub terminating: bool,
    pub finalizer: bool,
    /// The saga is the child of one that has the finalizer.
    pub parent_holds: bool,
    /// How many requests may begin to a host, where that is limited.
    pub room: BTreeMap<String, usize>,
    /// The circuits that are not closed.
    pub circuits: BTreeMap<Origin, Gate>,
    /// What came of trying the saga.
    pub precheck: Precheck,
    /// Whether no policy guards requests.
    pub patch_alone: bool,
    /// The schema of the status that is served, where it is not the present one.
    pub served: Option<(Shape, Option<Served>)>,
    /// Fields and words of the spec that this version does not know.
    pub strange: Vec<String>,
    /// How far this process's clock may be from the API server's.
    pub skew: Skew,
    /// The process is about to end.
    pub draining: bool,
    /// The object is no more.
    pub gone: bool,
    pub stored: StoredSaga,
    /// The status as stored.
    pub raw: Value,
    /// What people wrote on the saga, and what the operator did.
    pub annotations: BTreeMap<String, String>,
    /// Whether the annotations stand in a manifest that was applied.
    pub held_in_git: bool,
    pub now: Timestamp,
    pub other_side: OtherSide,
    /// How many times the process died.
    pub crashes: usize,
    /// How many times the status was written.
    pub writes: usize,
    pub notices: Vec<Notice>,
    pub sweeps: usize,
    /// The steps and directions that succeeded, in the order in which that was written.
    pub succeeded: Vec<(String, Direction)>,
    /// What the stored status must keep to.
    pub trusted: bool,
    wake: Option<Timestamp>,
    again: Option<Timestamp>,
    /// Moves after which the process dies, and for how long it is down.
    fatal: BTreeMap<usize, Duration>,
    moves: usize,
}

/// The process died.
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
            held_in_git: false,
            generation: 1,
            deleting: false,
            terminating: false,
            finalizer: false,
            parent_holds: false,
            room: BTreeMap::new(),
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
        self.stored = object(&self.spec, &self.raw, &self.annotations, self.held_in_git);
    }
}

fn check(spec: &SagaSpec) -> Result<ValidSaga, Vec<Fault>> {
    validate(&name(), spec)
}

fn name() -> SagaName {
    SagaName { name: "order-1042".into(), namespace: "shop".into(), uid: UID.into() }
}

/// The object as the API server would hand it out.
fn object(
    spec: &SagaSpec,
    status: &Value,
    annotations: &BTreeMap<String, String>,
    held_in_git: bool,
) -> StoredSaga {
    let mut annotations = annotations.clone();
    if held_in_git {
        let applied = json!({"metadata": {"annotations": annotations}}).to_string();
        annotations.insert("kubectl.kubernetes.io/last-applied-configuration".into(), applied);
    }
    let metadata =
        json!({"name": "order-1042", "namespace": "shop", "uid": UID, "annotations": annotations});
    let object = json!({"metadata": metadata, "spec": spec, "status": status}).to_string();
    serde_json::from_str(&object).expect("reading a saga never fails")
}
