//! What the watches showed a replica of the children.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};

use super::attempt::AttemptRef;
use crate::{model::observation::End, objects::job::pods::JobPods};

/// What one replica was shown, and remembers.
#[derive(Clone, Debug, Default)]
pub(in crate::world) struct ChildCache {
    pub(in crate::world) pods: Vec<Arc<Pod>>,
    pub(in crate::world) jobs: Vec<Arc<Job>>,
    /// The pods of Jobs, by the UIDs of the Jobs.
    pub(in crate::world) of_jobs: BTreeMap<String, JobPods>,
    pub(in crate::world) notes: Vec<Note>,
    /// The next reconcile for a reason that no watch may report.
    pub(in crate::world) again: Option<Timestamp>,
    /// The attempts that a watch showed to be done.
    pub(in crate::world) proofs: Vec<AttemptRef>,
}

/// What a replica remembers of the child of one attempt besides the UID.
#[derive(Clone, Debug)]
pub(in crate::world) struct Note {
    pub(in crate::world) attempt: AttemptRef,
    /// How the child ended, by its last copy, if the watch reported its deletion.
    pub(in crate::world) gone: Option<End>,
    /// When the replica first knew that the child is terminating.
    pub(in crate::world) deleting_since: Option<Timestamp>,
    /// How the child ended, if only this replica knows.
    pub(in crate::world) end: Option<End>,
}

impl ChildCache {
    pub(in crate::world) fn note(&mut self, attempt: AttemptRef) -> &mut Note {
        let place =
            self.notes.iter().position(|note| note.attempt == attempt).unwrap_or_else(|| {
                self.notes.push(Note { attempt, gone: None, deleting_since: None, end: None });
                self.notes.len().saturating_sub(1)
            });
        // The element was just found, or just pushed.
        #[expect(clippy::indexing_slicing, reason = "the place of an element")]
        &mut self.notes[place]
    }
}
