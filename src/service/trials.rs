//! The gauges of the trials before the first steps of sagas.

use std::sync::atomic::AtomicU64;

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};

/// The gauges of the trials.
#[derive(Debug, Default)]
pub struct TrialGauges {
    in_flight: Gauge<u64, AtomicU64>,
    waiting: Gauge<u64, AtomicU64>,
}

impl TrialGauges {
    /// Registers the gauges.
    pub(in crate::service) fn register(&self, registry: &mut Registry) {
        registry.register(
            "saga_trials_in_flight",
            "Operations that are tried now, before the first steps of their sagas",
            self.in_flight.clone(),
        );
        registry.register(
            "saga_trials_waiting",
            "Sagas that wait for their turn to be tried before their first step",
            self.waiting.clone(),
        );
    }

    /// Counts the trial of an operation as in flight until the returned guard is dropped.
    pub fn in_flight(&self) -> TrialCount {
        TrialCount::of(&self.in_flight)
    }

    /// Counts a saga that waits for its turn until the returned guard is dropped.
    pub fn waiting(&self) -> TrialCount {
        TrialCount::of(&self.waiting)
    }
}

/// Counts a trial in a gauge until this is dropped. A panic also drops it.
#[derive(Debug)]
#[must_use = "the trial counts until this is dropped"]
pub struct TrialCount(Gauge<u64, AtomicU64>);

impl TrialCount {
    fn of(gauge: &Gauge<u64, AtomicU64>) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for TrialCount {
    fn drop(&mut self) {
        self.0.dec();
    }
}
