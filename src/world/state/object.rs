//! The saga in the API server, and the older copies that a cache may still show.

use std::sync::Arc;

use serde_json::Value;

use super::attempt::AttemptRef;
use crate::{
    api::{
        Decoded, DeletionPolicy, DirectionStatus, SagaStatus, Strangers, UserRequest,
        json::fields_as_stored,
        read_status, salvage,
        status::{Keys, active_attempts},
    },
    fault::Fault,
    model::saga::ValidSaga,
};

/// The spec hash that a world pins if no test stores another spec.
pub(in crate::world) const SPEC_HASH: &str = "v1:world";

/// One version of the saga.
#[derive(Clone, Debug)]
pub struct SagaObject {
    /// `metadata.resourceVersion`.
    pub version: u64,
    /// `metadata.generation`.
    pub generation: i64,
    /// Whether the saga is terminating.
    pub deleting: bool,
    /// Whether the saga has the operator's finalizer.
    pub finalizer: bool,
    /// Whether the saga no longer exists.
    pub gone: bool,
    /// The requests that the annotations of the saga hold.
    pub asked: Vec<UserRequest>,
    /// The value of the annotation `saga.dev/handled`.
    pub handled: i64,
    pub(in crate::world) spec: Arc<SpecRead>,
    pub(in crate::world) status: Arc<Decoded<SagaStatus>>,
    /// The status as it is stored, if replicas of two versions write it.
    pub(in crate::world) shared: Option<Arc<Shared>>,
}

/// What a replica reads of the spec and of the metadata that belong to the spec.
#[derive(Clone, Debug)]
pub(in crate::world) struct SpecRead {
    pub(in crate::world) saga: Result<ValidSaga, Vec<Fault>>,
    /// The hash of the pinned fields.
    pub(in crate::world) hash: String,
    pub(in crate::world) deletion_policy: DeletionPolicy,
    /// Where the idempotency keys of the steps continue.
    pub(in crate::world) keys_from: Keys,
    /// Fields and values that this version does not know, each as a sentence.
    pub(in crate::world) unknown: Vec<String>,
}

/// An empty status, used if the status cannot be read.
static NOTHING: std::sync::LazyLock<SagaStatus> = std::sync::LazyLock::new(SagaStatus::default);
/// An empty saga, used if the saga is not valid.
pub(in crate::world) static NO_SAGA: std::sync::LazyLock<ValidSaga> =
    std::sync::LazyLock::new(|| ValidSaga {
        name: String::new(),
        namespace: String::new(),
        uid: String::new(),
        key_scope: String::new(),
        service_account: String::new(),
        tokens_unasked: false,
        max_parallel: 1,
        on_failure: crate::api::OnFailure::Hold,
        suspend: false,
        deletion_policy: crate::api::DeletionPolicy::Compensate,
        max_retry_requests: 0,
        timeout: None,
        ttl: None,
        params: serde_json::Map::new(),
        outputs: None,
        doubts: Vec::new(),
        raised: Vec::new(),
        steps: Vec::new(),
    });

/// Returns the status as the API server stores it: the API server has its own form of numbers.
pub(in crate::world) fn as_kept(status: Arc<Decoded<SagaStatus>>) -> Arc<Decoded<SagaStatus>> {
    let Ok(read) = status.as_ref() else { return status };
    if read.outputs.is_none() && read.steps.iter().all(|step| step.outputs.is_none()) {
        return status;
    }
    let mut kept = read.clone();
    kept.outputs = kept.outputs.map(fields_as_stored);
    for step in &mut kept.steps {
        step.outputs = step.outputs.take().map(fields_as_stored);
    }
    Arc::new(Ok(kept))
}

impl SpecRead {
    pub(in crate::world) fn of(saga: ValidSaga) -> Self {
        Self {
            hash: SPEC_HASH.into(),
            deletion_policy: saga.deletion_policy,
            saga: Ok(saga),
            keys_from: Keys::new(),
            unknown: Vec::new(),
        }
    }
}

impl SagaObject {
    pub(in crate::world) fn new(saga: ValidSaga) -> Self {
        Self {
            version: 1,
            generation: 1,
            deleting: false,
            finalizer: false,
            gone: false,
            asked: Vec::new(),
            handled: 0,
            spec: Arc::new(SpecRead::of(saga)),
            status: Arc::new(Ok(SagaStatus::default())),
            shared: None,
        }
    }

