//! Which request is allowed when: the table of `docs/requests.md`, in code.
//!
//! # Guarantees
//! The only place that says so. What a request needs besides (a pivot not passed, retries left),
//! and that a saga which was refused before its first step takes none but `retry: *`, is said where
//! it is judged.

use crate::api::{RequestAction, SagaPhase, StepPhase};

/// The phases of a saga in which the request may be made. A saga that was not looked at yet counts
/// as Pending.
#[must_use]
pub const fn in_saga_phases(action: RequestAction) -> &'static [SagaPhase] {
    use SagaPhase as P;
    match action {
        RequestAction::Compensate => &[P::Running, P::Paused, P::Failed, P::Completed],
        RequestAction::Settle => {
            &[P::Running, P::Paused, P::Failed, P::Compensating, P::CompensationFailed]
        }
        RequestAction::Cancel
        | RequestAction::Pause
        | RequestAction::Resume
        | RequestAction::Skip
        | RequestAction::Retry => {
            &[P::Pending, P::Running, P::Paused, P::Failed, P::Compensating, P::CompensationFailed]
        }
        RequestAction::Reject | RequestAction::Approve => &[P::Running, P::Paused, P::Failed],
    }
}

/// The phases of a step in which it may be named by the request, while the saga goes forward or,
/// `backward`, is being undone. A step in Compensating only while it waits for its next attempt,
/// one in Waiting only where it waits for an approval if it is approved or rejected. A step is
/// settled only while it is uncertain.
#[must_use]
pub const fn in_step_phases(action: RequestAction, backward: bool) -> &'static [StepPhase] {
    use StepPhase as P;
    match (action, backward) {
        (
            RequestAction::Cancel
            | RequestAction::Compensate
            | RequestAction::Pause
            | RequestAction::Resume,
            _,
        )
        | (RequestAction::Reject | RequestAction::Approve, true) => &[],
        (RequestAction::Reject | RequestAction::Approve, false) => &[P::Waiting],
        (RequestAction::Settle, true) => {
            &[P::Retrying, P::Failed, P::Compensating, P::CompensationFailed]
        }
        (RequestAction::Skip, false) => &[P::Pending, P::Retrying, P::Waiting, P::Failed],
        (RequestAction::Skip, true) => &[P::CompensationFailed],
        (RequestAction::Settle | RequestAction::Retry, false) => &[P::Retrying, P::Failed],
        (RequestAction::Retry, true) => &[P::Compensating, P::CompensationFailed],
    }
}
