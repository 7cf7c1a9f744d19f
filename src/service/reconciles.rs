//! The gauges of the queue of reconciles: how many run, and how many wait for their turn.

use std::sync::atomic::AtomicU64;

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};

/// The gauges of the queue of reconciles. All clones stand for the same gauges.
#[derive(Clone, Debug, Default)]
pub struct ReconcileGauges {
    running: Gauge<u64, AtomicU64>,
    waiting: Gauge<u64, AtomicU64>,
}

impl ReconcileGauges {
    /// Sets the number of reconciles that run, and the number of sagas that wait for theirs.
    pub fn set(&self, running: usize, waiting: usize) {
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.running.set(number(running));
        self.waiting.set(number(waiting));
    }

    /// Registers both gauges.
    pub(in crate::service) fn register(&self, registry: &mut Registry) {
        registry.register(
            "saga_reconciles_running",
            "Reconciles that run in this process",
            self.running.clone(),
        );
        registry.register(
            "saga_reconciles_waiting",
            "Sagas that wait for a place among the running reconciles; timers that are not due do \
             not count",
            self.waiting.clone(),
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use crate::service::metrics::Metrics;

    #[test]
    fn the_gauges_show_what_was_set_last() {
        let metrics = Metrics::new("1.2.3");
        for (running, waiting) in [(0, 0), (64, 1000), (1, 0)] {
            metrics.reconcile_gauges.set(running, waiting);
            let text = metrics.text().unwrap();
            for line in [
                format!("saga_reconciles_running {running}"),
                format!("saga_reconciles_waiting {waiting}"),
            ] {
                assert!(text.lines().any(|shown| shown == line), "{line} is missing in\n{text}");
            }
        }
    }
}
