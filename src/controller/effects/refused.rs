//! Notes in memory that the write of an attempt was refused, or that its answer was lost.

use crate::{
    controller::{
        cluster::refusal::ApiRefusal,
        memory::{attempt::AttemptKey, attempts::Attempts, remembered::refused_permanently},
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
pub(super) fn note(attempts: &Attempts, key: &AttemptKey, refused: ApiRefusal) -> Noted {
    match refused {
        ApiRefusal::Final(_, message) => {
            let unanswered = attempts.look(key, |known| known.unanswered);
            let end = if unanswered {
                End::Unknown { message, retry_after: None }
            } else {
                refused_permanently(message)
            };
            attempts.ended(key, end);
            Noted::InMemory
        }
        ApiRefusal::Passes(message) | ApiRefusal::NoKind(_, message) => {
            attempts.refused(key, message);
            Noted::InMemory
        }
        ApiRefusal::Lost(message) => {
            attempts.unanswered(key);
            Noted::Lost(message)
        }
    }
}
