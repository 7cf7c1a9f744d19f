//! Makes the plan from the observed state.
//!
//! The order: an ended saga stays ended. A deleted saga that must be released is released. A status
//! that contradicts itself is held. Then attempts settle, the saga changes its state, new attempts
//! begin, and the summary reports the result.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    attempt::{advance, outputs},
    compensate, forward, invariants,
    planner::{
        deadline,
        pivot::past_return,
        state::{Planner, SagaCourse},
        throttle, undo_set,
    },
    report::{
        blocked::{self, Blocked},
        summary,
    },
    request::{handle, inbox},
    rules::{self, Course},
    terminal::{
        Answered, abandoned, ended, nothing_to_undo, release, release_with_children,
        stays_for_parent,
    },
    versions,
};
use crate::{
    api::{
        Decoded, DeletionPolicy, RELEASE, RequestAction, RequestResult, SagaPhase, SagaStatus,
        UserRequest,
        status::{self, active_attempts, is_terminal},
    },
    clock::later,
    fault::Fault,
    model::{
        input::PlanInput,
        plan::{Effect, Finalizer, Notice, Plan, StatusWrite, Tally},
        saga::ValidSaga,
        versions::Versions,
    },
};

/// How often a saga that waits for a newer CustomResourceDefinition is requeued, in case no event
/// announces one.
const DEFINITION_AGAIN: std::time::Duration = std::time::Duration::from_secs(30);
/// How long this process leaves the message texts of another process before it rewrites them in its
/// own wording.
const WORDS_AGAIN: std::time::Duration = std::time::Duration::from_mins(1);

/// Decides what happens now.
pub fn plan(saga: &Result<ValidSaga, Vec<Fault>>, input: &PlanInput<'_>) -> Plan {
    if input.stored.deleting && !input.stored.finalizer {
        return Plan::nothing();
    }
    if rules::is_of_another_version(input.versions.words) {
        return versions::leave_alone(input);
    }
    if let Some(plan) = deleted(saga.as_ref().ok(), input) {
        return plan;
    }
    let status = match input.stored.status {
        Ok(status) => status,
        Err(sentence) => {
            return held(input.stored.salvaged, &Blocked::Status(vec![sentence.clone()]), input);
        }
    };
    if status.spec_hash.as_ref().is_some_and(|pinned| pinned != input.stored.spec_hash)
        && !is_terminal(status)
    {
        return held(status, &Blocked::SpecChanged, input);
    }
    let refuse = |why| ended(None, status, input, refuse_all(status, input, why));
    if !input.versions.spec.is_empty() {
        if is_terminal(status) {
            return refuse("the spec is of another version: upgrade the operator first");
        }
        return held(status, &Blocked::UnknownField(input.versions.spec.to_vec()), input);
    }
    let saga = match saga {
        Ok(saga) => saga,
        Err(_) if is_terminal(status) => return refuse("the spec is invalid: correct it first"),
        Err(faults) => return held(status, &Blocked::Spec(faults.clone()), input),
    };
    let violations = invariants::check(saga, status);
    if !violations.is_empty() {
        return held(status, &Blocked::Status(violations), input);
    }
    // A refused saga can be cancelled, because nothing of it ran.
    let refused = versions::refused(status, input)
        .filter(|_| !inbox::asks_to_cancel(input.requests.asked, input.requests.handled, status));
    if let Some(block) = refused {
        return held(status, &block, input);
    }
    // This comes after the checks above: a changed spec or a status that contradicts itself must
    // not decide that nothing is undone.
    if input.stored.deleting && past_return(saga, status) && !is_terminal(status) {
        return release_with_children(
            Some(saga),
            input,
            "the pivot is passed, so nothing can be undone",
        );
    }
    run(saga, status, input)
}

/// Returns whether nothing happens to a saga until a user acts.
fn waits_for_user(status: &Decoded<SagaStatus>) -> bool {
    let Ok(status) = status else { return true };
    status.phase == Some(SagaPhase::CompensationFailed) || blocked::is_held(status)
}

/// Refuses every new request for the same reason.
fn refuse_all(status: &SagaStatus, input: &PlanInput<'_>, why: &str) -> Answered {
    answer_all(status, input, |_| (RequestResult::Refused, why.to_owned()))
}

