//! The meaning of a container's exit code beyond success and failure.

use crate::{
    engine::rules,
    model::{
        observation::Failure,
        saga::{Operation, Work},
    },
};

/// Returns the failure with the meaning of its exit code. If the action lists the code as final,
/// the failure is permanent.
pub(in crate::engine) fn judge_exit(operation: &Operation, failure: Failure) -> Failure {
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
    let reached = rules::reached_by_exit(failure.reached, is_final);
    Failure { reached, permanent: failure.permanent || is_final, ..failure }
}
