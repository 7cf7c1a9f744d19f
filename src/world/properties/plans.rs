//! What must hold of a plan.

use super::must::must;
use crate::{
    api::{SagaPhase, StepPhase},
    engine::invariants,
    model::{
        input::PlanInput,
        plan::{Effect, Finalizer, Plan, StatusWrite},
    },
    world::state::{
        object::{SagaObject, active_in},
        property::{Property, Violation},
    },
};

/// Checks a plan that was made on the newest copy.
pub(in super::super) fn plan(
    copy: &SagaObject,
    seen: &PlanInput<'_>,
    plan: &Plan,
    violations: &mut Vec<Violation>,
) {
    // A saga that this replica cannot read is left to a replica that can.
    if (copy.deleting && !copy.finalizer) || !seen.versions.words.is_empty() {
        return;
    }
    for sentence in invariants::check_plan(copy.saga(), seen, plan) {
        violations.push(Violation::new(Property::Consistent, sentence));
    }
    let after = match &plan.status {
        Some(StatusWrite::Whole(status) | StatusWrite::Verdict(status)) => status.as_ref(),
        None => copy.status(),
    };
    let old = copy.status();
    if old.phase.is_some_and(SagaPhase::is_terminal) {
        let answers = after.requests.len() != old.requests.len()
            || after.handled_tokens.len() != old.handled_tokens.len();
        let spec_was_seen = after.observed_generation != old.observed_generation;
        must(
            violations,
            plan.status.is_none() || answers || spec_was_seen,
            Property::Quiescent,
            || "something is written to an ended saga".into(),
        );
        let begins = plan
            .drafted_effects()
            .iter()
            .any(|effect| matches!(effect, Effect::Begin { .. } | Effect::Stop(_)));
        must(
            violations,
            !begins || old.phase == Some(SagaPhase::Completed),
            Property::Quiescent,
            || "something begins in an ended saga".into(),
        );
    }
    let phase = after.phase.unwrap_or(SagaPhase::Pending);
    let paused = copy.saga().suspend || after.paused.is_some();
    let waits = phase.is_terminal()
        || matches!(phase, SagaPhase::Failed | SagaPhase::CompensationFailed)
        || (paused && !copy.deleting);
    // A user has to approve.
    let asks = after.steps.iter().any(|step| step.phase == StepPhase::Waiting);
    let goes = copy.deleting && plan.finalizer == Finalizer::Remove;
    let active = active_in(after).count();
    let wakes = plan.wake.is_some() || goes || asks || (waits && active == 0);
    must(violations, wakes, Property::WakeUp, || {
        format!("the saga is {phase:?} with {active} attempts under way, and plans no requeue")
    });
}
