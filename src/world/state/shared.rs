//! A status that holds fields or words of another version.

use serde_json::Value;

use crate::api::{Decoded, SagaStatus, Strangers, read_status, salvage};

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
