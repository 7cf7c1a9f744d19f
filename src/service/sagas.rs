//! The gauge `saga_resources`: the number of existing sagas, for scrapers.
//!
//! # Guarantees
//! The sagas are counted when a scraper asks. The gauge therefore decreases after a user repairs or
//! deletes the sagas that it counts.

use std::{collections::BTreeMap, fmt};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

use super::source::Source;

/// The number of sagas, by phase and by the reason of the condition `Ready`.
pub type Census = BTreeMap<(&'static str, &'static str), i64>;

/// Shows the number of sagas.
pub type SagaSource = Source<Census>;

impl Collector for SagaSource {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let census = self.read();
        if census.is_empty() {
            return Ok(());
        }
        let help = "Sagas that there are, by phase and by the reason of the condition Ready; each \
            operator counts all that it watches";
        let mut family =
            encoder.encode_descriptor("saga_resources", help, None, MetricType::Gauge)?;
        for ((phase, reason), count) in census {
            let labels = [("phase", phase), ("reason", reason)];
            ConstGauge::new(count).encode(family.encode_family(&labels)?)?;
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
    fn sagas_are_counted_by_phase_and_reason() {
        let metrics = Metrics::new("1.2.3");
        assert!(!metrics.text().unwrap().contains("saga_resources"), "nobody counts yet");
        metrics.sagas().set(|| Census::from([(("Failed", "StepFailed"), 2), (("Pending", ""), 1)]));
        let text = metrics.text().unwrap();
        for line in [
            "# TYPE saga_resources gauge",
            "saga_resources{phase=\"Failed\",reason=\"StepFailed\"} 2",
            "saga_resources{phase=\"Pending\",reason=\"\"} 1",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} is missing in\n{text}");
        }
    }
}
