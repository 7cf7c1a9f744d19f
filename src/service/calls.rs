//! The gauges of HTTP requests in flight and of name look-ups, for scrapers.
//!
//! # Guarantees
//! The gauges show the state at the time of the scrape. They count for the whole process: no label
//! names a namespace or a host.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

use super::source::Source;

/// How far a limit is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many are in flight.
    pub in_use: usize,
    /// How many may be in flight.
    pub limit: usize,
    /// How many wait.
    pub waiting: usize,
}

/// How far the limits on HTTP requests and on name look-ups are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallUsage {
    /// The HTTP requests. What waits is a saga, counted once for each host.
    pub calls: Usage,
    /// The name look-ups. What waits is an HTTP request.
    pub lookups: Usage,
}

/// Shows how far the limits are used.
pub type CallSource = Source<CallUsage>;

impl Collector for CallSource {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let CallUsage { calls, lookups } = self.read();
        let gauges = [
            (
                "saga_http_calls_in_flight",
                "HTTP calls that are in flight or about to begin",
                calls.in_use,
            ),
            ("saga_http_calls_limit", "HTTP calls that may be in flight", calls.limit),
            (
                "saga_http_calls_waiting",
                "Sagas that wait for a limit on HTTP calls, counted once for each host",
                calls.waiting,
            ),
            (
                "saga_http_lookups_in_flight",
                "Name look-ups that are in flight, those included that no call waits for any more",
                lookups.in_use,
            ),
            ("saga_http_lookups_limit", "Name look-ups that may be in flight", lookups.limit),
            (
                "saga_http_lookups_waiting",
                "HTTP calls that wait for a limit on name look-ups",
                lookups.waiting,
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use crate::service::metrics::Metrics;

    #[test]
    fn each_limit_is_shown_with_what_is_in_flight_and_what_waits() {
        let metrics = Metrics::new("1.2.3");
        metrics.calls().set(|| CallUsage {
            calls: Usage { in_use: 1, limit: 2, waiting: 3 },
            lookups: Usage { in_use: 4, limit: 5, waiting: 6 },
        });
        let text = metrics.text().unwrap();
        for line in [
            "# TYPE saga_http_calls_in_flight gauge",
            "saga_http_calls_in_flight 1",
            "saga_http_calls_limit 2",
            "saga_http_calls_waiting 3",
            "saga_http_lookups_in_flight 4",
            "saga_http_lookups_limit 5",
            "saga_http_lookups_waiting 6",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} is missing in\n{text}");
        }
    }
}
