//! The rules of the engine with their mutants: a rule that this process breaks gives the wrong
//! answer, and every other rule is that of [`kept`].

use std::{cmp::Reverse, time::Duration};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::kept;
pub(in crate::engine) use super::kept::*;
use crate::{
    api::{
        ActiveAttempt, DirectionStatus, Outcome, Pause, RequestAction, SagaPhase, SagaStatus,
        StepPhase, StepStatus,
    },
    engine::settlement::{Verdict, not_started, unknown},
    model::{
        graph::StepSet,
        input::PlanInput,
        observation::Reached,
        plan::Finalizer,
        saga::{Operation, ValidStep},
        versions::Versions,
    },
    mutants::{Mutant, broken},
};

pub(in crate::engine) fn dependencies_are_done(dependencies: StepSet, done: StepSet) -> bool {
    broken(Mutant::Dependencies) || kept::dependencies_are_done(dependencies, done)
}

pub(in crate::engine) fn starts_new_steps(failed: bool) -> bool {
    broken(Mutant::FailureStops) || kept::starts_new_steps(failed)
}

pub(in crate::engine) fn may_go_on(failed: bool, status: &StepStatus) -> bool {
    broken(Mutant::RetriesStop) || kept::may_go_on(failed, status)
}

pub(in crate::engine) fn is_due(instant: Option<&MicroTime>, now: Timestamp) -> bool {
    broken(Mutant::Backoff) || kept::is_due(instant, now)
}

pub(in crate::engine) fn floored(delay: Duration, nth: u32) -> Duration {
    if broken(Mutant::Floors) { delay } else { kept::floored(delay, nth) }
}

pub(in crate::engine) fn free_slots(max_parallel: usize, taken: usize) -> usize {
    kept::free_slots(max_parallel.saturating_add(usize::from(broken(Mutant::Slots))), taken)
}

pub(in crate::engine) fn is_paused(suspend: bool, paused: Option<&Pause>, deleting: bool) -> bool {
    !broken(Mutant::PauseStarts) && kept::is_paused(suspend, paused, deleting)
}

pub(in crate::engine) fn turns_back(deleting: bool, undo_requested: Option<&str>) -> bool {
    kept::turns_back(
        deleting && !broken(Mutant::DeletedGoesOn),
        undo_requested.filter(|_| !broken(Mutant::TurnBack)),
    )
}

pub(in crate::engine) fn record_intent(record: &mut DirectionStatus, intent: ActiveAttempt) {
    if broken(Mutant::DropIntent) {
        record.active = None;
    } else {
        kept::record_intent(record, intent);
    }
}

pub(in crate::engine) fn next_retry(
    instants: impl Iterator<Item = Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    kept::next_retry(instants.filter(|_| !broken(Mutant::RetryWake)), now)
}

pub(in crate::engine) fn next_retry_of_undo(
    instants: impl Iterator<Item = Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    kept::next_retry_of_undo(instants.filter(|_| !broken(Mutant::UndoWake)), now)
}

pub(in crate::engine) fn next_stop(ends: Timestamp, now: Timestamp) -> Option<Timestamp> {
    kept::next_stop(ends, now).filter(|_| !broken(Mutant::LimitWake))
}

pub(in crate::engine) fn request_of_another_executor() -> Verdict {
    if broken(Mutant::SendForAnother) {
        Verdict::Begin
    } else {
        kept::request_of_another_executor()
    }
}

pub(in crate::engine) fn past_its_time() -> Verdict {
    if broken(Mutant::StopIsEnd) { unknown("took too long") } else { kept::past_its_time() }
}

pub(in crate::engine) fn vanished(child: &str) -> Verdict {
    if broken(Mutant::VanishedNo) {
        not_started(format!("its {child} vanished"))
    } else {
        kept::vanished(child)
    }
}

pub(in crate::engine) fn refusal_ends_the_attempt(overdue: bool) -> bool {
    broken(Mutant::RefusalCounts) || kept::refusal_ends_the_attempt(overdue)
}

