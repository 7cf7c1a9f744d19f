//! What a version of the operator finds wrong with an accepted spec, in the status.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the message of the condition `Accepted` is composed from, if a version of the operator
/// finds faults in a spec that another version accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpecDoubts {
    /// The version of the operator that finds the faults which the condition `Accepted` names.
    #[schemars(length(max = 63))]
    pub by: String,
    /// The message of the condition `Accepted` without the faults.
    #[schemars(length(max = 4096))]
    pub accepted_message: String,
}
