//! The limits on the trials before the first steps of sagas.

use super::gate::{FairGate, Places};
use crate::api::limits::MAX_TRIALS;

/// The share of one namespace in the places of a gate.
const SHARE: usize = 4;

/// What limits the trials of one process.
#[derive(Clone, Debug)]
pub struct TrialGates {
    /// Admits the sagas whose turn it is. Only they hold their operations in memory.
    pub sagas: FairGate,
    /// Admits the operations that are tried now.
    pub operations: FairGate,
}

impl Default for TrialGates {
    fn default() -> Self {
        let (all, share) = (MAX_TRIALS, SHARE);
        Self {
            // A turn may take long, so no namespace gets more than its share.
            sagas: FairGate::new(Places { all, share, kept_free: all }),
            // The trial of one operation is short.
            operations: FairGate::new(Places { all, share, kept_free: share }),
        }
    }
}
