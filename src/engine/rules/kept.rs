//! The rules by which the engine decides, as functions of facts. Each rule has the name of the
//! mutant that breaks it.
//!
//! # Guarantees
//! A rule changes nothing but what it is given, and reads no plan in the making.

use std::{cmp::Reverse, time::Duration};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use crate::{
    api::{
        ActiveAttempt, DirectionStatus, Outcome, Pause, RequestAction, SagaPhase, SagaStatus,
        StepPhase, StepStatus,
        json::MAX_OUTPUT_DEPTH,
        limits::{EARLY_ATTEMPTS, LEAST_DELAY, LEAST_LATER_DELAY},
    },
    coordination::fence::FRESH,
    engine::settlement::{Verdict, unknown},
    model::{
        graph::StepSet,
        input::PlanInput,
        observation::Reached,
        plan::Finalizer,
        saga::{Operation, ValidStep},
        versions::Versions,
    },
};

// What begins.

/// Rule "dependencies": a step begins only when every step that it depends on is Completed or
/// Skipped.
pub(in crate::engine) fn dependencies_are_done(dependencies: StepSet, done: StepSet) -> bool {
    dependencies.is_subset(done)
}

/// Rule "failure stops": after a permanent failure no step begins that is not under way. `failed`:
/// whether the saga has a failure.
pub(in crate::engine) fn starts_new_steps(failed: bool) -> bool {
    !failed
}

/// Rule "retries stop": after a permanent failure a step that is under way gets no further attempt,
/// unless a user asked for a retry of the step. `failed`: whether the saga has a failure.
pub(in crate::engine) fn may_go_on(failed: bool, status: &StepStatus) -> bool {
    !failed || status.retry_requested
}

/// Rule "backoff": the next attempt begins only when its instant has come. A missing instant counts
/// as come.
pub(in crate::engine) fn is_due(instant: Option<&MicroTime>, now: Timestamp) -> bool {
    instant.is_none_or(|instant| instant.0 <= now)
}

/// Rule "floors": a delay is at least [`LEAST_DELAY`], and from the third attempt of a budget on at
/// least [`LEAST_LATER_DELAY`], wherever the delay comes from. `nth`: the number of the attempt
/// within its budget, after which the delay follows.
pub(in crate::engine) fn floored(delay: Duration, nth: u32) -> Duration {
    delay.max(if nth <= EARLY_ATTEMPTS { LEAST_DELAY } else { LEAST_LATER_DELAY })
}

/// Rule "slots": at most `maxParallel` steps are under way at once. Returns how many more may
/// begin.
pub(in crate::engine) fn free_slots(max_parallel: usize, taken: usize) -> usize {
    max_parallel.saturating_sub(taken)
}

/// Rule "pause": nothing starts while `spec.suspend` is set or a pause request holds. A deletion
/// overrides both.
pub(in crate::engine) fn is_paused(suspend: bool, paused: Option<&Pause>, deleting: bool) -> bool {
    (suspend || paused.is_some()) && !deleting
}

/// Rules "turn back" and "deleted turns back": a saga begins no new step once a user asked for its
/// undo or deleted it.
pub(in crate::engine) fn turns_back(deleting: bool, undo_requested: Option<&str>) -> bool {
    deleting || undo_requested.is_some()
}

/// Rule "intent first": an attempt begins with its intent in the status. No effect leaves the
/// process before the write of that intent is acknowledged.
pub(in crate::engine) fn record_intent(record: &mut DirectionStatus, intent: ActiveAttempt) {
    record.active = Some(intent);
}

// When the saga is requeued.

/// Rule "retry wake-up": the saga is requeued for the next attempt of a step. An instant that has
/// passed requeues nothing: the step waits for a slot, and the attempt that gives back its slot
/// enqueues the saga.
pub(in crate::engine) fn next_retry(
    instants: impl Iterator<Item = Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    next_after(instants, now)
}

/// Rule "undo wake-up": the saga is requeued for the next attempt of a compensation, as for that of
/// a step.
pub(in crate::engine) fn next_retry_of_undo(
    instants: impl Iterator<Item = Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    next_after(instants, now)
}

/// Rule "limit wake-up": the saga is requeued for the instant at which a child is stopped.
pub(in crate::engine) fn next_stop(ends: Timestamp, now: Timestamp) -> Option<Timestamp> {
    next_after([ends].into_iter(), now)
}

