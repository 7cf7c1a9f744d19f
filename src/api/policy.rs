//! How often and after what delay an attempt is made again.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::GoDuration;

/// How often an action or a compensation is attempted, and the delay between attempts. A field that
/// is not set is taken from `spec.defaults`, and otherwise has the default that it names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetryPolicy {
    /// The maximum number of attempts, the first one included. A value above 1000 counts as 1000.
    /// Default: 1 for an action, 10 for a compensation.
    #[schemars(range(min = 1, max = 1_000_000))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<i32>,
    /// How long all attempts together may take, delays included. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<GoDuration>,
    /// The delay between two attempts. The delay after the first and after the second attempt is at
    /// least 100ms, and after every later one at least 1s: a shorter delay is raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
}

/// The delay between two attempts, counted from the instant at which the earlier attempt settled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
// Malformed durations have their own refusal: `matches` keeps this rule from failing on them, too.
#[x_kube(validation = Rule::new("!has(self.maxDelay) || !has(self.initialDelay) || \
    ![self.maxDelay, self.initialDelay].all(d, \
    d.matches('^([0-9]+([.][0-9]+)?(ns|us|ms|s|m|h))+$')) || duration(self.maxDelay) >= \
    duration(self.initialDelay)")
    .message("maxDelay is shorter than initialDelay: raise maxDelay, or leave it out"))]
pub struct Backoff {
    /// How the delay grows: None (always `initialDelay`), Linear (`initialDelay` × n after the n-th
    /// attempt) or Exponential (`initialDelay` × 2^(n-1)). Default: Exponential.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<BackoffType>,
    /// The delay after the first attempt. Default: 1s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_delay: Option<GoDuration>,
    /// The longest delay. Only a `Retry-After` of the service may be longer, up to 1h, and the
    /// least delay: 100ms, or 1s from the third attempt on. Default: 1m, or `initialDelay` if that
    /// is longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delay: Option<GoDuration>,
    /// The fraction by which a delay may be shortened or lengthened, 0 to 1. The same attempt of
    /// the same saga always gets the same delay. Default: 0.
    #[schemars(range(min = 0.0, max = 1.0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<f64>,
}

/// How the delay grows. None: always `initialDelay`. Linear: `initialDelay` × n after the n-th
/// attempt. Exponential (default): `initialDelay` × 2^(n-1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BackoffType {
    /// The same delay every time.
    None,
    /// The delay grows by `initialDelay` each time.
    Linear,
    /// The delay doubles each time.
    #[default]
    Exponential,
}
