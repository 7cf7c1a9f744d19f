//! What this process remembers of an attempt, as observations for the engine.
//!
//! # Guarantees
//! If the answer to a creation was lost, no later refusal makes the child count as refused: the
//! child may exist.

use std::time::{Duration, Instant};

use super::attempt::KnownAttempt;
use crate::{
    model::observation::{Absence, ChildState, End, Failure, Unavailable},
    objects::child::just_created,
};

/// Returns the state with a reason. If this process ended the child, the message also says why, and
/// what the child did or waited for. Without this, the message would only say that the child was
/// deleted.
pub(in crate::controller) fn with_reason(
    known: &KnownAttempt,
    mut state: ChildState,
    cancelled: bool,
) -> ChildState {
    if let (
        Some(detail),
        ChildState::Ended(End::Failed(Failure { message, .. }) | End::Unknown { message, .. }),
    ) = (&known.overdue, &mut state)
    {
        let why = if cancelled {
            "stopped, because the saga is cancelled"
        } else {
            "did not end within its time limit"
        };
        *message = format!("{why} ({detail}): {message}");
    }
    state
}

/// Returns the end of an attempt of which nothing was begun, and after which a retry may help.
pub(in crate::controller) const fn not_started(message: String) -> End {
    End::Failed(Failure::not_started(message))
}

/// Returns the permanent end of an attempt of which nothing was begun: a user has to correct
/// something first.
pub(in crate::controller) const fn refused_permanently(message: String) -> End {
    End::Failed(Failure::not_started(message).permanent())
}

/// Returns the state of a child whose state cannot be observed just now.
pub(in crate::controller) const fn not_now(detail: String) -> ChildState {
    ChildState::Active { uid: None, age: Duration::ZERO, detail, trouble: None }
}

/// Returns the state while this process waits after a failed call. If the answer to an earlier call
/// was lost, that call may have succeeded, so the state is not a refusal.
pub(in crate::controller) fn backing_off(known: &KnownAttempt) -> Option<ChildState> {
    let refusal = known.refusal.as_ref().filter(|refusal| refusal.until > Instant::now())?;
    if known.unanswered {
        return Some(not_now(refusal.message.clone()));
    }
    let retry_in = refusal.until.saturating_duration_since(Instant::now());
    Some(ChildState::Unavailable(Unavailable::Refused {
        message: refusal.message.clone(),
        retry_in,
        known_for: known.first_read.elapsed(),
    }))
}

/// Returns the remembered state of a child that the watch does not show.
pub(in crate::controller) fn remembered(known: &KnownAttempt) -> Option<ChildState> {
    if let Some(waits) = backing_off(known) {
        return Some(waits);
    }
    let (since, uid) = known.child.as_ref()?;
    just_created(uid, since.elapsed())
}

pub(in crate::controller) fn absent(known: &KnownAttempt, seen: bool) -> ChildState {
    ChildState::Absent(Absence {
        seen,
        refused: known.is_refused(),
        known_for: known.first_read.elapsed(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "tests fail by panicking")]

    use super::super::{attempt::AttemptKey, attempts::Attempts};
    use super::*;
    use crate::api::{Direction, names::AttemptId};

    #[test]
    fn what_is_refused_after_an_answer_was_lost_is_not_believed_to_be_absent() {
        let attempts = Attempts::default();
        let attempt = AttemptId { step: "ship".into(), direction: Direction::Action, number: 1 };
        let key = AttemptKey::new("uid", attempt);
        attempts.refused(&key, "exceeded quota".into());
        let refused = remembered(&attempts.known(&key));
        assert!(
            matches!(refused, Some(ChildState::Unavailable(Unavailable::Refused { .. }))),
            "{refused:?}"
        );
        attempts.unanswered(&key);
        match remembered(&attempts.known(&key)) {
            Some(ChildState::Active { uid: None, detail, .. }) => {
                assert_eq!(detail, "exceeded quota");
            }
            other => panic!("an earlier creation may have made it: {other:?}"),
        }
    }
}
