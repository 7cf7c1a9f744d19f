//! Child sagas: the meaning of a child's phase for the step that runs it or undoes it, and the
//! commands that are sent to the child.
//!
//! The phase of the child decides what the step that runs the child does, and what the compensation
//! that undoes the child does:
//!
//! - Completed: the step succeeds, with the child's outputs. The compensation asks the child to
//!   compensate.
//! - Compensated or Cancelled, with nothing in effect: the step failed permanently. If the child is
//!   Cancelled, the step is Unknown instead. The compensation succeeds.
//! - Compensated or Cancelled, with something in effect: the step is Unknown. The compensation
//!   failed permanently, and its message names the steps in effect.
//! - Running, Paused, Failed: the step waits. If the step's time has passed or the saga is deleted,
//!   the child is asked to compensate. The compensation asks the child to compensate.
//! - Compensating, `CompensationFailed`: the step waits, and the compensation waits.
//! - Pending: the step waits. If the step's time has passed, the child is cancelled, because none
//!   of its steps ran. The compensation cancels the child.
//!
//! # Guarantees
//! A command is sent to a child until the child is observed to hold it. Each request to compensate
//! carries a token, so that the child acts on the request once. A child that may still act is never
//! given up: its attempt settles when the child has ended. An attempt to undo a child is bounded by
//! its time limit, because the next attempt asks the child again. A deleted saga that is not undone
//! is removed only after all its children were told that they are not undone either, or refused
//! this permanently. This includes the children that no attempt follows any more.
//!
//! # Caveats
//! A child that is past its pivot can only go forward. The step waits for the child to end,
//! whatever the step's time limit is.

use jiff::Timestamp;

use super::outputs;
use crate::{
    api::{
        ChildStatus, DeletionPolicy, Direction, SagaPhase, StepStatus, limits::KEPT_MESSAGE,
        names::AttemptId,
    },
    clock::later,
    engine::{
        attempt,
        planner::{child_sagas::made_by, state::Planner},
        settlement::{STOP_POLL, Settlement, Verdict, failed},
    },
    model::{
        command::ChildCommand,
        observation::{ChildSaga, Reached},
        plan::Effect,
        saga::{ValidStep, Work},
    },
    text::clip,
};

/// The facts by which a child saga is judged.
pub(in crate::engine) struct ChildView<'a> {
    pub(in crate::engine) child: &'a ChildSaga,
    /// The active attempt.
    pub(in crate::engine) attempt: &'a AttemptId,
    /// Whether the attempt's time has passed, or the saga is cancelled.
    pub(in crate::engine) overdue: bool,
    /// The instant at which the attempt's time passes.
    pub(in crate::engine) limit: Timestamp,
    /// Whether an earlier attempt of the same operation may have left something in effect.
    pub(in crate::engine) uncertain: bool,
}

/// Judges an attempt whose child saga exists, and records the child in the status.
pub(in crate::engine) fn judge_child(
    planner: &mut Planner<'_>,
    step: &ValidStep,
    status: &mut StepStatus,
    view: &ChildView<'_>,
) -> Verdict {
    status.child = Some(ChildStatus {
        name: view.child.name.clone(),
        uid: Some(view.child.uid.clone()),
        phase: view.child.phase,
    });
    let undoes = step
        .operation(view.attempt.direction)
        .is_some_and(|operation| matches!(operation.work, Work::UndoSaga));
    let effects = planner.effects.len();
    let settled = if undoes { undone(view.child) } else { carried_through(planner, view) };
    if let Some(settlement) = settled {
        return settlement.into();
    }
    let verdict =
        if undoes { undo_child(planner, status, view) } else { lead_child(planner, view) };
    if matches!(verdict, Verdict::Wait) {
        let ChildSaga { uid, age, .. } = view.child;
        let waits = waits_and_why(view, planner.effects.get(effects..).unwrap_or_default());
        attempt::progress::note_child(
            planner,
            status,
            view.attempt.direction,
            (Some(uid), *age),
            (&waits, None),
        );
        say_of_child(status, view.attempt.direction, &waits);
        planner.wake_at(if view.overdue {
            later(planner.input.now, STOP_POLL)
        } else {
            view.limit
        });
    }
    verdict
}

