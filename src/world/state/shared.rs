//! A status that holds what another version wrote.

use serde_json::Value;

use crate::api::{Part, SagaStatus, Strangers, read_status, what_remains};

/// What the later version writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Later {
    /// Whether it writes a word that this version does not know.
    pub word: bool,
    /// Whether another process of that version follows one that died; else one of this version
    /// does, as where an update is taken back.
    pub stays: bool,
}

/// A status that holds what another version wrote, as this version reads it.
#[derive(Clone, Debug)]
pub(in crate::world) struct Shared {
    /// All of it.
    pub(in crate::world) text: Value,
    pub(in crate::world) status: Part<SagaStatus>,
    pub(in crate::world) remains: SagaStatus,
    pub(in crate::world) strangers: Strangers,
}

impl Shared {
    pub(in crate::world) fn new(text: Value) -> Self {
        let mut strangers = Strangers::default();
        let (status, remains) = match read_status(text.clone(), &mut strangers) {
            Ok(status) => (Ok(status), SagaStatus::default()),
            Err((rest, sentence)) => (Err(sentence), what_remains(&rest)),
        };
        Self { text, status, remains, strangers }
    }

    /// Whether a word stands in it that this version does not know.
    pub(in crate::world) fn is_strange(&self) -> bool {
        !self.strangers.words.is_empty()
    }
}
