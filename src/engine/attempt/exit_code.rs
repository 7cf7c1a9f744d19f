//! The meaning of a container's exit code beyond success and failure.

use crate::{
    model::{
        observation::{Failure, Reached},
        saga::{Operation, Work},
    },
    mutants::{Twin, broken},
};

/// Returns the failure with the meaning of its exit code. If the action lists the code as final,
/// the failure is permanent. Only a final code is a definite failure, because a program that
/// crashed after its work also exits with 1.
pub(crate) fn judge_exit(operation: &Operation, failure: Failure) -> Failure {
    let codes = match &operation.work {
        Work::Pod(action) => &action.final_exit_codes,
        Work::Job(action) => &action.final_exit_codes,
        Work::Http(_)
        | Work::Apply(_)
        | Work::Delete(_)
        | Work::Until(_)
        | Work::Saga(_)
        | Work::UndoSaga
        | Work::Approval(_)
        | Work::Wait(_) => return failure,
    };
    let is_final =
        failure.exit_code.is_some_and(|code| codes.iter().flatten().any(|last| *last == code));
    let ran = failure.reached == Reached::Answer && !is_final && !broken(Twin::ExitCodeMoves);
    let reached = if ran { Reached::Work } else { failure.reached };
    Failure { reached, last: failure.last || is_final, ..failure }
}
