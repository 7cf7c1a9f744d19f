//! What the exit code of a container means beyond success and failure.

use crate::{
    model::{
        observation::{Failure, Reached},
        saga::{Operation, Work},
    },
    mutants::{Twin, broken},
};

/// The same failure; the last one where its exit code is among those that the action calls
/// final. Only such a code is a no: a program that crashed after its work exits with 1 as well.
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
