//! The table of `docs/requests.md` in code: which request is allowed in which phase.
//!
//! # Guarantees
//! Only this file says so. Further conditions are checked where each request is judged. Examples
//! are a pivot that is not passed, and retries that are left. A saga that was refused before its
//! first step takes no request but `retry: *`; this is checked there, too.

use crate::api::{Direction, RequestAction, SagaPhase, StepPhase};

/// Returns the phases of a saga in which the request may be made. A saga that was not reconciled
/// yet counts as Pending.
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

/// Returns the phases in which a request may name a step, while the saga goes forward through its
/// actions or back through its compensations. A step in Compensating may be named only while it
/// waits for its next attempt. A step in Waiting may be approved or rejected only if it is an
/// approval. A step may be settled only while it is uncertain.
#[must_use]
pub const fn in_step_phases(action: RequestAction, way: Direction) -> &'static [StepPhase] {
    use StepPhase as P;
    match (action, way) {
        (
            RequestAction::Cancel
            | RequestAction::Compensate
            | RequestAction::Pause
            | RequestAction::Resume,
            _,
        )
        | (RequestAction::Reject | RequestAction::Approve, Direction::Compensation) => &[],
        (RequestAction::Reject | RequestAction::Approve, Direction::Action) => &[P::Waiting],
        (RequestAction::Settle, Direction::Compensation) => {
            &[P::Retrying, P::Failed, P::Compensating, P::CompensationFailed]
        }
        (RequestAction::Skip, Direction::Action) => {
            &[P::Pending, P::Retrying, P::Waiting, P::Failed]
        }
        (RequestAction::Skip, Direction::Compensation) => &[P::CompensationFailed],
        (RequestAction::Settle | RequestAction::Retry, Direction::Action) => {
            &[P::Retrying, P::Failed]
        }
        (RequestAction::Retry, Direction::Compensation) => {
            &[P::Compensating, P::CompensationFailed]
        }
    }
}
