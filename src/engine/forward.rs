//! The way forward: what starts next, and what a failure means.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    pass::{Pass, Standing, is_active, is_due, may_go_on, past_pivot},
    step::StepEvent,
    word::with_hint,
};
use crate::{
    api::{Direction, OnFailure, StepPhase, StepStatus},
    mutants::{Twin, broken},
};

impl Pass<'_> {
    /// Goes forward as far as possible now.
    pub(super) fn forward(&mut self) -> Standing {
        self.drop_undo_past_pivot();
        if self.may_start() {
            // First, since nothing begins where a step fails.
            self.fail_what_may_not_begin(StepPhase::Retrying, Direction::Action);
        }
        if self.may_start() && self.prepare() {
            self.start_runnable();
        }
        self.standing()
    }

    fn may_start(&self) -> bool {
        !self.seen.draining && !self.is_paused() && !self.must_turn_back()
    }

    /// Whether the saga goes back whatever its steps do.
    fn must_turn_back(&self) -> bool {
        let deleted = self.seen.deleting && !broken(Twin::DeletedGoesOn);
        deleted || (self.status.compensation_requested.is_some() && !broken(Twin::TurnBack))
    }

    /// The pivot was passed while what was active settled: now nobody can ask for the undo any
    /// more.
    fn drop_undo_past_pivot(&mut self) {
        if self.status.compensation_requested.is_some() && !self.steps_where(past_pivot).is_empty()
        {
            self.status.compensation_requested = None;
            self.publish(
                true,
                "PivotPassed",
                "the saga is not undone, although that was asked for: its pivot was passed \
                 meanwhile, or may be",
            );
        }
    }

    fn standing(&mut self) -> Standing {
        let (failed, must_turn_back) = (self.has_failure(), self.must_turn_back());
        let counts = |status: &StepStatus| {
            status.phase.is_done()
                || (status.phase == StepPhase::Pending && broken(Twin::DoneBlocked))
        };
        let done = self.steps_where(|_, status| counts(status)).len() == self.saga.steps.len();
        // Where the saga is deleted or asked to turn back, what settled last is undone as well,
        // unless nothing can be.
        if done && (!must_turn_back || !self.steps_where(past_pivot).is_empty()) {
            return Standing::Done;
        }
        if !must_turn_back {
            self.wake_for_retries(failed);
        }
        self.wake_for_timeout();
        if !failed && !must_turn_back {
            return Standing::Forward;
        }
        let retried =
            |status: &StepStatus| status.phase == StepPhase::Retrying && status.retry_requested;
        let goes_on = !must_turn_back && self.status.steps.iter().any(retried);
        if goes_on || (self.has_children() && !broken(Twin::UndoUnsettled)) {
            return Standing::Settling;
        }
        let turn_back = must_turn_back || self.saga.on_failure == OnFailure::Compensate;
        let past_pivot = !self.steps_where(past_pivot).is_empty();
        match (turn_back, past_pivot) {
            (true, false) => Standing::Undoing,
            (true, true) => Standing::Held { past_pivot: true },
            (false, _) => Standing::Held { past_pivot: false },
        }
    }

    /// Leaves out the steps that are not wanted, and fails those that cannot begin, as far as there
    /// are slots. Returns whether all can: where a step fails, nothing begins.
    fn prepare(&mut self) -> bool {
        if !self.saga.has_expressions() {
            return true;
        }
        let (failed, mut slots, mut all_can) = (self.has_failure(), self.slots(), true);
        self.each_step(|pass, place, step, status| {
            let done = pass.steps_where(|_, status| status.phase.is_done());
            let ready = status.phase == StepPhase::Pending
                && !failed
                && pass.graph.depends_on(place).is_subset(done);
            let again = status.phase == StepPhase::Retrying
                && may_go_on(failed, status)
                && !is_active(status)
                && is_due(status.next_attempt_at.as_ref(), pass.seen.now);
            if !((ready && slots.has_free(true)) || (again && slots.take_kept())) {
                return;
            }
            // A retried step that never began is asked again, too.
            let first = status.action.as_ref().is_none_or(|record| record.attempt == 0);
            let wanted = if first { pass.is_wanted(step, status) } else { Ok(true) };
            match wanted.map(|wanted| {
                wanted.then(|| pass.resolve(&step.action, status, Direction::Action).map(drop))
            }) {
                Ok(None) => pass.leave_out(status),
                Ok(Some(Ok(()))) => _ = ready && slots.take_new(),
                Ok(Some(Err(why))) | Err(why) => {
                    pass.cannot_begin(status, Direction::Action, &why);
                    all_can = false;
                }
            }
        });
        all_can
    }

    /// Begins attempts in list order until every slot is taken.
    fn start_runnable(&mut self) {
        let done = self.steps_where(|_, status| status.phase.is_done());
        let (failed, mut slots) = (self.has_failure(), self.slots());
        self.each_step(|pass, place, step, status| {
            let begins = match status.phase {
                StepPhase::Pending => {
                    let may = !failed || broken(Twin::FailureStops);
                    let ready =
                        pass.graph.depends_on(place).is_subset(done) || broken(Twin::Dependencies);
                    may && ready && slots.take_new()
                }
                StepPhase::Retrying => {
                    may_go_on(failed, status)
                        && is_due(status.next_attempt_at.as_ref(), pass.seen.now)
                        && slots.take_kept()
                }
                StepPhase::Running
                | StepPhase::Waiting
                | StepPhase::Completed
                | StepPhase::Skipped
                | StepPhase::Failed
                | StepPhase::Compensating
                | StepPhase::Compensated
                | StepPhase::CompensationFailed
                | StepPhase::CompensationSkipped => false,
            };
            if begins
                && !pass.waits_for_room(
                    step,
                    Direction::Action,
                    &mut slots,
                    status.phase == StepPhase::Pending,
                )
            {
                pass.begin(place, step, status, Direction::Action);
            }
        });
        self.forget_overtaken(&slots);
    }

    fn wake_for_retries(&mut self, failed: bool) {
        if self.is_paused() {
            return;
        }
        let waits = |status: &&StepStatus| {
            status.phase == StepPhase::Retrying && !is_active(status) && may_go_on(failed, status)
        };
        let retrying = self.status.steps.iter().filter(waits);
        // An instant that has come means that no slot is free: the attempt that settles wakes the
        // saga.
        let next = retrying
            .filter_map(|status| status.next_attempt_at.as_ref())
            .map(|next| next.0)
            .filter(|next| *next > self.seen.now)
            .min();
        if let Some(next) = next.filter(|_| !broken(Twin::RetryWake)) {
            self.wake_at(next);
        }
    }

    /// Turns back: a step that waited to be tried again failed.
    pub(super) fn end_retries(&mut self) {
        self.each_step(|pass, _, _, status| {
            if status.phase == StepPhase::Retrying {
                status.next_attempt_at = None;
                status.retry_requested = false;
                status.completed_at = Some(MicroTime(pass.seen.now));
                status.message = status
                    .message
                    .take()
                    .map(|message| with_hint(&message, status, Direction::Action));
                pass.move_step(status, StepEvent::FailForGood);
            }
        });
    }
}
