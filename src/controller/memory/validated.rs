//! Validated sagas, kept as long as their spec does not change. Parsing expressions costs more than
//! the rest of a reconcile.
//!
//! # Guarantees
//! A kept saga matches the spec of its generation. The API server raises the generation at each
//! change of the spec. If the API server may have been restored from a backup, it may reuse
//! generations, so all kept sagas are removed. At most [`MOST`] sagas are kept. A saga whose spec
//! is too large to be kept is not kept here either, and one such saga is in work at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{fault::Fault, model::saga::ValidSaga};

/// A valid saga, or the faults that make it invalid.
pub(in crate::controller) type Validated = Arc<Result<ValidSaga, Vec<Fault>>>;

/// The most sagas that are kept. A saga with many expressions takes about 100 KiB.
const MOST: usize = 512;

/// The state in which a saga was checked: the generation of its spec, and whether it was accepted.
type Checked = (i64, bool);

/// The kept sagas, by UID.
pub struct ValidatedSagas {
    kept: Mutex<HashMap<String, (Checked, Validated)>>,
    /// Whether a saga whose spec is too large to be kept may be read.
    large: Semaphore,
}

impl Default for ValidatedSagas {
    fn default() -> Self {
        Self { kept: Mutex::default(), large: Semaphore::new(1) }
    }
}

impl ValidatedSagas {
    /// Returns the kept saga of this UID if it was checked in this state.
    pub(in crate::controller) fn kept(&self, uid: &str, checked: Checked) -> Option<Validated> {
        let kept =
            |known: &(Checked, Validated)| (known.0 == checked).then(|| Arc::clone(&known.1));
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(uid).and_then(kept)
    }

    /// Returns the permit to hold one spec that is too large to be kept, for as long as a reconcile
    /// takes. Returns `None` if another reconcile holds the permit.
    pub(in crate::controller) fn large(&self) -> Option<SemaphorePermit<'_>> {
        self.large.try_acquire().ok()
    }

    /// Keeps the result of checking the spec of this UID in this state.
    pub(in crate::controller) fn keep(
        &self,
        uid: &str,
        checked: Checked,
        made: Result<ValidSaga, Vec<Fault>>,
    ) -> Validated {
        let saga = Arc::new(made);
        // A saga without expressions, and without a child that may have expressions, is quick to
        // check.
        if saga.as_ref().as_ref().map_or(true, |saga| saga.has_expressions() || saga.has_children())
        {
            let mut known = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(uid.to_owned(), (checked, Arc::clone(&saga)));
        }
        saga
    }

    /// Removes all kept sagas.
    pub(in crate::controller) fn forget(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_large_spec_is_held_at_a_time() {
        let sagas = ValidatedSagas::default();
        let first = sagas.large();
        assert!(first.is_some() && sagas.large().is_none());
        drop(first);
        assert!(sagas.large().is_some());
    }

    #[test]
    fn a_saga_is_validated_again_when_its_spec_changes_and_not_before() {
        let sagas = ValidatedSagas::default();
        let fault = |what: &str| Err(vec![Fault::new("spec", what)]);
        let (new, accepted) = ((1, false), (1, true));
        assert_eq!(sagas.kept("a", new), None);
        let first = sagas.keep("a", new, fault("first"));
        assert_eq!(sagas.kept("a", new), Some(Arc::clone(&first)));
        assert_eq!(
            (sagas.kept("a", accepted), sagas.kept("a", (2, false)), sagas.kept("b", new)),
            (None, None, None)
        );
        assert_ne!(sagas.keep("a", (2, false), fault("changed")), first);
        sagas.forget();
        assert_eq!(sagas.kept("a", (2, false)), None, "it may stand for another spec");
        for other in 0..2 * MOST {
            sagas.keep(&other.to_string(), new, fault("many"));
        }
        assert!(sagas.kept.lock().unwrap().len() <= MOST);
    }
}
