//! One attempt from its intent to its outcome: it begins, is judged, and settles.

pub(super) mod advance;
pub(super) mod answer;
pub mod backoff;
pub(super) mod begin;
pub(super) mod child_saga;
pub(super) mod exit_code;
pub(super) mod judge;
pub mod object;
pub(super) mod outputs;
pub(super) mod progress;
pub mod settle;
pub(super) mod wait;