pub(in crate::engine) fn may_be_late(known_for: Duration) -> bool {
    !broken(Mutant::RefusalProves) && kept::may_be_late(known_for)
}

pub(in crate::engine) fn reached_by_exit(reached: Reached, is_final: bool) -> Reached {
    if broken(Mutant::ExitCodeMoves) { reached } else { kept::reached_by_exit(reached, is_final) }
}

pub(in crate::engine) fn is_success(outcome: Outcome) -> bool {
    kept::is_success(outcome) || (outcome == Outcome::Unknown && broken(Mutant::UnknownDone))
}

pub(in crate::engine) fn is_approval(answer: RequestAction) -> bool {
    broken(Mutant::RejectDone) || kept::is_approval(answer)
}

pub(in crate::engine) fn is_used_up(budget_used: i64, max_attempts: u32) -> bool {
    kept::is_used_up(budget_used, max_attempts.saturating_add(u32::from(broken(Mutant::Budget))))
}

pub(in crate::engine) fn is_free_when_called_off(operation: &Operation) -> bool {
    !broken(Mutant::CalledOffCounts)
        && (broken(Mutant::CalledOffFree) || kept::is_free_when_called_off(operation))
}

pub(in crate::engine) fn moves_key(reached: Reached, uncertain: bool) -> bool {
    kept::moves_key(reached, uncertain && !broken(Mutant::NoClears))
}

pub(in crate::engine) fn key_after_unknown(number: i64) -> i64 {
    kept::key_after_unknown(number).saturating_add(i64::from(broken(Mutant::Key)))
}

pub(in crate::engine) fn is_doubtful(outcome: Outcome, reached: Option<Reached>) -> bool {
    let accepted = outcome == Outcome::Failed && reached == Some(Reached::Accepted);
    let forgotten = if accepted { Mutant::AcceptedClean } else { Mutant::Uncertain };
    kept::is_doubtful(outcome, reached) && !broken(forgotten)
}

pub(in crate::engine) fn is_too_deep(depth: usize) -> bool {
    !broken(Mutant::DeepOutputs) && kept::is_too_deep(depth)
}

pub(in crate::engine) fn is_to_be_undone(phase: StepPhase, may_have_acted: bool) -> bool {
    kept::is_to_be_undone(phase, may_have_acted)
        || (phase == StepPhase::Skipped && broken(Mutant::UndoSkipped))
}

pub(in crate::engine) fn may_have_acted(step: &ValidStep, action: &DirectionStatus) -> bool {
    if broken(Mutant::HalfDone) { action.uncertain } else { kept::may_have_acted(step, action) }
}

pub(in crate::engine) fn counts_as_undone(phase: StepPhase) -> bool {
    kept::counts_as_undone(phase)
        || (phase == StepPhase::CompensationFailed && broken(Mutant::Stuck))
}

pub(in crate::engine) fn dependants_are_undone(dependants: StepSet, undone: StepSet) -> bool {
    broken(Mutant::UndoDependants) || kept::dependants_are_undone(dependants, undone)
}

pub(in crate::engine) fn undo_order(settled: i64, place: usize) -> (Reverse<i64>, usize) {
    let settled = if broken(Mutant::UndoOrder) { settled.saturating_neg() } else { settled };
    kept::undo_order(settled, place)
}

pub(in crate::engine) fn may_turn_back(active: StepSet) -> bool {
    broken(Mutant::UndoUnsettled) || kept::may_turn_back(active)
}

pub(in crate::engine) fn is_awaited(phase: StepPhase) -> bool {
    broken(Mutant::ApprovalUndone) || kept::is_awaited(phase)
}

pub(in crate::engine) fn forbids_undo(pivot: bool, passed: bool) -> bool {
    !broken(Mutant::Pivot) && kept::forbids_undo(pivot, passed)
}