/// Returns the outcome of a step whose child ended, or `None` if the child has not ended.
fn carried_through(planner: &Planner<'_>, view: &ChildView<'_>) -> Option<Settlement> {
    let ChildSaga { name, phase, message, outputs, still_in_effect, .. } = view.child;
    let left = still_in_effect.join(", ");
    Some(match phase {
        Some(SagaPhase::Completed) => {
            let AttemptId { step, direction, .. } = view.attempt;
            outputs::with_outputs(planner, step, *direction, Ok(outputs.clone()))
        }
        Some(SagaPhase::Compensated) if still_in_effect.is_empty() && view.uncertain => {
            Settlement::unknown_for_good(format!(
                "its child saga {name} was undone, but it is unknown what the child saga of an \
                 earlier attempt left in effect"
            ))
        }
        Some(SagaPhase::Compensated) if still_in_effect.is_empty() => {
            failed(Reached::Answer, format!("its child saga {name} was undone: {message}"))
        }
        Some(SagaPhase::Compensated) => Settlement::unknown(
            format!(
                "its child saga {name} was undone, but these steps of it stay in effect: {left}"
            ),
            None,
        ),
        Some(SagaPhase::Cancelled) => {
            Settlement::unknown(format!("its child saga {name} was cancelled: {message}"), None)
        }
        Some(
            SagaPhase::Pending
            | SagaPhase::Running
            | SagaPhase::Paused
            | SagaPhase::Failed
            | SagaPhase::Compensating
            | SagaPhase::CompensationFailed,
        )
        | None => return None,
    })
}

/// Tells a child to follow its parent, and to turn back if the parent turns back.
fn lead_child(planner: &mut Planner<'_>, view: &ChildView<'_>) -> Verdict {
    let ChildView { child, attempt, overdue, .. } = view;
    follow(planner, view, attempt);
    // A child that runs as a compensation is not turned back by the deletion of the saga, because
    // the deletion is the reason for the compensation.
    let undone_by_deletion = planner.input.stored.deleting
        && planner.input.stored.deletion_policy == DeletionPolicy::Compensate;
    let turns_back = *overdue || (undone_by_deletion && attempt.direction == Direction::Action);
    if planner.status.cancel_requested.is_some() {
        ask(planner, view, attempt, ChildCommand::Cancel);
    } else if turns_back && attempt.direction == Direction::Compensation {
        // A compensation that takes too long is cancelled, not undone.
        ask(planner, view, attempt, ChildCommand::Cancel);
    } else if turns_back {
        let token = format!("turn-back-{}", attempt.number);
        match child.phase {
            // A held child would refuse the request permanently.
            Some(SagaPhase::Running | SagaPhase::Paused | SagaPhase::Failed) if !child.held => {
                ask(planner, view, attempt, ChildCommand::Compensate { token });
            }
            Some(SagaPhase::Pending) => ask(planner, view, attempt, ChildCommand::Cancel),
            Some(
                SagaPhase::Running
                | SagaPhase::Paused
                | SagaPhase::Failed
                | SagaPhase::Compensating
                | SagaPhase::CompensationFailed
                | SagaPhase::Completed
                | SagaPhase::Compensated
                | SagaPhase::Cancelled,
            )
            | None => {}
        }
    }
    Verdict::Wait
}

/// Tells a child to undo itself.
fn undo_child(planner: &mut Planner<'_>, status: &StepStatus, view: &ChildView<'_>) -> Verdict {
    let ChildView { child, attempt, overdue, .. } = view;
    let made_by = made_by(status);
    follow(planner, view, &made_by);
    let (token, cancelled) =
        (format!("undo-{}", attempt.number), planner.status.cancel_requested.is_some());
    let refused =
        child.refused.as_ref().filter(|(refused, _)| *refused == token).map(|(_, why)| why);
    match child.phase {
        // The child was not asked to compensate, or the child refused.
        Some(SagaPhase::Completed)
            if cancelled
                && (child.compensate_asked.as_ref() != Some(&token) || refused.is_some()) =>
        {
            return Settlement::unknown(
                format!("its child saga {} was not undone", child.name),
                None,
            )
            .into();
        }
        Some(SagaPhase::Completed) if cancelled => {}
        Some(_) if cancelled => ask(planner, view, &made_by, ChildCommand::Cancel),
        Some(SagaPhase::Running | SagaPhase::Paused | SagaPhase::Failed | SagaPhase::Completed) => {
            if let Some(why) = refused {
                return failed(
                    Reached::Nothing,
                    format!("its child saga {} refuses to be undone: {why}", child.name),
                )
                .into();
            }
            ask(planner, view, &made_by, ChildCommand::Compensate { token });
        }
        Some(SagaPhase::Pending) => ask(planner, view, &made_by, ChildCommand::Cancel),
        Some(
            SagaPhase::Compensating
            | SagaPhase::CompensationFailed
            | SagaPhase::Compensated
            | SagaPhase::Cancelled,
        )
        | None => {}
    }
    // The next attempt asks the child again. If the saga is cancelled, the attempt waits until the
    // child has ended.
    if *overdue && !cancelled {
        return Settlement::unknown(
            format!("not within its time limit: {}", waits_for(child)),
            None,
        )
        .into();
    }
    Verdict::Wait
}

