//! What a saga is checked with, besides its spec.

use std::cell::Cell;

use crate::{
    api::SagaSpec,
    fault::Fault,
    model::saga::{SagaName, ValidSaga},
};

/// The rule by which a saga is checked, for the rule of the child that stands in it: without this
/// value, the file of each would import the other one.
pub(crate) type ChildCheck = fn(&SagaName, &SagaSpec, Params<'_>) -> Result<ValidSaga, Vec<Fault>>;

/// What is known of a saga's params when it is checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Params<'a> {
    /// Whether their values are: expressions that read nothing else are then tried.
    pub(crate) known: bool,
    /// Whether another side's answer may be among them.
    pub(crate) of_another: bool,
    /// Whether the saga was accepted before.
    pub(crate) accepted: bool,
    /// The work of all expressions so far, of the saga and of all that it stands in.
    pub(crate) work: &'a Cell<u64>,
    /// Whether an expression of the saga itself was met.
    pub(crate) met: &'a Cell<bool>,
    /// How a child is checked.
    pub(crate) check_child: ChildCheck,
}
