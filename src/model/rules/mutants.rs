//! The rule of [`kept`] with its mutant: a rule that this process breaks gives the wrong instant.

use std::time::Duration;

use jiff::Timestamp;

use super::kept;
use crate::mutants::{Mutant, broken};

pub(in crate::model) fn earliest(started_at: Timestamp, apart: Duration) -> Timestamp {
    kept::earliest(started_at, if broken(Mutant::Skew) { Duration::ZERO } else { apart })
}
