//! Turns a stored spec into a valid saga, or into all reasons why the spec is not valid.

mod acceptance;
mod action;
pub(in crate::validate) mod child_saga;
mod floors;
mod given;
mod job;
mod operation;
mod pod;
pub mod read_scope;
mod retry;
pub mod saga;
mod steps;
mod taint;
pub mod warnings;
