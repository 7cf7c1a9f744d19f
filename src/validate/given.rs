//! What a check of a saga needs besides the spec.

use std::cell::Cell;

use super::acceptance::Acceptance;
use crate::{
    api::SagaSpec,
    fault::Fault,
    model::saga::{SagaName, ValidSaga},
};

/// The function that checks a saga. The check of a child saga receives it as a value: otherwise the
/// files of the two checks would import each other.
pub(in crate::validate) type ChildCheck =
    fn(&SagaName, &SagaSpec, Params<'_>) -> Result<ValidSaga, Vec<Fault>>;

/// What is known of a saga's params when the saga is checked.
#[derive(Clone, Copy, Debug)]
pub(in crate::validate) struct Params<'a> {
    /// Whether the values of the params are known. If so, expressions that read nothing else are
    /// tried.
    pub(in crate::validate) known: bool,
    /// Whether the answer of a service may be among the params.
    pub(in crate::validate) of_another: bool,
    /// Whether the saga was accepted before. A child inside a spec is accepted with its parent.
    pub(in crate::validate) acceptance: Acceptance,
    /// The work of all expressions so far, of the saga and of all sagas that enclose it.
    pub(in crate::validate) work: &'a Cell<u64>,
    /// Whether the saga itself holds an expression, as far as it was checked.
    pub(in crate::validate) met: &'a Cell<bool>,
    /// The function that checks a child saga.
    pub(in crate::validate) check_child: ChildCheck,
}