pub(in crate::engine) fn is_passed(phase: StepPhase, unwanted: bool, uncertain: bool) -> bool {
    kept::is_passed(phase, unwanted, uncertain && !broken(Mutant::PivotUncertain))
}

pub(in crate::engine) fn course(cancelled: bool, undoing: bool) -> Course {
    if cancelled && broken(Mutant::CancelUndoes) {
        Course::Back
    } else {
        kept::course(cancelled, undoing)
    }
}

pub(in crate::engine) fn may_be_cancelled(active: StepSet) -> bool {
    broken(Mutant::CancelActive) || kept::may_be_cancelled(active)
}

pub(in crate::engine) fn are_done(steps: impl Iterator<Item = StepPhase>) -> bool {
    kept::are_done(
        steps.filter(|phase| *phase != StepPhase::Pending || !broken(Mutant::DoneBlocked)),
    )
}

pub(in crate::engine) fn is_named(ended: SagaPhase, step: &StepStatus, in_effect: bool) -> bool {
    kept::is_named(ended, step, in_effect && !broken(Mutant::StillInEffect))
}

pub(in crate::engine) fn is_released(nothing_to_undo: bool, stays_for_parent: bool) -> bool {
    broken(Mutant::DeletedGoes) || kept::is_released(nothing_to_undo, stays_for_parent)
}

pub(in crate::engine) fn finalizer_of_unfinished(present: bool, needed: bool) -> Finalizer {
    kept::finalizer_of_unfinished(present, needed && !broken(Mutant::NoFinalizer))
}

pub(in crate::engine) fn finalizer_of_ended(input: &PlanInput<'_>) -> Finalizer {
    match kept::finalizer_of_ended(input) {
        Finalizer::Remove if broken(Mutant::KeepsFinalizer) => Finalizer::Keep,
        finalizer @ (Finalizer::Remove | Finalizer::Add | Finalizer::Keep) => finalizer,
    }
}

pub(in crate::engine) fn is_written(
    versions: &Versions<'_>,
    stored: &SagaStatus,
    new: &SagaStatus,
) -> bool {
    broken(Mutant::EndWrites) || kept::is_written(versions, stored, new)
}

pub(in crate::engine) fn is_of_another_version(words: &[String]) -> bool {
    !broken(Mutant::StrangeWords) && kept::is_of_another_version(words)
}

pub(in crate::engine) fn is_remembered<'h>(
    hashes: impl IntoIterator<Item = &'h String>,
    is_it: impl Fn(&str) -> bool,
) -> bool {
    !broken(Mutant::TokenTwice) && kept::is_remembered(hashes, is_it)
}

pub(in crate::engine) fn is_answered(recorded: Option<i64>, handled: i64) -> bool {
    !broken(Mutant::PlainTwice) && kept::is_answered(recorded, handled)
}

pub(in crate::engine) fn is_taken_away(
    annotations: &[RequestAction],
    handled: i64,
    known: i64,
) -> bool {
    !broken(Mutant::PlainStays) && kept::is_taken_away(annotations, handled, known)
}

pub(in crate::engine) fn store_pause(status: &mut SagaStatus, pause: Pause) {
    if broken(Mutant::PauseForgotten) {
        status.paused = None;
    } else {
        kept::store_pause(status, pause);
    }
}

pub(in crate::engine) fn may_ask_for_retry(accepted: i64, most: i64) -> bool {
    broken(Mutant::RetryLimit) || kept::may_ask_for_retry(accepted, most)
}

pub(in crate::engine) fn number_after_retry(number: i64) -> i64 {
    if broken(Mutant::NumberAgain) { 0 } else { kept::number_after_retry(number) }
}

pub(in crate::engine) fn skip_needs_outputs(backward: bool) -> bool {
    !broken(Mutant::SkipLeavesOut) && kept::skip_needs_outputs(backward)
}

pub(in crate::engine) fn may_be_settled(uncertain: bool, under_way: bool) -> bool {
    kept::may_be_settled(uncertain, under_way && !broken(Mutant::SettledUnderWay))
}
