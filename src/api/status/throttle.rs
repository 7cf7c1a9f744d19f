//! Why a due attempt of a step does not begin, in the status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why the next attempt of a step does not begin although it is due. The operator composes the
/// message of the step from these fields, and removes the fields when the step no longer waits.
///
/// # Caveats
/// An operator that does not know these fields leaves them behind. They count only while the
/// message of the step is the one that is composed from them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThrottleStatus {
    /// Why the attempt does not begin. One of `CircuitOpen` (the circuit breaker of the origin
    /// admits no more HTTP requests); a later version may know more.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// The origin of the HTTP request, such as `http://stock.shop.svc:80`.
    #[schemars(length(max = 512))]
    pub origin: String,
    /// When the step is tried again. Absent if the step is tried again when the HTTP request that
    /// tests the origin has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<MicroTime>,
    /// The message that the step had before it began to wait, and that the step gets back.
    #[schemars(length(max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_message: Option<String>,
}