/// Tells a child to follow its parent, if its fields differ: the child starts nothing new while the
/// parent is paused, and has the parent's deletion policy.
fn follow(planner: &mut Planner<'_>, view: &ChildView<'_>, made_by: &AttemptId) {
    let (suspend, deletion_policy) = (planner.is_paused(), planner.input.stored.deletion_policy);
    if view.child.suspended != suspend || view.child.deletion_policy != deletion_policy {
        ask(planner, view, made_by, ChildCommand::Follow { suspend, deletion_policy });
    }
}

/// Sends a command to a child, unless the child is observed to hold the command already.
fn ask(
    planner: &mut Planner<'_>,
    view: &ChildView<'_>,
    made_by: &AttemptId,
    command: ChildCommand,
) {
    let heard = match &command {
        ChildCommand::Follow { .. } => false,
        ChildCommand::Compensate { token } => view.child.compensate_asked.as_ref() == Some(token),
        // A held child would refuse the cancel. The cancel is sent after a user has corrected the
        // child.
        ChildCommand::Cancel => view.child.cancel_asked || view.child.held,
    };
    let ended = view.child.phase.is_some_and(SagaPhase::is_terminal);
    // A child takes no request before an operator has written its first status. A terminating child
    // is undone by its deletion, unless it ended before.
    if !heard && view.child.phase.is_some() && (!view.child.deleting || ended) {
        planner.effects.push(Effect::Ask {
            attempt: view.attempt.clone(),
            child: made_by.clone(),
            command,
        });
    }
}

/// Writes the text to the step's message if the child's UID is recorded and the text changed. A
/// child that waits for a user is worth a status write of its own.
fn say_of_child(status: &mut StepStatus, direction: Direction, waits: &str) {
    let noted = status
        .direction(direction)
        .and_then(|record| record.active.as_ref())
        .is_some_and(|active| active.child_uid.is_some());
    let waits = clip(waits, KEPT_MESSAGE);
    if noted && status.message.as_ref() != Some(&waits) {
        status.message = Some(waits);
    }
}

/// Returns the outcome of a compensation whose child ended, or `None` if the child is not undone
/// yet.
fn undone(child: &ChildSaga) -> Option<Settlement> {
    let ChildSaga { name, phase, still_in_effect, .. } = child;
    match phase {
        Some(SagaPhase::Compensated | SagaPhase::Cancelled) if still_in_effect.is_empty() => {
            Some(Settlement::succeeded())
        }
        Some(ended @ (SagaPhase::Compensated | SagaPhase::Cancelled)) => {
            let (ended, left) = (ended.as_str(), still_in_effect.join(", "));
            let what = format!(
                "its child saga {name} is {ended}, and these steps of it stay in effect: {left}"
            );
            Some(failed(
                Reached::Nothing,
                format!("{what}; undo them by hand, then skip this compensation"),
            ))
        }
        Some(
            SagaPhase::Pending
            | SagaPhase::Running
            | SagaPhase::Paused
            | SagaPhase::Failed
            | SagaPhase::Compensating
            | SagaPhase::CompensationFailed
            | SagaPhase::Completed,
        )
        | None => None,
    }
}

/// Returns a sentence that says what a step waits for. If somebody may have to act on the child,
/// the sentence contains the child's own message.
fn waits_for(child: &ChildSaga) -> String {
    let ChildSaga { name, phase, message, held, .. } = child;
    let is =
        phase.map_or(if *held { "held" } else { "not seen by an operator yet" }, SagaPhase::as_str);
    let waits = matches!(
        phase,
        Some(
            SagaPhase::Failed
                | SagaPhase::CompensationFailed
                | SagaPhase::Paused
                | SagaPhase::Pending
        )
    );
    let more = if (waits || *held) && !message.is_empty() {
        format!(": {message}")
    } else {
        String::new()
    };
    format!("waits for its child saga {name}, which is {is}{more}")
}

/// Returns the sentence of [`waits_for`], and adds if the attempt's time has passed, if the child
/// cannot be undone, and if a command could not be sent to the child.
///
/// `effects`: the effects of this plan, which contain the commands to the child.
fn waits_and_why(view: &ChildView<'_>, effects: &[Effect]) -> String {
    let ChildSaga { undelivered, refused, .. } = view.child;
    let late = match (view.overdue, refused) {
        (true, Some((_, why))) => format!("; past its time limit, and it cannot be undone: {why}"),
        (true, None) => "; past its time limit".to_owned(),
        (false, _) => String::new(),
    };
    let is_sent = |this: &ChildCommand| {
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Ask { command, .. } if command == this))
    };
    let undelivered = undelivered.iter().find(|undelivered| is_sent(&undelivered.command));
    let undelivered = undelivered
        .map(|undelivered| format!("; a command to the child saga failed: {}", undelivered.why))
        .unwrap_or_default();
    format!("{}{late}{undelivered}", waits_for(view.child))
}
