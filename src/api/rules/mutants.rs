//! The rules of [`kept`] with their mutants: a rule that this process breaks gives the wrong value.

use serde_json::Value;

use super::kept;
use crate::mutants::{Mutant, broken};

pub(in crate::api) fn put_back(status: &mut Value, fields: &Value) {
    if !broken(Mutant::DropsFields) {
        kept::put_back(status, fields);
    }
}

pub(crate) fn read_back<V>(value: V, as_stored: impl Fn(V) -> V) -> V {
    if broken(Mutant::NumbersDrift) { value } else { kept::read_back(value, as_stored) }
}
