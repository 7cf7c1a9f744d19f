//! The service: Pods that run, HTTP requests under way, and what was really done.
//!
//! The service knows its keys. What was done under a key is not done again. What was undone under a
//! key has no effect any more, and later HTTP requests with that key have none either. Nothing else
//! is assumed of the service. Work that was refused under a key may still be done while an earlier
//! HTTP request with that key is under way. Work that was done may be refused when it is requested
//! again. If the exit code of a program is permanent, nothing was done under its key.

use super::{
    Happened,
    children::there,
    gather, process,
    state::{
        law::{Broken, Law},
        trial::{Ending, Trial},
        world::{Who, World},
    },
};
use crate::{
    api::Direction,
    model::saga::{ValidStep, Work},
};

/// Returns how this execution may end now.
pub(super) fn endings(world: &World, trial: &Trial) -> impl Iterator<Item = Ending> {
    let (request, unheard) = (trial.pod.is_none(), trial.is_unheard());
    let allowed = if trial.who.direction == Direction::Action {
        &world.rules.endings
    } else {
        &world.rules.undo_endings
    };
    let truth = world.truth.get(trial.who.place);
    let known = truth.and_then(|truth| truth.key_done(trial.who.direction)) == Some(trial.key);
    let earlier = may_land_beside(world, trial);
    let (deletes, program) = (gather::deletes(world, trial.who), is_program(world, trial.who));
    // A child that is simulated as a real object ends by its own turns.
    let runs = trial.runs() && !there::plays(world, trial.who);
    // If the step says that a failed program has done nothing, the world believes it.
    let halfway = trial.who.direction == Direction::Compensation
        || world
            .object()
            .saga()
            .steps
            .get(trial.who.place)
            .is_some_and(|step| step.compensate_failed);
    allowed.iter().copied().filter(move |ending| {
        let fits = match ending {
            Ending::Busy => request && !unheard && !known,
            Ending::Vanished(_) => !request && !deletes,
            // A program knows what was done under its key, and does not report that work as not
            // done.
            Ending::No => (request || !known) && !unheard,
            // If no earlier HTTP request with the key did the work or is under way, a 409 equals
            // any other refusal.
            Ending::Conflict => request && !unheard && (known || earlier),
            Ending::Crash => program && halfway,
            Ending::Accepted(_) => request && !unheard,
            Ending::Done => !unheard,
            Ending::Unknown(_) => true,
        };
        // What was already done is not done again, so one variant of an end without an answer is
        // enough.
        let again = matches!(
            ending,
            Ending::Unknown(false) | Ending::Vanished(false) | Ending::Accepted(false)
        );
        runs && fits && !(known && again)
    })
}

/// Returns whether another execution with the same key is under way.
fn may_land_beside(world: &World, trial: &Trial) -> bool {
    may_land(world, trial.who.place, trial.who.direction, trial.key, Some(trial.who))
}

/// Returns whether an execution of the step is under way under this key. The attempt `but` does not
/// count.
pub(super) fn may_land(
    world: &World,
    place: usize,
    direction: Direction,
    key: i64,
    but: Option<Who>,
) -> bool {
    let of_the_key = |trial: &Trial| {
        trial.who.place == place && trial.who.direction == direction && trial.key == key
    };
    world.trials.iter().any(|trial| of_the_key(trial) && trial.runs() && Some(trial.who) != but)
}

/// Returns whether the attempt runs a program: a Pod or a Job.
pub(super) fn is_program(world: &World, who: Who) -> bool {
    let step = world.object().saga().steps.get(who.place);
    let operation = step.and_then(|step| step.operation(who.direction));
    operation.is_some_and(|operation| matches!(operation.work, Work::Pod(_) | Work::Job(_)))
}

/// Ends the execution of an attempt. Returns `None` if it cannot end so.
pub(super) fn end(
    world: &mut World,
    who: Who,
    ending: Ending,
    happened: &mut Vec<Happened>,
    broken: &mut Vec<Broken>,
) -> Option<()> {
    let place = world.trials.iter().position(|trial| trial.who == who && trial.runs())?;
    let trial = world.trials.get(place)?.clone();
    if !endings(world, &trial).any(|allowed| allowed == ending) {
        return None;
    }
    happened.push(if trial.is_unheard() {
        Happened::LandedUnheard(who)
    } else {
        Happened::Ended(who, ending)
    });
    if ending.lands() {
        land(world, &trial, ending, broken);
    } else if ending == Ending::No {
        refuse(world, &trial);
    }
    if trial.is_unheard() {
        world.trials.remove(place);
        return Some(());
    }
    if let Some(trial) = world.trials.get_mut(place) {
        trial.ended = Some(ending);
    }
    match trial.hears {
        Some(process) => {
            process::hear(world, process, who, ending);
            world.trials.remove(place);
        }
        None => process::trigger_all(world),
    }
    Some(())
}

pub(super) fn land(world: &mut World, trial: &Trial, ending: Ending, broken: &mut Vec<Broken>) {
    let Trial { who, key, .. } = trial;
    let nothing = world.object().saga().steps.get(who.place).is_some_and(ValidStep::leaves_nothing);
    let Some(truth) = world.truth.get_mut(who.place) else { return };
    if truth.key_done(who.direction).is_some_and(|done| done != *key) {
        broken.push(Broken::new(
            Law::DoneOnce,
            format!("{who} does its work again, under another idempotency key"),
        ));
    }
    match who.direction {
        Direction::Action => {
            truth.crashed |= ending == Ending::Crash;
            truth.done_under = Some(*key);
            truth.in_effect |= !truth.undone && !nothing;
        }
        Direction::Compensation => {
            truth.undone_under = Some(*key);
            truth.undone = true;
            truth.in_effect = false;
        }
    }
}

/// Records the key of a refusal. A Pod that reports a failure may have done half of its work.
pub(super) fn refuse(world: &mut World, trial: &Trial) {
    if let Some(truth) = world.truth.get_mut(trial.who.place) {
        match trial.who.direction {
            Direction::Action => truth.refused_under = Some(trial.key),
            Direction::Compensation => truth.undo_refused_under = Some(trial.key),
        }
    }
    let leaves = trial.who.direction == Direction::Action
        && world
            .object()
            .saga()
            .steps
            .get(trial.who.place)
            .is_some_and(|step| step.compensate_failed && !step.leaves_nothing());
    if let Some(truth) = world.truth.get_mut(trial.who.place).filter(|_| leaves) {
        truth.in_effect |= !truth.undone;
    }
}

/// Forgets what no longer matters: the ends of settled attempts that no replica will read again,
/// and HTTP requests without a waiting replica that would change nothing.
pub(super) fn forget_trials(world: &mut World) {
    let wanted: Vec<_> =
        world.processes.iter().flat_map(super::state::process::Process::to_begin).collect();
    let object = world.object().clone();
    let truth = std::mem::take(&mut world.truth);
    world.trials.retain(|trial| {
        let done = truth.get(trial.who.place);
        let known = done.and_then(|done| done.key_done(trial.who.direction)) == Some(trial.key);
        let idle = known
            || (trial.who.direction == Direction::Action && done.is_some_and(|done| done.undone));
        if trial.is_unheard() {
            return !idle;
        }
        trial.runs() || object.is_active(trial.who) || wanted.contains(&trial.who)
    });
    world.truth = truth;
}