/// Answers every new request and does nothing else.
fn answer_all(
    status: &SagaStatus,
    input: &PlanInput<'_>,
    answer: impl Fn(&UserRequest) -> inbox::RequestAnswer,
) -> Answered {
    let mut new = status.clone();
    let answer = |_: &mut SagaStatus, asked: &UserRequest| answer(asked);
    let (effects, requests) = inbox::sort(input.requests.asked, input.requests.handled, status)
        .answer(input, &mut new, answer);
    (new, effects, Tally { requests, ..Tally::default() })
}

/// Returns the plan that releases a deleted saga without another step; `None` if the saga is not
/// released now. It is released if there is nothing to undo, if its policy is Abandon, or if its
/// namespace is terminating and the saga waits for a user. With the policy Abandon, its unfinished
/// children first receive their commands.
fn deleted(saga: Option<&ValidSaga>, input: &PlanInput<'_>) -> Option<Plan> {
    if !input.stored.deleting {
        return None;
    }
    if rules::is_released(nothing_to_undo(input), stays_for_parent(input)) {
        return Some(release(None));
    }
    if input.stored.deletion_policy == DeletionPolicy::Abandon {
        return Some(release_with_children(saga, input, "deletionPolicy is Abandon"));
    }
    let why = "its namespace is being deleted, where nothing more can be undone";
    (input.surroundings.terminating && waits_for_user(input.stored.status))
        .then(|| release(Some(abandoned(saga, input, why))))
}

/// Makes the plan for a saga that cannot continue until a user corrects it: one write that says so,
/// and nothing started.
fn held(status: &SagaStatus, block: &Blocked, input: &PlanInput<'_>) -> Plan {
    let new = summary::held(status, block, input);
    // A status that cannot be read keeps no records. Requests wait until the status is restored.
    let readable = !matches!(block, Blocked::Status(_));
    let (new, mut answered, tally) = if readable {
        let why =
            format!("the saga is held ({}): correct first what its message names", block.reason());
        let refused = block.is_refusal();
        let (with_records, effects, tally) =
            answer_all(status, input, |asked| match (refused, inbox::is_to_check_again(asked)) {
                (true, true) => (
                    RequestResult::Accepted,
                    "the saga was checked again, and is still refused: its message says why".into(),
                ),
                (true, false) if asked.action == RequestAction::Retry => {
                    (RequestResult::Refused, format!("{why}; * checks it again at once"))
                }
                (_, _) => (RequestResult::Refused, why.clone()),
            });
        (
            SagaStatus {
                requests: with_records.requests,
                handled_tokens: with_records.handled_tokens,
                ..new
            },
            effects,
            tally,
        )
    } else {
        (new, Vec::new(), Tally::default())
    };
    let mut effects = Vec::new();
    if status::stalled_reason(status) != Some(block.reason()) {
        let message = new.message.clone().unwrap_or_default();
        effects.push(Effect::Publish(Notice { warning: true, reason: block.reason(), message }));
    }
    let write = match input.stored.status {
        Ok(old) if !input.versions.differs(old, &new) => None,
        Ok(_) => Some(StatusWrite::Whole(Box::new(new))),
        Err(_) if (&status.message, &status.conditions) == (&new.message, &new.conditions) => None,
        Err(_) => Some(StatusWrite::Verdict(Box::new(new))),
    };
    if write.is_none() {
        effects.clear();
    }
    effects.append(&mut answered);
    let wake = match block {
        // The cluster may have changed. The end of a trial enqueues the saga.
        Blocked::Refused { .. } => input
            .surroundings
            .precheck
            .and_then(|precheck| precheck.again)
            .map(|again| later(input.now, again)),
        Blocked::DefinitionTooOld(_) => Some(later(input.now, DEFINITION_AGAIN)),
        Blocked::Spec(_) | Blocked::UnknownField(_) | Blocked::SpecChanged | Blocked::Status(_) => {
            None
        }
    };
    Plan::new(write, Finalizer::Keep, wake, tally, effects)
}

