//! Durations as Go writes them: `90s`, `1m30s`.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// The longest text of a duration, in bytes.
const MAX_LENGTH: usize = 32;
/// The most digits before the point of one number in a duration. As many hours as fit into one text
/// stay within Rust's own duration.
const MAX_DIGITS: usize = 15;

/// A positive duration in the format of Go's `time.ParseDuration`, such as `500ms`, `90s` or
/// `1h30m`.
///
/// The parser is the one of Kubernetes (`metav1.Duration`), with the same bound: at most 2^63 ns,
/// about 292 years. Zero and negative values are parsed here and refused by the schema and by
/// [`crate::validate::saga`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct GoDuration(kube::core::Duration);

impl FromStr for GoDuration {
    type Err = String;

    /// # Errors
    /// A sentence that says what to write instead.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        // kube's parser panics on an overflow and on a sign within the text: neither is passed on.
        let harmless =
            text.len() <= MAX_LENGTH && unsigned.split(char::is_alphabetic).all(is_plain_number);
        match harmless.then(|| text.parse::<kube::core::Duration>().ok()).flatten() {
            Some(value) if i64::try_from(Duration::from(value).as_nanos()).is_ok() => {
                Ok(Self(value))
            }
            Some(_) => Err("a duration can be at most 292 years: write 2500000h or less".into()),
            None => Err(format!(
                "{:?} is not a duration: write a number and a unit, such as 500ms, 90s, 1m30s or \
                 2h",
                text.chars().take(MAX_LENGTH).collect::<String>()
            )),
        }
    }
}

/// Returns whether a text has digits and points only, and few enough digits before the first point.
/// The empty text counts as a number: the parser decides about it.
fn is_plain_number(text: &str) -> bool {
    let whole = text.split('.').next().unwrap_or_default();
    whole.len() <= MAX_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl GoDuration {
    /// Returns the duration, or `None` if it is zero or negative.
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
            "maxLength": MAX_LENGTH,
            "x-kubernetes-validations": [{
                // One rule instead of a pattern, so that the refusal can say what to write.
                // `duration` accepts what Go accepts.
                "rule": "self.matches('^([0-9]+([.][0-9]+)?(ns|us|ms|s|m|h))+$') && \
                 duration(self) > duration('0s')",
                "message": "must be a positive duration: a number and a unit, such as 500ms, 90s, \
                 1m30s or 2h",
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_go_writes_is_read() {
        for (text, millis) in [
            ("500ms", 500),
            ("90s", 90_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("+2h", 7_200_000),
            (".5s", 500),
        ] {
            assert_eq!(
                text.parse::<GoDuration>().unwrap().positive(),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
    }

    #[test]
    fn zero_and_negative_are_read_but_not_positive() {
        for text in ["0", "0s", "-1s", "-1h30m"] {
            assert_eq!(text.parse::<GoDuration>().unwrap().positive(), None, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_to_write() {
        for text in
            ["soon", "30", "1d", "1 h", "1s-2s", "--1s", "1e9s", "9999999999999999h", "nans"]
        {
            let refusal = text.parse::<GoDuration>().unwrap_err();
            assert!(
                refusal.contains("is not a duration: write a number and a unit"),
                "{text}: {refusal}"
            );
        }
        assert!(
            "999999999999999h".parse::<GoDuration>().unwrap_err().contains("at most 292 years")
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-+]?([0-9.µnmush-]{0,40})") {
            let _ = text.parse::<GoDuration>();
        }

        #[test]
        fn what_is_written_is_read_back(nanos in 1..i64::MAX) {
            let written = GoDuration::from(Duration::from_nanos(nanos.unsigned_abs()));
            // Parsing goes through floating point, as the parts of a second in Go's text do.
            let text = serde_json::to_value(written).unwrap();
            let read: GoDuration = serde_json::from_value(text).unwrap();
            let expected = Duration::from_nanos(nanos.unsigned_abs());
            let difference = read.positive().unwrap().abs_diff(expected);
            prop_assert!(difference <= Duration::from_micros(2));
        }
    }
}
