//! How much may begin at once: steps of the saga, and requests to a host.
//!
//! # Guarantees
//! No more steps are under way than `maxParallel` says, unless it was lowered meanwhile. In a plain
//! list nothing goes before its turn.

use super::{
    state::Pass,
    throttle::{self, take_room},
    throttled::{Crowded, Wait},
};
use crate::{
    api::{Direction, StepPhase},
    model::saga::ValidStep,
    mutants::{Twin, broken},
};

/// How many steps may still begin. A step that waits for its next attempt keeps its slot: whoever
/// writes a plain list means its order.
pub(crate) struct Slots {
    /// For steps that are not under way yet.
    new: usize,
    /// For attempts of any step.
    idle: usize,
}

impl Slots {
    /// Takes a slot for a step that is not under way yet, if there is one.
    pub(crate) fn take_new(&mut self) -> bool {
        let free = self.new > 0 && self.take_kept();
        self.new = self.new.saturating_sub(usize::from(free));
        free
    }

    /// Gives back the slot of a step that cannot begin just now. A step that was under way keeps
    /// its place among those that are.
    pub(crate) fn give_back(&mut self, is_new: bool) {
        self.new = self.new.saturating_add(usize::from(is_new));
        self.idle = self.idle.saturating_add(1);
    }

    /// Whether a step could begin if there were room at its host.
    pub(crate) const fn has_free(&self, is_new: bool) -> bool {
        self.idle > 0 && (self.new > 0 || !is_new)
    }

    /// Takes up again the slot of a step that waited; none is free only where `maxParallel` was
    /// lowered meanwhile.
    pub(crate) fn take_kept(&mut self) -> bool {
        let free = self.idle > 0;
        self.idle = self.idle.saturating_sub(usize::from(free));
        free
    }
}

/// The slots that are free now.
pub(crate) fn slots(pass: &Pass<'_>) -> Slots {
    let under_way = |phase| {
        matches!(
            phase,
            StepPhase::Running | StepPhase::Retrying | StepPhase::Waiting | StepPhase::Compensating
        )
    };
    let taken = pass.steps_where(|_, status| under_way(status.phase)).len();
    let most = pass.saga.max_parallel.saturating_add(usize::from(broken(Twin::Slots)));
    Slots { new: most.saturating_sub(taken), idle: most.saturating_sub(pass.active()) }
}

/// Whether the step's next attempt, for which a slot was taken, waits because of its host: as
/// many requests are under way as may be, or its circuit is open. Where steps run side by side,
/// it then keeps no other from beginning elsewhere; but in a plain list nothing goes before its
/// turn.
pub(crate) fn waits_for_room(
    pass: &mut Pass<'_>,
    step: &ValidStep,
    direction: Direction,
    slots: &mut Slots,
    is_new: bool,
) -> bool {
    let why = step.operation(direction).and_then(|operation| {
        match throttle::circuit(pass, operation, direction) {
            Some(shut) => Some(Wait::Circuit(shut)),
            // Only what finds room goes through the circuit.
            None if take_room(pass, operation) => {
                throttle::pass_circuit(pass, operation);
                None
            }
            None => Some(Wait::Room),
        }
    });
    let waits = why.is_some();
    pass.crowded.extend(why.map(|why| Crowded { step: step.name.clone(), is_new, why }));
    if waits && pass.saga.max_parallel > 1 {
        slots.give_back(is_new);
    }
    waits
}

/// Leaves out of those that wait for their hosts the ones that others of the saga have
/// overtaken: for the next look they wait for a slot.
pub(crate) fn forget_overtaken(pass: &mut Pass<'_>, slots: &Slots) {
    if pass.saga.max_parallel > 1 {
        pass.crowded.retain(|crowded| slots.has_free(crowded.is_new));
    }
}
