//! What a later version may do otherwise, for the tests that have two versions at work: it writes a
//! field more, a word more, and says things in other words.
//!
//! # Guarantees
//! Only with the Cargo feature `next`, which no release has.

use super::{RequestAction, RequestResult, SagaStatus};

/// Returns the status as that version writes it.
#[must_use]
pub fn written(mut status: SagaStatus) -> SagaStatus {
    status.noted = status.phase.map(|phase| phase.as_str().to_owned());
    status.message =
        status.message.map(|message| format!("{message} (as a later version says it)"));
    for record in status.requests.iter_mut().filter(|record| record.action == RequestAction::Pause)
    {
        if record.result == RequestResult::Accepted && record.value.contains("noted") {
            record.result = RequestResult::Noted;
        }
    }
    status
}
