//! How often each saga's reconcile failed since it last did not.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// How often each saga's reconcile failed since it last did not, by UID.
#[derive(Debug, Default)]
pub struct Failures(Mutex<HashMap<String, u32>>);

impl Failures {
    /// Counts one more failure and says how many came before it.
    pub fn count(&self, uid: &str) -> u32 {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times = failures.entry(uid.to_owned()).or_default();
        let before = *times;
        *times = before.saturating_add(1);
        before
    }

    /// Forgets the failures of sagas that ended or went.
    pub fn forget(&self, lives: impl Fn(&str) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| lives(uid));
    }

    /// Forgets the failures of a saga.
    pub fn reset(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}
