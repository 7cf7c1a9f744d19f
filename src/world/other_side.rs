//! The other side: Pods that run, requests under way, and what was really done.
//!
//! It knows its keys: what was done under a key is not done again, and what was undone under a key
//! has no effect any more, later requests included. Nothing else is taken for granted of it: what
//! was refused under a key may land, as long as an earlier request with that key is under way, and
//! what was done may be refused when it is asked for again. A program whose exit code is final
//! means that nothing was done under its key.

use super::{
    Happened, Who, World,
    laws::{Broken, Law},
};
use crate::{
    api::Direction,
    model::saga::{ValidStep, Work},
    world::{children, gather, process},
};

/// How an attempt ends at the other side, or what becomes of its child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ending {
    /// It was done, and says so.
    Done,
    /// A no: the exit code 1, a final answer.
    No,
    /// A request is told that an earlier one with its key is under way, or was done: 409.
    Conflict,
    /// A program crashes after its work: the exit code 101.
    Crash,
    /// A request is answered with a 2xx that the step does not take for a success. `true`: it was
    /// done.
    Accepted(bool),
    /// Turned away at the door: 429. A Pod never ends so.
    Busy,
    /// Nobody can tell. `true`: it was done.
    Unknown(bool),
    /// Its Pod is deleted by somebody. A request and a deletion never end so. `true`: it was done.
    Vanished(bool),
}

impl Ending {
    /// Every ending.
    pub const ALL: [Self; 11] = [
        Self::Done,
        Self::No,
        Self::Busy,
        Self::Unknown(false),
        Self::Unknown(true),
        Self::Vanished(false),
        Self::Vanished(true),
        Self::Conflict,
        Self::Crash,
        Self::Accepted(false),
        Self::Accepted(true),
    ];

    /// Whether the work is done.
    const fn lands(self) -> bool {
        matches!(
            self,
            Self::Done
                | Self::Crash
                | Self::Unknown(true)
                | Self::Vanished(true)
                | Self::Accepted(true)
        )
    }
}

/// A Pod, or a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trial {
    pub(super) who: Who,
    /// The last part of the idempotency key.
    pub(super) key: i64,
    /// The number of its Pod; `None` for a request.
    pub(super) pod: Option<u32>,
    /// Who hears of the end of a request: the operator's number, while that waits for it.
    pub(super) hears: Option<usize>,
    /// How it ended.
    pub(super) ended: Option<Ending>,
    /// Whether its Pod is being deleted.
    pub(super) stopping: bool,
    /// Whether its Pod was made after somebody deleted an earlier one. An operator that was halted
    /// between its look and its write may then settle the attempt although the later Pod runs: no
    /// version fences the creation of a Pod.
    pub(super) again: bool,
}

impl Trial {
    /// Whether it has not ended.
    pub(super) const fn runs(&self) -> bool {
        self.ended.is_none()
    }

    /// Whether there is a Pod of it.
    pub(super) const fn exists(&self) -> bool {
        self.pod.is_some() && !matches!(self.ended, Some(Ending::Vanished(_)))
    }

    /// Whether it is a request whose answer nobody waits for.
    const fn is_unheard(&self) -> bool {
        self.pod.is_none() && self.hears.is_none()
    }
}

/// What a step really did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Truth {
    /// Whether something that it did is not undone.
    pub in_effect: bool,
    /// Whether its compensation was done.
    pub undone: bool,
    /// Whether its action was done by a program that then crashed, so that its exit code tells
    /// nothing.
    pub(super) crashed: bool,
    /// The key under which its action was done.
    pub(super) done_under: Option<i64>,
    /// The key under which its compensation was done.
    pub(super) undone_under: Option<i64>,
    /// The last key under which its action was refused.
    pub(super) refused_under: Option<i64>,
    /// The last key under which its compensation was refused.
    pub(super) undo_refused_under: Option<i64>,
    /// How many attempts of its action reached the other side.
    pub(super) begun: u16,
    /// How many attempts of its compensation did.
    pub(super) undo_begun: u16,
}

impl Truth {
    pub(super) const fn key_done(&self, direction: Direction) -> Option<i64> {
        match direction {
            Direction::Action => self.done_under,
            Direction::Compensation => self.undone_under,
        }
    }

    pub(super) const fn key_refused(&self, direction: Direction) -> Option<i64> {
        match direction {
            Direction::Action => self.refused_under,
            Direction::Compensation => self.undo_refused_under,
        }
    }
}

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
    let runs = trial.runs() && !children::plays(world, trial.who);
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
        world.processes.iter().flat_map(super::process::Process::to_begin).collect();
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
