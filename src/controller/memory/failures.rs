//! The number of consecutive failed reconciles of each saga.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// The number of failed reconciles of each saga since its last success, by UID.
#[derive(Debug, Default)]
pub struct Failures(Mutex<HashMap<String, u32>>);

impl Failures {
    /// Counts one more failure. Returns how many came before it.
    pub fn count(&self, uid: &str) -> u32 {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times = failures.entry(uid.to_owned()).or_default();
        let before = *times;
        *times = before.saturating_add(1);
        before
    }

    /// Removes the failures of sagas that ended or were deleted.
    pub fn forget(&self, lives: impl Fn(&str) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|uid, _| lives(uid));
    }

    /// Removes the failures of a saga.
    pub fn reset(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}
