//! The metrics of the process, in the `OpenMetrics` text format.
//!
//! # Guarantees
//! No label holds the name of an object or any other text that users choose. Each label value is a
//! `&'static str`, so the words in this program limit the number of series.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use super::{
    calls::CallSource,
    circuits::{CircuitSource, CircuitState},
    reconciles::ReconcileGauges,
    sagas::SagaSource,
    trials::TrialGauges,
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

/// The content type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The buckets for the duration of an attempt, in seconds: from a fast HTTP request to the longest
/// built-in time limit, 1 h.
const ATTEMPT_BUCKETS: [f64; 14] =
    [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 1800.0, 3600.0];
/// The buckets for the duration of a reconcile, in seconds: from a reconcile that changes nothing
/// to a reconcile that reaches the time limit of its API calls, 15 s.
const RECONCILE_BUCKETS: [f64; 13] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0];

/// The result of a reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReconcileResult {
    /// The reconcile wrote something or performed an effect.
    Changed,
    /// The reconcile had nothing to do.
    Unchanged,
    /// Another write came first. The next reconcile decides again.
    Conflict,
    /// The reconcile failed. It is retried.
    Error,
    /// The reconcile panicked, which is a bug.
    Panic,
}

impl ReconcileResult {
    /// All results, in the order of their declaration.
    const ALL: [Self; 5] =
        [Self::Changed, Self::Unchanged, Self::Conflict, Self::Error, Self::Panic];