fn next_after(instants: impl Iterator<Item = Timestamp>, now: Timestamp) -> Option<Timestamp> {
    instants.filter(|instant| *instant > now).min()
}

// What the state of a child means.

/// Rule "own HTTP requests": only the executor that an intent names sends the HTTP request. Every
/// other process waits.
pub(in crate::engine) fn request_of_another_executor() -> Verdict {
    Verdict::Wait
}

/// Rule "stop is no end": an attempt past its time is stopped, and settles only when its child is
/// gone.
pub(in crate::engine) fn past_its_time() -> Verdict {
    Verdict::Stop
}

/// Rule "vanished": a child that existed and is gone before its end was seen may have acted.
/// `child`: the kind of the child.
pub(in crate::engine) fn vanished(child: &str) -> Verdict {
    unknown(format!("its {child} vanished before its end was seen"))
}

/// Rule "free refusal": a child that the Kubernetes API refuses for now is created again within the
/// attempt's time, and such a refusal uses up no attempt. `overdue`: whether nothing more may begin
/// for the attempt.
pub(in crate::engine) fn refusal_ends_the_attempt(overdue: bool) -> bool {
    overdue
}

/// Rule "other replicas": a refusal to this process proves nothing about another replica that wrote
/// the intent and may still create the child without a live read. During this time no process
/// reports that the attempt was never begun. `known_for`: the time since this process first read
/// the intent.
pub(in crate::engine) fn may_be_late(known_for: Duration) -> bool {
    known_for < FRESH
}

/// Rule "exit code": only an exit code that the step lists as final is a definite refusal. After
/// any other exit code the key is kept: a program that crashed after its work also exits with 1.
pub(in crate::engine) fn reached_by_exit(reached: Reached, is_final: bool) -> Reached {
    if reached == Reached::Answer && !is_final { Reached::Work } else { reached }
}

// What an outcome means for the step.

/// Rule "unknown": only the outcome `Succeeded` completes a step.
pub(in crate::engine) fn is_success(outcome: Outcome) -> bool {
    outcome == Outcome::Succeeded
}

/// Rule "rejection": only an approval completes an approval step. A rejection fails the step.
pub(in crate::engine) fn is_approval(answer: RequestAction) -> bool {
    answer == RequestAction::Approve
}

/// Rule "budget": a budget has at most `maxAttempts` attempts, the first included.
pub(in crate::engine) fn is_used_up(budget_used: i64, max_attempts: u32) -> bool {
    budget_used >= i64::from(max_attempts)
}

/// Rules "called off is free" and "sent once": an HTTP request that the operator called off uses up
/// no attempt, but a step that allows one attempt does not get a second one for a reason of the
/// operator's own.
pub(in crate::engine) fn is_free_when_called_off(operation: &Operation) -> bool {
    operation.may_be_repeated()
}

/// Rule "refusal clears nothing": a definite refusal moves the idempotency key, but proves nothing
/// about an earlier attempt. While a step is uncertain, only the step's own rule (`Settled`) moves
/// the key.
pub(in crate::engine) fn moves_key(reached: Reached, uncertain: bool) -> bool {
    match reached {
        Reached::Settled => true,
        Reached::Answer => !uncertain,
        Reached::Nothing | Reached::Rejected | Reached::Work | Reached::Accepted => false,
    }
}

/// Rule "key": after an Unknown outcome the idempotency key is repeated, so that the service can
/// tell that the HTTP request is the same. Returns the number of the key, from the present number.
pub(in crate::engine) fn key_after_unknown(number: i64) -> i64 {
    number
}

/// Rules "uncertain" and "accepted": an Unknown outcome makes a step uncertain, and so does a 2xx
/// that the step does not accept as a success: either may have acted. `reached`: how far a failed
/// attempt came.
pub(in crate::engine) fn is_doubtful(outcome: Outcome, reached: Option<Reached>) -> bool {
    match (outcome, reached) {
        (Outcome::Unknown, _) | (Outcome::Failed, None | Some(Reached::Accepted)) => true,
        (Outcome::Succeeded, _)
        | (
            Outcome::Failed,
            Some(
                Reached::Nothing
                | Reached::Rejected
                | Reached::Work
                | Reached::Answer
                | Reached::Settled,
            ),
        ) => false,
    }
}

/// Rule "output depth": outputs are nested at most [`MAX_OUTPUT_DEPTH`] deep.
pub(in crate::engine) fn is_too_deep(depth: usize) -> bool {
    depth > MAX_OUTPUT_DEPTH
}

