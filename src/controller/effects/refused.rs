//! Notes in memory that the write of an attempt was refused, or that its answer was lost.

use crate::{
    controller::{
        cluster::refusal::Trouble,
        memory::{attempt::AttemptKey, attempts::Attempts, remembered::never_begun},
    },
    model::observation::End,
};

/// What was noted.
pub(super) enum Noted {
    /// The end of the attempt, or a wait before the next try.
    InMemory,
    /// Nobody can tell whether the write took effect. The value says why.
    Lost(String),
}

/// Notes why the write of an attempt did not take effect. If the answer to an earlier write was
/// lost, that write may have taken effect, so that a refusal leaves the outcome unknown.
pub(super) fn note(attempts: &Attempts, key: &AttemptKey, refused: Trouble) -> Noted {
    match refused {
        Trouble::Final(_, message) => {
            let unanswered = attempts.look(key, |known| known.unanswered);
            let end = if unanswered {
                End::Unknown { message, retry_after: None }
            } else {
                never_begun(message, true)
            };
            attempts.ended(key, end);
            Noted::InMemory
        }
        Trouble::Passes(message) | Trouble::NoKind(_, message) => {
            attempts.refused(key, message);
            Noted::InMemory
        }
        Trouble::Lost(message) => {
            attempts.unanswered(key);
            Noted::Lost(message)
        }
    }
}
