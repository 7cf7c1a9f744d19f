//! The other side: Pods that run, requests under way, and what was really done.
//!
//! It knows its keys: what was done under a key is not done again, and what was undone under a key
//! has no effect any more, later requests included. Nothing else is taken for granted of it: what
//! was refused under a key may land, as long as an earlier request with that key is under way, and
//! what was done may be refused when it is asked for again. A program whose exit code is final
//! means that nothing was done under its key.

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

/// How this attempt may end now.
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
    // A child that is played as it is ends by itself.
    let runs = trial.runs() && !there::plays(world, trial.who);
    // Who says that a failed program has done nothing is believed.
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
            // A program knows what was done under its key, and does not say of that that it was
            // not.
            Ending::No => (request || !known) && !unheard,
            // Where there is nothing that it could speak of it is a no like any other.
            Ending::Conflict => request && !unheard && (known || earlier),
            Ending::Crash => program && halfway,
            Ending::Accepted(_) => request && !unheard,
            Ending::Done => !unheard,
            Ending::Unknown(_) => true,
        };
        // What was done already is not done again: one way not to hear of it is enough.
        let again = matches!(
            ending,
            Ending::Unknown(false) | Ending::Vanished(false) | Ending::Accepted(false)
        );
        runs && fits && !(known && again)
    })
}

/// Whether another attempt with the same key is under way.
fn may_land_beside(world: &World, trial: &Trial) -> bool {
    may_land(world, trial.who.place, trial.who.direction, trial.key, Some(trial.who))
}

/// Whether an attempt of the step is under way under this key, but for that one.
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

/// Whether the attempt runs a program.
pub(super) fn is_program(world: &World, who: Who) -> bool {
    let step = world.object().saga().steps.get(who.place);
    let operation = step.and_then(|step| step.operation(who.direction));
    operation.is_some_and(|operation| matches!(operation.work, Work::Pod(_) | Work::Job(_)))
}

/// Lets an attempt end. `None` where it cannot end so.
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

/// The key is remembered. A Pod that says no may have done half its work.
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

/// Forgets what cannot matter any more: the ends of attempts that are settled and that nobody
/// will ask for again, and requests that nobody waits for and that would change nothing.
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
