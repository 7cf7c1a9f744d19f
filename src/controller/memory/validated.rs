//! Valid sagas, kept for as long as their spec does not change: parsing expressions costs more than
//! all else of a look.
//!
//! # Guarantees
//! What is kept is what the spec of that generation gives; the API server counts a generation for
//! each change of it. Where it may have been restored from a backup, so that it counts anew, all is
//! forgotten. At most [`MOST`] sagas are kept.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{fault::Fault, model::saga::ValidSaga};

/// A saga that is valid, or why it is not.
pub(crate) type Validated = Arc<Result<ValidSaga, Vec<Fault>>>;

/// How many sagas are kept. One with many expressions takes some 100 KiB.
const MOST: usize = 512;

/// What a saga was checked as: the generation of its spec, and whether it was accepted before.
type Checked = (i64, bool);

/// What is kept, by the UID of the saga.
#[derive(Default)]
pub struct ValidatedSagas(Mutex<HashMap<String, (Checked, Validated)>>);

impl ValidatedSagas {
    /// The saga of this UID, checked as this, where it is kept.
    pub(crate) fn kept(&self, uid: &str, checked: Checked) -> Option<Validated> {
        let kept =
            |known: &(Checked, Validated)| (known.0 == checked).then(|| Arc::clone(&known.1));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(uid).and_then(kept)
    }

    /// Keeps what came of a spec of this UID, checked as this.
    pub(crate) fn keep(
        &self,
        uid: &str,
        checked: Checked,
        made: Result<ValidSaga, Vec<Fault>>,
    ) -> Validated {
        let saga = Arc::new(made);
        // What has no expressions, nor a child that may have some, is checked in no time.
        if saga.as_ref().as_ref().map_or(true, |saga| saga.has_expressions() || saga.has_children())
        {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(uid.to_owned(), (checked, Arc::clone(&saga)));
        }
        saga
    }

    /// Forgets all of them.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(sagas.0.lock().unwrap().len() <= MOST);
    }
}
