//! What the exit code of a container means beyond success and failure.

use super::{
    observed::Failure,
    saga::{Operation, Work},
};

impl Operation {
    /// The same failure; the last one where its exit code is among those that the action calls final.
    pub(super) fn judge_exit(&self, failure: Failure) -> Failure {
        let codes = match &self.work {
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
        let is_final = |code: i32| codes.iter().flatten().any(|last| *last == code);
        Failure { last: failure.last || failure.exit_code.is_some_and(is_final), ..failure }
    }
}
