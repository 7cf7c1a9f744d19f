//! Child sagas: what the phase of one means to the step that carries it through or undoes it, and
//! what it has to be told.
//!
//! By what the child is, the step that carries it through and the compensation that undoes it do
//! this:
//!
//! - Completed: the step is done, with the child's outputs. The compensation asks the child to
//!   compensate.
//! - Compensated or Cancelled, nothing in effect: the step failed for good (Cancelled: nobody can
//!   tell). The compensation is done.
//! - Compensated or Cancelled, something in effect: nobody can tell how the step ended. The
//!   compensation failed for good, and names what is in effect.
//! - Running, Paused, Failed: the step waits; past its time, or where the saga is deleted, the
//!   child is asked to compensate. The compensation asks the child to compensate.
//! - Compensating, `CompensationFailed`: the step waits, and so does the compensation.
//! - Pending: the step waits; past its time the child is cancelled: nothing of it ran. The
//!   compensation cancels the child.
//!
//! # Guarantees
//! A child is told the same until it is seen to have heard, and each request carries a token, by
//! which it acts on it once. A child that may still act is never given up: its attempt settles when
//! it has ended. What the undo of a child waits for is bounded by its time limit, since it is asked
//! again. A saga that goes as it is goes after all its children were told to, or refused to be told
//! for good: those, too, that no attempt follows any more.
//!
//! # Caveats
//! A child that is past its pivot can only go forward: the step waits for its end, whatever its
//! time limit says.

use jiff::Timestamp;

use super::{
    outputs,
    settlement::{STOP_POLL, Settlement, Verdict, failed},
};
use crate::{
    api::{
        ChildStatus, DeletionPolicy, Direction, SagaPhase, StepStatus, limits::KEPT_MESSAGE,
        names::AttemptId,
    },
    clock::later,
    engine::{
        attempt,
        planner::{child_sagas::made_by, state::Pass},
    },
    model::{
        command::Demand,
        observation::{ChildSaga, Reached},
        plan::Effect,
        saga::{ValidStep, Work},
    },
    text::clip,
};

/// What there is to be known about a step's child when it is judged.
pub(crate) struct Kin<'a> {
    pub(crate) child: &'a ChildSaga,
    /// The active attempt.
    pub(crate) attempt: &'a AttemptId,
    /// Whether the step's time has passed.
    pub(crate) overdue: bool,
    /// When it passes.
    pub(crate) limit: Timestamp,
    /// Whether an earlier attempt of the same operation may have left something in effect.
    pub(crate) uncertain: bool,
}

/// What a child saga means that is there.
pub(crate) fn judge_child(
    pass: &mut Pass<'_>,
    step: &ValidStep,
    status: &mut StepStatus,
    kin: &Kin<'_>,
) -> Verdict {
    status.child = Some(ChildStatus {
        name: kin.child.name.clone(),
        uid: Some(kin.child.uid.clone()),
        phase: kin.child.phase,
    });
    let undoes = step
        .operation(kin.attempt.direction)
        .is_some_and(|operation| matches!(operation.work, Work::UndoSaga));
    let effects = pass.effects.len();
    let settled = if undoes { undone(kin.child) } else { carried_through(pass, kin) };
    if let Some(settlement) = settled {
        return settlement.into();
    }
    let verdict = if undoes { undo_child(pass, status, kin) } else { lead_child(pass, kin) };
    if matches!(verdict, Verdict::Wait) {
        let ChildSaga { uid, age, .. } = kin.child;
        let waits =
            waits_for(kin.child, kin.overdue, pass.effects.get(effects..).unwrap_or_default());
        attempt::progress::note_child(
            pass,
            status,
            kin.attempt.direction,
            (Some(uid), *age),
            (&waits, None),
        );
        say_of_child(status, kin.attempt.direction, &waits);
        pass.wake_at(if kin.overdue { later(pass.seen.now, STOP_POLL) } else { kin.limit });
    }
    verdict
}