    /// Returns the value of the label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Conflict => "conflict",
            Self::Error => "error",
            Self::Panic => "panic",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    action: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    action: &'static str,
    direction: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RetryLabels {
    action: &'static str,
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransitionLabels {
    to: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WatchLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

/// A family of histograms of durations. The constructor is a function, so that the family can
/// create a histogram for each label set.
type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

/// All metrics of the process, shared behind an [`Arc`].
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    ended: Family<PhaseLabels, Counter>,
    sagas: SagaSource,
    step_duration: Durations<AttemptLabels>,
    step_retries: Family<RetryLabels, Counter>,
    requests: Family<RequestLabels, Counter>,
    reconciles: Family<ResultLabels, Counter>,
    reconcile_duration: Histogram,
    /// How many reconciles run and wait.
    pub reconcile_gauges: ReconcileGauges,
    watch_errors: Family<WatchLabels, Counter>,
    unreadable: Family<WatchLabels, Counter>,
    /// The gauges of the trials before the first steps of sagas.
    pub trials: TrialGauges,
    calls: CallSource,
    circuits: CircuitSource,
    circuit_transitions: Family<TransitionLabels, Counter>,
    status_writes: Family<ResultLabels, Counter>,
    unknown_words: Counter,
    leads: Gauge<u64, AtomicU64>,
}

impl Metrics {
    /// Creates all metrics with the value zero. `version` is the version of the operator.
    #[must_use]
    pub fn new(version: &'static str) -> Arc<Self> {
        let metrics = Self {
            registry: Registry::default(),
            ended: Family::default(),
            sagas: SagaSource::default(),
            step_duration: Family::new_with_constructor(|| Histogram::new(ATTEMPT_BUCKETS)),
            step_retries: Family::default(),
            requests: Family::default(),
            reconciles: Family::default(),
            reconcile_duration: Histogram::new(RECONCILE_BUCKETS),
            reconcile_gauges: ReconcileGauges::default(),
            watch_errors: Family::default(),
            unreadable: Family::default(),
            trials: TrialGauges::default(),
            calls: CallSource::default(),
            circuits: CircuitSource::default(),
            circuit_transitions: Family::default(),
            status_writes: Family::default(),
            unknown_words: Counter::default(),
            leads: Gauge::default(),
        };
        // All series exist from the beginning. If a series began with its first event, `rate` would
        // not count this event.
        for result in ReconcileResult::ALL {
            drop(metrics.reconciles.get_or_create(&ResultLabels { result: result.as_str() }));
        }
        for to in CircuitState::ALL {
            drop(metrics.circuit_transitions.get_or_create(&TransitionLabels { to: to.as_str() }));
        }
        Arc::new(metrics.registered(version))
    }

    /// Registers every metric. The encoder appends `_total` or `_seconds` to a name, depending on
    /// the kind and the unit of the metric.
    fn registered(mut self, version: &'static str) -> Self {
        // This pattern has no `..`, so that the compiler reports a metric that is never registered.
        let Self {
            registry,
            ended,
            sagas,
            step_duration,
            step_retries,
            requests,
            reconciles,
            reconcile_duration,
            reconcile_gauges,
            watch_errors,
            unreadable,
            trials,
            calls,
            circuits,
            circuit_transitions,
            status_writes,
            unknown_words,
            leads,
        } = &mut self;
        registry.register(
            "saga_build",
            "The version of the operator",
            Info::new(BuildLabels { version }),
        );
        registry.register(
            "saga",
            "Sagas that ended, or failed and wait for a person, by the phase that they entered",
            ended.clone(),
        );
        registry.register_collector(Box::new(sagas.clone()));
        register_attempts(registry, step_duration, step_retries);
        registry.register(
            "saga_requests",
            "Requests by annotation that were answered",
            requests.clone(),
        );
        register_reconciles(registry, reconciles, reconcile_duration);
        reconcile_gauges.register(registry);
        let help = "Watches that failed and were begun again";
        registry.register("saga_controller_watch_errors", help, watch_errors.clone());
        let help = "Versions of Pods and Jobs that cannot be read and are passed over";
        registry.register("saga_unreadable_objects", help, unreadable.clone());
        register_http(registry, calls, circuits, circuit_transitions);
        trials.register(registry);
        let help = "1 while this replica works on sagas, 0 while it stands by for another replica";
        registry.register("saga_operator_leader", help, leads.clone());
        registry.register(
            "saga_status_writes",
            "Writes of a saga's status by how they ended",
            status_writes.clone(),
        );
        let help = "Sagas whose status has words of another version, which this operator does not \
            change";
        registry.register("saga_unknown_words", help, unknown_words.clone());
        self
    }

    /// Counts a saga that entered `phase`: the saga ended, or failed and waits for a user.
    pub fn saga_ended(&self, phase: &'static str) {
        self.ended.get_or_create(&PhaseLabels { phase }).inc();
    }

    /// Records an attempt that settled after `duration`. `action` is a kind of action, such as
    /// `pod`. `direction` is `action` or `compensation`.
    pub fn step_settled(
        &self,
        action: &'static str,
        direction: &'static str,
        outcome: &'static str,
        duration: Duration,
    ) {
        self.step_duration
            .get_or_create(&AttemptLabels { action, direction, outcome })
            .observe(duration.as_secs_f64());
    }

    /// Counts the start of an attempt other than the first.
    pub fn step_retried(&self, action: &'static str, direction: &'static str) {
        self.step_retries.get_or_create(&RetryLabels { action, direction }).inc();
    }

    /// Counts an answer to a request by annotation. `action` is the requested action, such as
    /// `retry`. `result` is the answer, such as `Accepted`.
    pub fn request_answered(&self, action: &'static str, result: &'static str) {
        self.requests.get_or_create(&RequestLabels { action, result }).inc();
    }

    /// Records a reconcile that ended after `duration`.
    pub fn reconciled(&self, result: ReconcileResult, duration: Duration) {
        self.reconciles.get_or_create(&ResultLabels { result: result.as_str() }).inc();
        self.reconcile_duration.observe(duration.as_secs_f64());
    }

    /// Counts a failure of a watch of objects of `kind` (such as `Pod`).
    pub fn watch_failed(&self, kind: &'static str) {
        self.watch_errors.get_or_create(&WatchLabels { kind }).inc();
    }

    /// Counts a version of an object of `kind` (such as `Pod`) that a watch showed and that cannot
    /// be read.
    pub fn unreadable_met(&self, kind: &'static str) {
        self.unreadable.get_or_create(&WatchLabels { kind }).inc();
    }

    /// Sets whether this process works on sagas. If `leads` is false, the process waits while
    /// another replica works.
    pub fn set_leads(&self, leads: bool) {
        self.leads.set(leads.into());
    }

    /// Counts a change of a circuit breaker to the state `to`.
    pub fn circuit_turned(&self, to: CircuitState) {
        self.circuit_transitions.get_or_create(&TransitionLabels { to: to.as_str() }).inc();
    }

    /// Returns the source of the number of sagas.
    #[must_use]
    pub const fn sagas(&self) -> &SagaSource {
        &self.sagas
    }

    /// Returns the source of the HTTP requests in flight.
    #[must_use]
    pub const fn calls(&self) -> &CallSource {
        &self.calls
    }

    /// Returns the source of the circuit breakers.
    #[must_use]
    pub const fn circuits(&self) -> &CircuitSource {
        &self.circuits
    }

    /// Counts a write of a saga's status that ended with `result` (such as `ok` or `conflict`).
    pub fn status_written(&self, result: &'static str) {
        self.status_writes.get_or_create(&ResultLabels { result }).inc();
    }

    /// Counts a saga whose status contains words that this version does not know.
    pub fn unknown_words_met(&self) {
        self.unknown_words.inc();
    }

    /// Returns all metrics in the format of [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// Fails if the encoder fails. Writing to a string does not make the encoder fail.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Registers the metrics about the attempts of steps.
fn register_attempts(
    registry: &mut Registry,
    step_duration: &Durations<AttemptLabels>,
    step_retries: &Family<RetryLabels, Counter>,
) {
    registry.register_with_unit(
        "saga_step_duration",
        "Duration of settled attempts, from the recorded intent",
        Unit::Seconds,
        step_duration.clone(),
    );
    registry.register(
        "saga_step_retries",
        "Attempts beyond the first of a step and direction",
        step_retries.clone(),
    );
}

/// Registers the metrics about reconciles.
fn register_reconciles(
    registry: &mut Registry,
    reconciles: &Family<ResultLabels, Counter>,
    reconcile_duration: &Histogram,
) {
    registry.register(
        "saga_controller_reconcile",
        "Reconciles by how they ended",
        reconciles.clone(),
    );
    registry.register_with_unit(
        "saga_controller_reconcile",
        "Duration of reconciles",
        Unit::Seconds,
        reconcile_duration.clone(),
    );
}

/// Registers the metrics about the HTTP requests of HTTP steps and about the circuit breakers.
fn register_http(
    registry: &mut Registry,
    calls: &CallSource,
    circuits: &CircuitSource,
    circuit_transitions: &Family<TransitionLabels, Counter>,
) {
    registry.register_collector(Box::new(calls.clone()));
    registry.register_collector(Box::new(circuits.clone()));
    let help = "HTTP circuit breakers that closed, opened or became half-open";
    registry.register("saga_circuit_breaker_transitions", help, circuit_transitions.clone());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn every_metric_appears_under_its_name() {
        let metrics = Metrics::new("1.2.3");
        metrics.saga_ended("Completed");
        metrics.saga_ended("Completed");
        metrics.step_settled("pod", "action", "Succeeded", Duration::from_millis(1500));
        metrics.step_retried("http", "compensation");
        metrics.request_answered("retry", "Accepted");
        metrics.reconciled(ReconcileResult::Changed, Duration::from_millis(2));
        metrics.watch_failed("Pod");
        metrics.unreadable_met("Job");
        metrics.status_written("conflict");
        metrics.unknown_words_met();
        let trials = &metrics.trials;
        let _trials = (trials.in_flight(), trials.waiting(), trials.waiting());
        drop(trials.in_flight());
        metrics.set_leads(true);

        let text = metrics.text().unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for line in [
            "saga_build_info{version=\"1.2.3\"} 1",
            "saga_total{phase=\"Completed\"} 2",
            "saga_step_duration_seconds_sum{action=\"pod\",direction=\"action\",\
             outcome=\"Succeeded\"} 1.5",
            "saga_step_duration_seconds_bucket{le=\"1.0\",action=\"pod\",direction=\"action\",\
             outcome=\"Succeeded\"} 0",
            "saga_step_duration_seconds_bucket{le=\"3.0\",action=\"pod\",direction=\"action\",\
             outcome=\"Succeeded\"} 1",
            "saga_step_retries_total{action=\"http\",direction=\"compensation\"} 1",
            "saga_requests_total{action=\"retry\",result=\"Accepted\"} 1",
            "saga_controller_reconcile_total{result=\"changed\"} 1",
            "saga_controller_reconcile_seconds_count 1",
            "saga_controller_watch_errors_total{kind=\"Pod\"} 1",
            "saga_unreadable_objects_total{kind=\"Job\"} 1",
            "saga_http_calls_in_flight 0",
            "saga_trials_in_flight 1",
            "saga_trials_waiting 2",
            "saga_status_writes_total{result=\"conflict\"} 1",
            "saga_unknown_words_total 1",
            "saga_operator_leader 1",
            "# EOF",
        ] {
            assert!(lines.contains(&line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn results_of_reconciles_are_there_before_they_happen() {
        let text = Metrics::new("1.2.3").text().unwrap();
        for result in ["changed", "unchanged", "conflict", "error", "panic"] {
            assert!(
                text.contains(&format!("saga_controller_reconcile_total{{result=\"{result}\"}} 0")),
                "{text}"
            );
        }
    }
}