// What is undone, and in which order.

/// Rule "skipped": a step that is done belongs to the undo set, and so does a failed step that may
/// have acted. A step that did not start or was skipped never does.
pub(in crate::engine) fn is_to_be_undone(phase: StepPhase, may_have_acted: bool) -> bool {
    match phase {
        StepPhase::Completed
        | StepPhase::Compensating
        | StepPhase::Compensated
        | StepPhase::CompensationFailed
        | StepPhase::CompensationSkipped => true,
        StepPhase::Failed | StepPhase::Retrying => may_have_acted,
        StepPhase::Skipped | StepPhase::Pending | StepPhase::Running | StepPhase::Waiting => false,
    }
}

/// Rule "half done": a failed step that began is undone as well if it has `compensateFailed`: it
/// may have done half of its work. An uncertain step always may have acted.
pub(in crate::engine) fn may_have_acted(step: &ValidStep, action: &DirectionStatus) -> bool {
    action.uncertain || (step.compensate_failed && action.begun)
}

/// Rule "stuck": a step whose compensation failed permanently is not undone.
pub(in crate::engine) fn counts_as_undone(phase: StepPhase) -> bool {
    matches!(phase, StepPhase::Compensated | StepPhase::CompensationSkipped)
}

/// Rule "undo dependants": a step is undone only when all its dependants in the undo set are
/// undone.
pub(in crate::engine) fn dependants_are_undone(dependants: StepSet, undone: StepSet) -> bool {
    dependants.is_subset(undone)
}

/// Rule "undo order": among the steps that can be undone, the step that settled last is undone
/// first, by the counter in the status. Steps of one number follow in list order. Returns the key
/// to sort by.
pub(in crate::engine) fn undo_order(settled: i64, place: usize) -> (Reverse<i64>, usize) {
    (Reverse(settled), place)
}

/// Rule "settle before undo": active attempts settle before the saga turns back or is held for a
/// user. `active`: the steps whose attempts have children.
pub(in crate::engine) fn may_turn_back(active: StepSet) -> bool {
    active.is_empty()
}

/// Rule "withdrawn approval": a step that only waits keeps no saga from turning back.
pub(in crate::engine) fn is_awaited(phase: StepPhase) -> bool {
    phase != StepPhase::Waiting
}

/// Rule "pivot": once a pivot is passed, the saga is not undone. `pivot`: whether the step is one.
pub(in crate::engine) fn forbids_undo(pivot: bool, passed: bool) -> bool {
    pivot && passed
}

/// Rule "uncertain pivot": a pivot that is done, or that may be done, is passed. A pivot whose
/// `when` is false (`unwanted`) is not.
pub(in crate::engine) fn is_passed(phase: StepPhase, unwanted: bool, uncertain: bool) -> bool {
    (phase.is_done() && !unwanted) || uncertain
}

// Which way the saga takes, and how it ends.

/// The way that a saga takes from what has settled and what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Course {
    /// Steps begin.
    Forward,
    /// Steps are undone.
    Back,
    /// What is active is stopped, and nothing else is done.
    Stop,
}

/// Rule "cancel keeps": a cancelled saga is stopped, and nothing of it is undone. `undoing`:
/// whether the saga is being undone.
pub(in crate::engine) fn course(cancelled: bool, undoing: bool) -> Course {
    match (cancelled, undoing) {
        (true, _) => Course::Stop,
        (false, true) => Course::Back,
        (false, false) => Course::Forward,
    }
}

/// Rule "cancel waits": a saga is Cancelled only when no attempt is active any more. `active`: the
/// steps whose attempts have children.
pub(in crate::engine) fn may_be_cancelled(active: StepSet) -> bool {
    active.is_empty()
}

/// Rule "done": a saga is Completed only when every step is done, and never while a step is pending
/// or blocked.
pub(in crate::engine) fn are_done(mut steps: impl Iterator<Item = StepPhase>) -> bool {
    steps.all(StepPhase::is_done)
}

/// Rule "still in effect": a saga that ended names the steps that stay in effect. A Completed saga
/// names only the steps that a user skipped while they were uncertain. `in_effect`: whether the
/// step did, or may have done, something that is not undone.
pub(in crate::engine) fn is_named(ended: SagaPhase, step: &StepStatus, in_effect: bool) -> bool {
    match ended {
        SagaPhase::Completed => {
            step.phase == StepPhase::Skipped
                && step.action.as_ref().is_some_and(|action| action.uncertain)
        }
        SagaPhase::Compensated | SagaPhase::CompensationFailed | SagaPhase::Cancelled => in_effect,
        SagaPhase::Pending
        | SagaPhase::Running
        | SagaPhase::Paused
        | SagaPhase::Failed
        | SagaPhase::Compensating => false,
    }
}

