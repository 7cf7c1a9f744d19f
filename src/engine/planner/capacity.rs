//! The capacity for new attempts: slots for the steps of the saga, and HTTP requests to a host.
//!
//! # Guarantees
//! At most `maxParallel` steps are under way, unless `maxParallel` was lowered after they began. In
//! a plain list no step begins before the steps that precede it.

use super::{
    state::Planner,
    throttle::{self, take_host_capacity},
    throttled::{ThrottleReason, Throttled},
};
use crate::{
    api::{Direction, StepPhase},
    engine::rules,
    model::saga::ValidStep,
};

/// The number of steps that may still begin. A step that waits for its next attempt keeps its slot,
/// because a plain list means that its steps run in its order.
pub(in crate::engine) struct StepSlots {
    /// The free slots for steps that are not under way yet.
    new: usize,
    /// The free slots for attempts of any step.
    idle: usize,
}

impl StepSlots {
    /// Takes a slot for a step that is not under way yet. Returns whether a slot was free.
    pub(in crate::engine) fn take_new(&mut self) -> bool {
        let free = self.new > 0 && self.take_kept();
        self.new = self.new.saturating_sub(usize::from(free));
        free
    }

    /// Gives back the slot of a step that cannot begin now. `is_new`: whether the step is not under
    /// way yet. A step that was under way still counts as under way.
    pub(in crate::engine) fn give_back(&mut self, is_new: bool) {
        self.new = self.new.saturating_add(usize::from(is_new));
        self.idle = self.idle.saturating_add(1);
    }

    /// Returns whether a step could begin if its host had capacity.
    pub(in crate::engine) const fn has_free(&self, is_new: bool) -> bool {
        self.idle > 0 && (self.new > 0 || !is_new)
    }

    /// Takes a slot for the next attempt of a step that is under way. Returns whether a slot was
    /// free. A slot is missing only if `maxParallel` was lowered in the meantime.
    pub(in crate::engine) fn take_kept(&mut self) -> bool {
        let free = self.idle > 0;
        self.idle = self.idle.saturating_sub(usize::from(free));
        free
    }
}

/// Returns the slots that are free now.
pub(in crate::engine) fn slots(planner: &Planner<'_>) -> StepSlots {
    let under_way = |phase| {
        matches!(
            phase,
            StepPhase::Running | StepPhase::Retrying | StepPhase::Waiting | StepPhase::Compensating
        )
    };
    let taken = planner.steps_where(|_, status| under_way(status.phase)).len();
    let most = planner.saga.max_parallel;
    StepSlots {
        new: rules::free_slots(most, taken),
        idle: rules::free_slots(most, planner.active()),
    }
}

/// Decides whether the next attempt of the step waits because of its host. A slot was taken for
/// this attempt. The attempt waits if a limit lets no more HTTP requests to the host begin, or if
/// the breaker admits no more calls. If steps run in parallel, a waiting step gives its slot
/// back, so that steps that call other hosts can begin. In a plain list the step keeps the slot,
/// because no later step may begin before it.
pub(in crate::engine) fn waits_for_host(
    planner: &mut Planner<'_>,
    step: &ValidStep,
    direction: Direction,
    slots: &mut StepSlots,
    is_new: bool,
) -> bool {
    let why = step.operation(direction).and_then(|operation| {
        match throttle::circuit(planner, operation, direction) {
            Some(breaker) => Some(ThrottleReason::Circuit(breaker)),
            None => match take_host_capacity(planner, operation) {
                // An HTTP request counts against the breaker only if its host has capacity.
                Ok(()) => {
                    throttle::count_call(planner, operation);
                    None
                }
                Err(limit) => Some(ThrottleReason::Limit(limit)),
            },
        }
    });
    let waits = why.is_some();
    planner.throttled.extend(why.map(|why| Throttled { step: step.name.clone(), is_new, why }));
    if waits && planner.saga.max_parallel > 1 {
        slots.give_back(is_new);
    }
    waits
}

/// Forgets the steps that wait for their hosts if other steps of the saga have taken their slots.
/// In the next reconcile these steps wait for a slot.
pub(in crate::engine) fn forget_overtaken(planner: &mut Planner<'_>, slots: &StepSlots) {
    if planner.saga.max_parallel > 1 {
        planner.throttled.retain(|throttled| slots.has_free(throttled.is_new));
    }
}
