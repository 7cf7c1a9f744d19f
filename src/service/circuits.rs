//! What scrapers and probes see of the HTTP circuit breakers: the gauge
//! `saga_circuit_breaker_state`, and the list at `/health/circuits`.
//!
//! # Guarantees
//! Both are taken from one source at the moment they are asked for, so that they hold the circuits
//! that are tracked then and no others: whoever is the source bounds how many.

use std::fmt;

use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use serde::{Serialize, Serializer};

use super::board::Board;

/// How a circuit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CircuitState {
    /// Every call is let through.
    Closed,
    /// One call at a time is let through, to find out whether the host answers again.
    HalfOpen,
    /// No call is let through.
    Open,
}

impl CircuitState {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Closed, Self::HalfOpen, Self::Open];

    /// The word for it: `closed`, `half-open`, `open`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }

    /// The gauge's value: 0 closed, 1 half-open, 2 open.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

impl Serialize for CircuitState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One circuit that is tracked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CircuitReport {
    /// The namespace that calls.
    pub namespace: String,
    /// `http` or `https`.
    pub scheme: String,
    /// The host that is called.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it stands.
    pub state: CircuitState,
    /// How many calls count now.
    pub calls: u32,
    /// How many of them have an unknown outcome.
    pub unknown: u32,
    /// Until when it is open; `None` where it is not.
    pub until: Option<Timestamp>,
}

/// Shows the circuits that are tracked.
pub type CircuitBoard = Board<Vec<CircuitReport>>;

impl Collector for CircuitBoard {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let circuits = self.told();
        if circuits.is_empty() {
            return Ok(());
        }
        let help =
            "How each HTTP circuit breaker that is tracked stands: 0 closed, 1 half-open, 2 open";
        let mut family = encoder.encode_descriptor(
            "saga_circuit_breaker_state",
            help,
            None,
            MetricType::Gauge,
        )?;
        for circuit in circuits {
            // With its scheme: two ports of one host are two circuits, and so are two schemes on
            // one port.
            let host = format!("{}://{}:{}", circuit.scheme, circuit.host, circuit.port);
            let labels = [("namespace", circuit.namespace), ("host", host)];
            ConstGauge::new(circuit.state.number()).encode(family.encode_family(&labels)?)?;
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
    fn the_gauge_shows_what_is_tracked_at_the_moment_and_nothing_else() {
        let (metrics, tracked) = (Metrics::new("1.2.3"), Arc::new(Mutex::new(Vec::new())));
        let source = Arc::clone(&tracked);
        assert!(
            !metrics.text().unwrap().contains("saga_circuit_breaker_state"),
            "nobody tells of any yet"
        );
        metrics
            .circuits()
            .show(move || source.lock().unwrap_or_else(PoisonError::into_inner).clone());
        *tracked.lock().unwrap() =
            CircuitState::ALL.map(|state| circuit(state.as_str(), state)).to_vec();
        let text = metrics.text().unwrap();
        for line in [
            "# TYPE saga_circuit_breaker_state gauge",
            "saga_circuit_breaker_state{namespace=\"shop\",host=\"http://closed:80\"} 0",
            "saga_circuit_breaker_state{namespace=\"shop\",host=\"http://half-open:80\"} 1",
            "saga_circuit_breaker_state{namespace=\"shop\",host=\"http://open:80\"} 2",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} is missing in\n{text}");
        }
        tracked.lock().unwrap().clear();
        assert!(
            !metrics.text().unwrap().contains("saga_circuit_breaker_state"),
            "series go with their circuits"
        );
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
