//! The way forward: what starts next, and what a failure means.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use super::{
    pass::{Pass, Standing, is_active, is_due, past_pivot},
    step::StepEvent,
};
use crate::api::{Direction, OnFailure, StepPhase};

impl Pass<'_> {
    /// Goes forward as far as possible now.
    pub(super) fn forward(&mut self) -> Standing {
        if self.may_start() {
            // First, since nothing begins where a step fails.
            self.fail_what_may_not_begin(StepPhase::Retrying, Direction::Action);
        }
        if self.may_start() {
            self.start_runnable();
        }
        self.standing()
    }

    fn may_start(&self) -> bool {
        !self.seen.draining && !self.seen.deleting && !self.saga.suspend && self.has_no_failure()
    }

    fn has_no_failure(&self) -> bool {
        self.steps_where(|_, status| status.phase == StepPhase::Failed).is_empty()
    }

    fn standing(&mut self) -> Standing {
        let failed = !self.has_no_failure();
        if !failed && self.steps_where(|_, status| status.phase == StepPhase::Completed).len() == self.saga.steps.len() {
            return Standing::Done;
        }
        if !failed && !self.seen.deleting {
            self.wake_for_retries();
            return Standing::Forward;
        }
        if self.active() > 0 {
            return Standing::Settling;
        }
        let turn_back = self.seen.deleting || self.saga.on_failure == OnFailure::Compensate;
        let past_pivot = !self.steps_where(past_pivot).is_empty();
        match (turn_back, past_pivot) {
            (true, false) => Standing::Undoing,
            (true, true) => Standing::Held { past_pivot: true },
            (false, _) => Standing::Held { past_pivot: false },
        }
    }

    /// Begins attempts in list order until every slot is taken.
    fn start_runnable(&mut self) {
        let done = self.steps_where(|_, status| status.phase == StepPhase::Completed);
        let mut slots = self.slots();
        self.each_step(|pass, place, step, status| {
            let begins = match status.phase {
                StepPhase::Pending => pass.graph.depends_on(place).is_subset(done) && slots.take_new(),
                StepPhase::Retrying => is_due(status.next_attempt_at.as_ref(), pass.seen.now) && slots.take_kept(),
                StepPhase::Running
                | StepPhase::Completed
                | StepPhase::Failed
                | StepPhase::Compensating
                | StepPhase::Compensated
                | StepPhase::CompensationFailed => false,
            };
            if begins {
                pass.begin(place, step, status, Direction::Action);
            }
        });
    }

    fn wake_for_retries(&mut self) {
        if self.saga.suspend {
            return;
        }
        let retrying = self.status.steps.iter().filter(|status| status.phase == StepPhase::Retrying && !is_active(status));
        // An instant that has come means that no slot is free: the attempt that settles wakes the saga.
        let next =
            retrying.filter_map(|status| status.next_attempt_at.as_ref()).map(|next| next.0).filter(|next| *next > self.seen.now).min();
        if let Some(next) = next {
            self.wake_at(next);
        }
    }

    /// Turns back: a step that waited to be tried again failed.
    pub(super) fn end_retries(&mut self) {
        self.each_step(|pass, _, _, status| {
            if status.phase == StepPhase::Retrying {
                status.next_attempt_at = None;
                status.completed_at = Some(MicroTime(pass.seen.now));
                pass.move_step(status, StepEvent::FailForGood);
            }
        });
    }
}
