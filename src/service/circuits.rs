//! The state of the HTTP circuit breakers for scrapers and probes: the gauge
//! `saga_circuit_breakers`, and the list at `/health/circuits`.
//!
//! # Guarantees
//! The gauge and the list read the same source at the time of the HTTP request. Both hold exactly
//! the breakers that are tracked at that time. The source limits the number of breakers. The gauge
//! names no namespace and no host: every pod of the cluster may scrape it.

use std::fmt;

use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use serde::{Serialize, Serializer};

use super::source::Source;

/// The state of a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CircuitState {
    /// All calls are allowed.
    Closed,
    /// One call at a time is allowed. The call tests whether the host answers again.
    HalfOpen,
    /// No call is allowed.
    Open,
}

impl CircuitState {
    /// All states, in the order of their declaration.
    pub const ALL: [Self; 3] = [Self::Closed, Self::HalfOpen, Self::Open];

    /// Returns the name of the state: `closed`, `half-open` or `open`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }
}

impl Serialize for CircuitState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A report of one tracked breaker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CircuitReport {
    /// The namespace of the sagas that call the host.
    pub namespace: String,
    /// The scheme of the calls: `http` or `https`.
    pub scheme: String,
    /// The host that the sagas call.
    pub host: String,
    /// The port of the host.
    pub port: u16,
    /// The state of the breaker.
    pub state: CircuitState,
    /// The number of calls that the breaker counts now.
    pub calls: u32,
    /// The number of these calls that have an unknown outcome.
    pub unknown: u32,
    /// The time until which the breaker is open; `None` if the breaker is not open.
    pub until: Option<Timestamp>,
}

/// Shows the tracked breakers.
pub type CircuitSource = Source<Vec<CircuitReport>>;

impl Collector for CircuitSource {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let circuits = self.read();
        let help = "Tracked HTTP circuit breakers by their state";
        let mut family =
            encoder.encode_descriptor("saga_circuit_breakers", help, None, MetricType::Gauge)?;
        for state in CircuitState::ALL {
            let count = circuits.iter().filter(|circuit| circuit.state == state).count();
            let labels = [("state", state.as_str())];
            ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX))
                .encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use std::sync::{Arc, Mutex, PoisonError};

    use serde_json::json;

    use super::*;
    use crate::service::metrics::Metrics;

    fn circuit(host: &str, state: CircuitState) -> CircuitReport {
        let until = (state == CircuitState::Open).then(|| "2026-03-01T12:00:30Z".parse().unwrap());
        CircuitReport {
            namespace: "shop".into(),
            scheme: "http".into(),
            host: host.into(),
            port: 80,
            state,
            calls: 7,
            unknown: 3,
            until,
        }
    }

    #[test]
    fn the_gauge_counts_what_is_tracked_at_the_moment_and_names_no_namespace_or_host() {
        let (metrics, tracked) = (Metrics::new("1.2.3"), Arc::new(Mutex::new(Vec::new())));
        let source = Arc::clone(&tracked);
        let none = ["closed", "half-open", "open"]
            .map(|state| format!("saga_circuit_breakers{{state=\"{state}\"}} 0"));
        let shows = |lines: &[String]| {
            let text = metrics.text().unwrap();
            for line in lines {
                assert!(text.lines().any(|told| told == line), "{line} is missing in\n{text}");
            }
            text
        };
        shows(&none);
        metrics
            .circuits()
            .set(move || source.lock().unwrap_or_else(PoisonError::into_inner).clone());
        *tracked.lock().unwrap() = vec![
            circuit("stock", CircuitState::Closed),
            circuit("mail", CircuitState::Open),
            circuit("payments", CircuitState::Open),
        ];
        let text = shows(&[
            "# TYPE saga_circuit_breakers gauge".into(),
            "saga_circuit_breakers{state=\"closed\"} 1".into(),
            "saga_circuit_breakers{state=\"half-open\"} 0".into(),
            "saga_circuit_breakers{state=\"open\"} 2".into(),
        ]);
        for named in ["shop", "stock", "mail", "payments"] {
            assert!(!text.contains(named), "{named} is named in\n{text}");
        }
        tracked.lock().unwrap().clear();
        shows(&none);
    }

    #[test]
    fn transitions_are_counted_by_what_they_lead_to_and_are_there_before_they_happen() {
        let metrics = Metrics::new("1.2.3");
        metrics.circuit_turned(CircuitState::Open);
        let text = metrics.text().unwrap();
        for (to, count) in [("open", 1), ("half-open", 0), ("closed", 0)] {
            assert!(
                text.contains(&format!(
                    "saga_circuit_breaker_transitions_total{{to=\"{to}\"}} {count}\n"
                )),
                "{text}"
            );
        }
    }

    #[test]
    fn a_circuit_is_told_in_plain_words() {
        assert_eq!(
            json!([circuit("stock", CircuitState::Open), circuit("stock", CircuitState::HalfOpen)]),
            json!([
                {"namespace": "shop", "scheme": "http", "host": "stock", "port": 80,
                 "state": "open", "calls": 7, "unknown": 3, "until": "2026-03-01T12:00:30Z"},
                {"namespace": "shop", "scheme": "http", "host": "stock", "port": 80,
                 "state": "half-open", "calls": 7, "unknown": 3, "until": null},
            ])
        );
    }
}