    /// Returns the effective spec of the saga.
    #[must_use]
    pub fn saga(&self) -> &ValidSaga {
        self.spec.saga.as_ref().unwrap_or_else(|_| &NO_SAGA)
    }

    /// Returns the status, or an empty status if it cannot be read.
    #[must_use]
    pub fn status(&self) -> &SagaStatus {
        self.status.as_ref().as_ref().unwrap_or_else(|_| &NOTHING)
    }

    /// Returns the attempts that the status calls active, with their records.
    pub(in crate::world) fn active(&self) -> impl Iterator<Item = (AttemptRef, &DirectionStatus)> {
        active_in(self.status())
    }

    pub(in crate::world) fn is_active(&self, attempt: AttemptRef) -> bool {
        self.active().any(|(active, _)| active == attempt)
    }
}

/// Returns the attempts that a status calls active, with their records.
pub(in crate::world) fn active_in(
    status: &SagaStatus,
) -> impl Iterator<Item = (AttemptRef, &DirectionStatus)> {
    active_attempts(status).filter_map(|(id, _)| {
        let place = status.steps.iter().position(|step| step.name == id.step)?;
        let record = status.steps.get(place)?.direction(id.direction)?;
        Some((AttemptRef { place, direction: id.direction, number: id.number }, record))
    })
}

/// The newest version of the saga, and at most two older versions.
#[derive(Clone, Debug)]
pub(in crate::world) struct Copies {
    pub(in crate::world) newest: Arc<SagaObject>,
    pub(in crate::world) older: [Option<Arc<SagaObject>>; 2],
}

impl Copies {
    pub(in crate::world) fn new(object: SagaObject) -> Self {
        Self { newest: Arc::new(object), older: [None, None] }
    }

    pub(in crate::world) fn newest(&self) -> &SagaObject {
        &self.newest
    }

    /// Returns the copy that is `staleness` versions old.
    pub(in crate::world) fn back(&self, staleness: usize) -> Option<&Arc<SagaObject>> {
        match staleness.checked_sub(1) {
            None => Some(&self.newest),
            Some(back) => self.older.get(back)?.as_ref(),
        }
    }

    /// Writes a new version and returns its number. `keep`: how many older versions to keep.
    pub(in crate::world) fn write(
        &mut self,
        keep: usize,
        change: impl FnOnce(&mut SagaObject),
    ) -> u64 {
        let mut next = SagaObject::clone(&self.newest);
        next.version = next.version.saturating_add(1);
        change(&mut next);
        let version = next.version;
        let before = std::mem::replace(&mut self.newest, Arc::new(next));
        let [last, _] = std::mem::take(&mut self.older);
        self.older = [(keep > 0).then_some(before), last.filter(|_| keep > 1)];
        version
    }

    /// Forgets the older copies that no replica decides from any more. `known`: which copies stay.
    pub(in crate::world) fn forget(&mut self, known: [bool; 2]) {
        for (copy, kept) in self.older.iter_mut().zip(known) {
            if !kept {
                *copy = None;
            }
        }
    }
}

/// What the later version writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Later {
    /// Whether the later version writes a word that this version does not know.
    pub word: bool,
    /// Whether a process of the later version replaces a replica of that version that died. If not,
    /// a process of this version replaces it, as when an update is rolled back.
    pub stays: bool,
}

/// A status that holds fields or words of another version, as this version reads it.
#[derive(Clone, Debug)]
pub(in crate::world) struct Shared {
    /// The whole stored status.
    pub(in crate::world) text: Value,
    pub(in crate::world) status: Decoded<SagaStatus>,
    pub(in crate::world) salvaged: SagaStatus,
    pub(in crate::world) strangers: Strangers,
}

impl Shared {
    pub(in crate::world) fn new(text: Value) -> Self {
        let mut strangers = Strangers::default();
        let (status, salvaged) = match read_status(text.clone(), &mut strangers) {
            Ok(status) => (Ok(status), SagaStatus::default()),
            Err((rest, sentence)) => (Err(sentence), salvage(&rest)),
        };
        Self { text, status, salvaged, strangers }
    }

    /// Returns whether the status holds a word that this version does not know.
    pub(in crate::world) fn is_strange(&self) -> bool {
        !self.strangers.words.is_empty()
    }
}
