//! How often and after what delay an attempt is made again.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::GoDuration;

/// How often an operation is tried and how long is waited in between. Every field that is not set
/// is taken from `spec.defaults`, then from the built-in values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetryPolicy {
    /// All attempts, the first included. Built-in: 1 for an action, 10 for a compensation.
    #[schemars(range(min = 1, max = 1_000_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<i32>,
    /// How long all attempts together may take, waiting included. Built-in: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<GoDuration>,
    /// How long is waited between two attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
}

/// The delay between two attempts, counted from the instant at which the earlier one settled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
// Malformed durations have their own refusal: `matches` keeps this rule from failing on them, too.
#[x_kube(validation = Rule::new("!has(self.maxDelay) || !has(self.initialDelay) || \
    ![self.maxDelay, self.initialDelay].all(d, \
    d.matches('^([0-9]+([.][0-9]+)?(ns|us|ms|s|m|h))+$')) || duration(self.maxDelay) >= \
    duration(self.initialDelay)")
    .message("maxDelay is shorter than initialDelay: raise maxDelay, or leave it out"))]
pub struct Backoff {
    /// How the delay grows. Built-in: Exponential.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<BackoffType>,
    /// The delay after the first attempt. Built-in: 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_delay: Option<GoDuration>,
    /// No delay is longer than this, but for a `Retry-After` of the other side, at most 1h.
    /// Built-in: 1m, or `initialDelay` where that is longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delay: Option<GoDuration>,
    /// By which part a delay is made shorter or longer, 0 to 1; the same for the same attempt of
    /// the same saga. Built-in: 0.
    #[schemars(range(min = 0.0, max = 1.0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<f64>,
}

/// How the delay grows. None: always `initialDelay`. Linear: `initialDelay` × n after the n-th
/// attempt. Exponential (built-in): `initialDelay` × 2^(n-1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BackoffType {
    /// The same delay every time.
    None,
    /// Grows by `initialDelay` each time.
    Linear,
    /// Doubles each time.
    #[default]
    Exponential,
}