/// Rule "deleted is undone": a deleted saga is released at once only if nothing is to be undone and
/// no parent still reads how the saga ended. Otherwise it is undone first.
pub(in crate::engine) fn is_released(nothing_to_undo: bool, stays_for_parent: bool) -> bool {
    nothing_to_undo && !stays_for_parent
}

/// Rule "finalizer": a saga has its finalizer before its first intent, so that a deletion waits for
/// the undo. `present`: whether the saga has the finalizer. `needed`: whether an intent is written,
/// or an ended saga is undone after all.
pub(in crate::engine) fn finalizer_of_unfinished(present: bool, needed: bool) -> Finalizer {
    if needed && !present { Finalizer::Add } else { Finalizer::Keep }
}

/// Rule "released at the end": the finalizer of an ended saga is removed. A child keeps its
/// finalizer as long as its parent has one.
pub(in crate::engine) fn finalizer_of_ended(input: &PlanInput<'_>) -> Finalizer {
    match (input.stored.finalizer, input.surroundings.parent_holds) {
        (true, false) => Finalizer::Remove,
        (false, true) if !input.stored.deleting => Finalizer::Add,
        (_, _) => Finalizer::Keep,
    }
}

/// Rule "end is quiet": the status of an ended saga is written only if it changes.
pub(in crate::engine) fn is_written(
    versions: &Versions<'_>,
    stored: &SagaStatus,
    new: &SagaStatus,
) -> bool {
    versions.differs(stored, new)
}

/// Rule "unknown values": a saga whose status has values of another version is left alone. `words`:
/// these values.
pub(in crate::engine) fn is_of_another_version(words: &[String]) -> bool {
    !words.is_empty()
}

// What a request of a user does.

/// Rule "token once": a value with a token, or a value that was left in place, is handled once. Its
/// hash is remembered, and a remembered value is not handled again. Returns whether one of the
/// remembered hashes is the one that is looked for.
pub(in crate::engine) fn is_remembered<'h>(
    hashes: impl IntoIterator<Item = &'h String>,
    is_it: impl Fn(&str) -> bool,
) -> bool {
    hashes.into_iter().any(|hash| is_it(hash))
}

/// Rule "plain value once": a plain value is handled once. `recorded`: the number of the newest
/// record of the annotation, if that record has the same value. `handled`: the highest number whose
/// annotation was removed. If the record has a higher number, the annotation is only removed.
pub(in crate::engine) fn is_answered(recorded: Option<i64>, handled: i64) -> bool {
    recorded.is_some_and(|recorded| recorded > handled)
}

/// Rule "plain value removed": the annotations of handled plain values are removed, and the number
/// of the newest is stored as `saga.dev/handled`. `known`: the number that is stored now.
pub(in crate::engine) fn is_taken_away(
    annotations: &[RequestAction],
    handled: i64,
    known: i64,
) -> bool {
    !annotations.is_empty() || handled > known
}

/// Rule "pause is stored": an accepted pause holds until a user resumes the saga.
pub(in crate::engine) fn store_pause(status: &mut SagaStatus, pause: Pause) {
    status.paused = Some(pause);
}

/// Rule "retry limit": at most `spec.maxRetryRequests` retry requests of a saga are accepted.
pub(in crate::engine) fn may_ask_for_retry(accepted: i64, most: i64) -> bool {
    accepted < most
}

/// Rule "attempt numbers": a retry request grants a new budget, and the attempt numbers continue.
/// Returns the number of the last attempt, from the present number.
pub(in crate::engine) fn number_after_retry(number: i64) -> i64 {
    number
}

/// Rule "skip": while the saga goes forward, a step is skipped only with the outputs that other
/// steps read of it by name. While the saga is being undone, no step reads outputs.
pub(in crate::engine) fn skip_needs_outputs(backward: bool) -> bool {
    !backward
}

/// Rule "settle at rest": a user's statement about an uncertain attempt is accepted only while no
/// attempt of the step is under way: the user may have meant an earlier one.
pub(in crate::engine) fn may_be_settled(uncertain: bool, under_way: bool) -> bool {
    uncertain && !under_way
}
