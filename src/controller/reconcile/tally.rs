//! Counts in the metrics what a plan recorded.

use crate::{api::SagaPhase, model::plan::Tally, service::metrics::Metrics};

/// Counts what a recorded plan settled, retried, answered and ended.
pub(in crate::controller) fn count_tally(metrics: &Metrics, tally: &Tally) {
    let Tally { settled, retries, requests, entered } = tally;
    for attempt in settled {
        metrics.step_settled(
            attempt.kind,
            attempt.direction.as_str(),
            attempt.outcome.as_str(),
            attempt.took,
        );
    }
    for (kind, direction) in retries {
        metrics.step_retried(kind, direction.as_str());
    }
    for (action, result) in requests {
        metrics.request_answered(action.as_str(), result.as_str());
    }
    let ended = |phase: &SagaPhase| {
        phase.is_terminal() || matches!(phase, SagaPhase::Failed | SagaPhase::CompensationFailed)
    };
    if let Some(phase) = entered.filter(ended) {
        metrics.saga_ended(phase.as_str());
    }
}
