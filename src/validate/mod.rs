//! From a stored spec to a valid saga, or to all the reasons why it is none.

mod action;
pub(crate) mod child_saga;
mod given;
mod job;
mod operation;
mod pod;
pub mod read_scope;
mod retry;
pub mod saga;
mod taint;
pub mod warnings;
