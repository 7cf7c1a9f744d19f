//! Valid sagas, kept for as long as their spec does not change: parsing expressions costs more than all else of a look.
//!
//! # Guarantees
//! What is kept is what the spec of that generation gives; the API server counts a generation for each change of it. At most
//! [`MOST`] sagas are kept.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::engine::{saga::ValidSaga, valid::Fault};

/// A saga that is valid, or why it is not.
pub(super) type Validated = Arc<Result<ValidSaga, Vec<Fault>>>;

/// How many sagas are kept. One with many expressions takes some 100 KiB.
const MOST: usize = 512;

/// What is kept, by the UID of the saga and the generation of its spec.
#[derive(Default)]
pub struct ValidatedSagas(Mutex<HashMap<String, (i64, Validated)>>);

impl ValidatedSagas {
    /// The saga of this UID and generation; made by `validate` where it is not kept.
    pub(super) fn get(&self, uid: &str, generation: i64, validate: impl FnOnce() -> Result<ValidSaga, Vec<Fault>>) -> Validated {
        let kept = |known: &(i64, Validated)| (known.0 == generation).then(|| Arc::clone(&known.1));
        if let Some(saga) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(uid).and_then(kept) {
            return saga;
        }
        let saga = Arc::new(validate());
        // What has no expressions is checked in no time.
        if saga.as_ref().as_ref().map_or(true, ValidSaga::has_expressions) {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(uid.to_owned(), (generation, Arc::clone(&saga)));
        }
        saga
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saga_is_validated_again_when_its_spec_changes_and_not_before() {
        let sagas = ValidatedSagas::default();
        let fault = |what: &str| Err(vec![Fault::new("spec", what)]);
        let first = sagas.get("a", 1, || fault("first"));
        assert_eq!(*sagas.get("a", 1, || fault("again")), *first);
        assert_ne!(*sagas.get("a", 2, || fault("changed")), *first);
        assert_ne!(*sagas.get("b", 1, || fault("another")), *first);
        for other in 0..2 * MOST {
            sagas.get(&other.to_string(), 1, || fault("many"));
        }
        assert!(sagas.0.lock().unwrap().len() <= MOST);
    }
}