/// The end of a step whose child ended.
fn carried_through(pass: &Pass<'_>, kin: &Kin<'_>) -> Option<Settlement> {
    let ChildSaga { name, phase, message, outputs, still_in_effect, .. } = kin.child;
    let left = still_in_effect.join(", ");
    Some(match phase {
        Some(SagaPhase::Completed) => {
            outputs::with_outputs(pass, kin.attempt.direction, Ok(outputs.clone()))
        }
        Some(SagaPhase::Compensated) if still_in_effect.is_empty() && kin.uncertain => {
            Settlement::unknown_for_good(format!(
                "its child saga {name} was undone, but nobody can tell what an earlier \
                 attempt's child left in effect"
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

/// Has a child follow its parent, and turn back where its parent does.
fn lead_child(pass: &mut Pass<'_>, kin: &Kin<'_>) -> Verdict {
    let Kin { child, attempt, overdue, .. } = kin;
    follow(pass, kin, attempt);
    // What undoes is not turned back by the deletion for whose sake it runs.
    let undone_by_deletion =
        pass.seen.deleting && pass.seen.deletion_policy == DeletionPolicy::Compensate;
    let turns_back = *overdue || (undone_by_deletion && attempt.direction == Direction::Action);
    if pass.status.cancel_requested.is_some() {
        ask(pass, kin, attempt, Demand::Cancel);
    } else if turns_back && attempt.direction == Direction::Compensation {
        // An undo that takes too long is not undone, but ended.
        ask(pass, kin, attempt, Demand::Cancel);
    } else if turns_back {
        let token = format!("turn-back-{}", attempt.number);
        match child.phase {
            // One that is held would refuse it for good.
            Some(SagaPhase::Running | SagaPhase::Paused | SagaPhase::Failed) if !child.held => {
                ask(pass, kin, attempt, Demand::Compensate { token });
            }
            Some(SagaPhase::Pending) => ask(pass, kin, attempt, Demand::Cancel),
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

/// Has a child undo itself.
fn undo_child(pass: &mut Pass<'_>, status: &StepStatus, kin: &Kin<'_>) -> Verdict {
    let Kin { child, attempt, overdue, .. } = kin;
    let made_by = made_by(status);
    follow(pass, kin, &made_by);
    let (token, cancelled) =
        (format!("undo-{}", attempt.number), pass.status.cancel_requested.is_some());
    let refused =
        child.refused.as_ref().filter(|(refused, _)| *refused == token).map(|(_, why)| why);
    match child.phase {
        // Nothing was asked of it, or nothing that it will do.
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
        Some(_) if cancelled => ask(pass, kin, &made_by, Demand::Cancel),
        Some(SagaPhase::Running | SagaPhase::Paused | SagaPhase::Failed | SagaPhase::Completed) => {
            if let Some(why) = refused {
                return failed(
                    Reached::Nothing,
                    format!("its child saga {} refuses to be undone: {why}", child.name),
                )
                .into();
            }
            ask(pass, kin, &made_by, Demand::Compensate { token });
        }
        Some(SagaPhase::Pending) => ask(pass, kin, &made_by, Demand::Cancel),
        Some(
            SagaPhase::Compensating
            | SagaPhase::CompensationFailed
            | SagaPhase::Compensated
            | SagaPhase::Cancelled,
        )
        | None => {}
    }
    // Asked again by the next attempt; a child that was cancelled ends first.
    if *overdue && !cancelled {
        return Settlement::unknown(
            format!("not within its time: {}", waits_for(child, false, &[])),
            None,
        )
        .into();
    }
    Verdict::Wait
}

/// Starts nothing new where its parent does not, and is deleted as its parent is.
fn follow(pass: &mut Pass<'_>, kin: &Kin<'_>, made_by: &AttemptId) {
    let (suspend, deletion_policy) = (pass.is_paused(), pass.seen.deletion_policy);
    if kin.child.suspended != suspend || kin.child.deletion_policy != deletion_policy {
        ask(pass, kin, made_by, Demand::Follow { suspend, deletion_policy });
    }
}

/// Tells a child something that it was not seen to have heard.
fn ask(pass: &mut Pass<'_>, kin: &Kin<'_>, made_by: &AttemptId, demand: Demand) {
    let heard = match &demand {
        Demand::Follow { .. } => false,
        Demand::Compensate { token } => kin.child.compensate_asked.as_ref() == Some(token),
        // One that is held would refuse it: it is asked when a person has mended it.
        Demand::Cancel => kin.child.cancel_asked || kin.child.held,
    };
    let ended = kin.child.phase.is_some_and(SagaPhase::is_terminal);
    // Before an operator saw it, it takes no request; its deletion undoes it, unless it ended
    // before.
    if !heard && kin.child.phase.is_some() && (!kin.child.deleting || ended) {
        pass.effects.push(Effect::Ask {
            attempt: kin.attempt.clone(),
            child: made_by.clone(),
            demand,
        });
    }
}

/// A child that waits for a person is worth a write of its own.
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

/// The end of a compensation whose child ended.
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

/// What a step waits for, and who has to act where somebody has to.
///
/// `told`: what it is told now.
fn waits_for(child: &ChildSaga, overdue: bool, told: &[Effect]) -> String {
    let ChildSaga { name, phase, message, held, unheard, refused, .. } = child;
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
    let late = match (overdue, refused) {
        (true, Some((_, why))) => format!("; past its time, and it cannot be undone: {why}"),
        (true, None) => "; past its time".to_owned(),
        (false, _) => String::new(),
    };
    let is_told = |this: &Demand| {
        told.iter().any(|effect| matches!(effect, Effect::Ask { demand, .. } if demand == this))
    };
    let unheard = unheard.iter().find(|unheard| is_told(&unheard.demand));
    let unheard = unheard
        .map(|unheard| format!("; it could not be told to follow: {}", unheard.why))
        .unwrap_or_default();
    format!("waits for its child saga {name}, which is {is}{more}{late}{unheard}")
}
