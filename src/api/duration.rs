//! Durations as Go writes them: `90s`, `1m30s`.

use std::{borrow::Cow, fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A positive duration in the format of Go's `time.ParseDuration`, such as `500ms`, `90s` or `1h30m`.
///
/// Parsing is Kubernetes' own (`metav1.Duration`); zero and negative values parse here and are refused by the schema and by
/// [`crate::engine::valid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GoDuration(kube::core::Duration);

impl GoDuration {
    /// The duration, or `None` where it is zero or negative.
    #[must_use]
    pub fn positive(self) -> Option<Duration> {
        let value = Duration::from(self.0);
        (!self.0.is_negative() && !value.is_zero()).then_some(value)
    }
}

impl From<Duration> for GoDuration {
    fn from(value: Duration) -> Self {
        Self(value.into())
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl JsonSchema for GoDuration {
    fn schema_name() -> Cow<'static, str> {
        "GoDuration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 32,
            "x-kubernetes-validations": [{
                // One rule instead of a pattern, so that the refusal can say what to write. `duration` accepts what Go accepts.
                "rule": "self.matches('^([0-9]+([.][0-9]+)?(ns|us|ms|s|m|h))+$') && duration(self) > duration('0s')",
                "message": "must be a positive duration: a number and a unit, such as 500ms, 90s, 1m30s or 2h",
            }],
        })
    }
}