fn run(saga: &ValidSaga, status: &SagaStatus, input: &PlanInput<'_>) -> Plan {
    let mut planner = Planner::new(saga, input, status);
    if is_terminal(status) {
        handle::answer_requests(&mut planner);
        let reopened = status.phase == Some(SagaPhase::Completed)
            && planner.status.compensation_requested.is_some();
        if !reopened {
            return ended(
                Some(saga),
                status,
                input,
                (planner.status, planner.effects, planner.tally),
            );
        }
        return continue_saga(planner, status);
    }
    if planner.status.spec_hash.is_none() {
        planner.status.spec_hash = Some(input.stored.spec_hash.to_owned());
        planner.status.accepted_by = Some(RELEASE.to_owned());
        planner.status.started_at = Some(MicroTime(input.now));
        planner.status.timeout_started_at = saga.timeout.map(|_| MicroTime(input.now));
    }
    let was_held = status.phase == Some(SagaPhase::Failed);
    if !planner.is_paused() && !was_held {
        deadline::resume_clock(&mut planner);
    }
    advance::settle_all(&mut planner);
    deadline::enforce_timeout(&mut planner);
    if handle::answer_requests(&mut planner) && !planner.is_paused() {
        // A saga that waited for a user continues.
        deadline::resume_clock(&mut planner);
    }
    if status.cancel_requested.is_none() && planner.status.cancel_requested.is_some() {
        // Attempts that were about to begin do not begin, and active attempts are stopped at once.
        planner.effects.retain(|effect| !matches!(effect, Effect::Begin { .. }));
        advance::settle_all(&mut planner);
    }
    continue_saga(planner, status)
}

/// Continues from what settled and what was requested to what begins.
fn continue_saga(mut planner: Planner<'_>, status: &SagaStatus) -> Plan {
    let input = planner.input;
    let cancelled = planner.status.cancel_requested.is_some();
    let mut course = match rules::course(cancelled, undo_set::is_undoing(&planner)) {
        Course::Stop => compensate::cancel(&mut planner),
        Course::Back => SagaCourse::Undoing,
        Course::Forward => forward::forward(&mut planner),
    };
    if course == SagaCourse::Undoing {
        course = compensate::undo(&mut planner);
    }
    if course == SagaCourse::Done {
        outputs::hand_on(&mut planner);
    }
    deadline::set_clock(&mut planner, course);
    throttle::report_breakers(&mut planner);
    summary::summarise(&mut planner, course);
    if let Some(illegal) = planner.illegal {
        return held(status, &Blocked::Status(vec![illegal.to_string()]), input);
    }
    // This includes the intent of a step that only waits: once the step is done, its compensation
    // must be carried out.
    let known: BTreeSet<_> = active_attempts(status).map(|(id, _)| id).collect();
    let intends = active_attempts(&planner.status).any(|(id, _)| !known.contains(&id));
    let first_intent =
        intends || planner.effects.iter().any(|effect| matches!(effect, Effect::Begin { .. }));
    let ends = is_terminal(&planner.status);
    let finalizer = if ends {
        rules::finalizer_of_ended(input)
    } else {
        // A saga that had ended is undone now.
        let reopened = is_terminal(status);
        let needed = (first_intent || reopened) && !input.stored.deleting;
        rules::finalizer_of_unfinished(input.stored.finalizer, needed)
    };
    let Planner { status: new, mut effects, mut wake, mut tally, .. } = planner;
    if input.surroundings.leftovers && !ends && !is_terminal(status) {
        effects.push(Effect::Sweep);
    }
    #[cfg(feature = "next")]
    let new = crate::api::next::written(new);
    tally.entered = new.phase.filter(|phase| status.phase != Some(*phase));
    let differs = input.versions.differs(status, &new);
    if !differs && new != *status {
        Versions::without_record(&mut effects, |attempt| known.contains(attempt));
        tally = Tally::default();
    }
    let in_words = differs && says_the_same(status, &new);
    if in_words && input.versions.rewording_waits {
        wake = wake.into_iter().chain([later(input.now, WORDS_AGAIN)]).min();
    }
    let answered = SagaStatus { observed_generation: Some(input.stored.generation), ..new };
    let left = in_words && (input.process.draining || input.versions.rewording_waits);
    let write = (differs && !left).then(|| StatusWrite::Whole(Box::new(answered)));
    Plan::new(write, finalizer, wake, tally, effects)
}

/// Returns whether two statuses differ in message texts alone. Such a difference is not written by
/// a process that begins nothing: the process after it writes it. A process of another version
/// writes its own texts, and the two would overwrite each other without end.
#[must_use]
pub fn says_the_same(old: &SagaStatus, new: &SagaStatus) -> bool {
    *old == SagaStatus {
        message: old.message.clone(),
        conditions: old.conditions.clone(),
        ..new.clone()
    }
}
