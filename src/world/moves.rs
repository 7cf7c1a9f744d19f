//! What may happen next, and what it leads to.

use jiff::Timestamp;

use super::{
    Ask, Ending, Fault, Halt, Happened, Step, Turn, Who, World, laws, look::Look, process::Life,
};
use crate::{
    clock::{between, later},
    coordination::{
        executor_lease::{HOLDS_FOR, TERM},
        fence::FRESH,
    },
};

/// One thing that may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// An operator looks at the saga.
    Look {
        /// The operator's number, from 0.
        process: usize,
        /// How many versions old the copy is that it decides from.
        staleness: usize,
        /// Where in the look a fault halts it.
        halt: Option<Halt>,
    },
    /// A fault between two looks: any but [`Fault::Stall`] and [`Fault::Refuse`].
    Strike {
        /// The operator's number.
        process: usize,
        /// What happens to it.
        fault: Fault,
    },
    /// An operator that was frozen or stalled goes on where it stood.
    Resume(usize),
    /// An operator whose watches broke lists all again.
    Relist(usize),
    /// Another process starts in the place of one that crashed.
    Restart(usize),
    /// An attempt ends at the other side.
    End {
        /// The attempt.
        who: Who,
        /// How.
        ending: Ending,
    },
    /// A person does something.
    Ask(Ask),
    /// Somebody does something to a child, or it does something itself.
    Turn(Turn),
    /// Somebody makes the object again that this attempt deleted.
    Remake(Who),
    /// The clock goes on, at most to the next instant at which something is due.
    Tick(Timestamp),
}

impl World {
    /// Everything that may happen next.
    #[must_use]
    pub fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        self.expand(&mut |next, _| moves.push(next));
        moves
    }

    /// What a move leads to; `None` where it cannot happen.
    #[must_use]
    pub fn apply(&self, next: &Move) -> Option<Step> {
        let mut step = Step { world: self.clone(), happened: Vec::new(), broken: Vec::new() };
        let Step { world, happened, broken } = &mut step;
        match *next {
            Move::Look { process, staleness, halt } => {
                if halt.is_some_and(|halt| {
                    !Fault::HALTS.contains(&halt.how) || !world.may_happen(halt.how)
                }) {
                    return None;
                }
                let look = world.decide(process, staleness, broken)?;
                if halt.is_some_and(|halt| halt.after >= look.length()) {
                    return None;
                }
                world.carry_out(process, look, halt, happened, broken)?;
            }
            Move::Strike { process, fault } => world.strike(process, fault)?,
            Move::Resume(process) => world.resume(process, happened, broken)?,
            Move::Relist(process) => world.relist(process)?,
            Move::Restart(process) => world.restart(process)?,
            Move::End { who, ending } => world.end(who, ending, happened, broken)?,
            Move::Turn(turn) => world.turn(turn, happened, broken)?,
            Move::Ask(ask) => {
                world.ask(ask)?;
                happened.push(Happened::Asked(ask));
            }
            Move::Remake(who) => world.remake(who)?,
            Move::Tick(until) => {
                let due = world.due()?;
                happened.push(Happened::Passed(between(world.now, until)));
                world.tick(until, due)?;
            }
        }
        Some(step.settled())
    }

    /// Calls `visit` with everything that may happen next and what it leads to.
    pub fn expand(&self, visit: &mut dyn FnMut(Move, Step)) {
        for (number, process) in self.processes.iter().enumerate() {
            match process.life {
                Life::Up => {
                    if process.deaf {
                        self.visit(Move::Relist(number), visit);
                    }
                    for staleness in 0..=self.rules.staleness {
                        self.expand_look(number, staleness, visit);
                    }
                }
                Life::Halted(_) => self.visit(Move::Resume(number), visit),
                Life::Down => self.visit(Move::Restart(number), visit),
            }
            for fault in self.rules.fault_kinds.iter().filter(|fault| self.may_happen(**fault)) {
                self.visit(Move::Strike { process: number, fault: *fault }, visit);
            }
        }
        for trial in &self.trials {
            for ending in self.endings(trial) {
                self.visit(Move::End { who: trial.who, ending }, visit);
            }
        }
        for turn in self.turns() {
            self.visit(Move::Turn(turn), visit);
        }
        for trial in &self.trials {
            self.visit(Move::Remake(trial.who), visit);
        }
        for ask in self.asks() {
            self.visit(Move::Ask(ask), visit);
        }
        if let Some(due) = self.due() {
            self.visit(Move::Tick(due), visit);
        }
    }

    fn visit(&self, next: Move, visit: &mut dyn FnMut(Move, Step)) {
        if let Some(step) = self.apply(&next) {
            visit(next, step);
        }
    }

    /// One look, carried out, and halted at every point at which it can be. It is decided once.
    fn expand_look(&self, process: usize, staleness: usize, visit: &mut dyn FnMut(Move, Step)) {
        if !self.may_look(process, staleness) {
            return;
        }
        let mut decided = Step { world: self.clone(), happened: Vec::new(), broken: Vec::new() };
        let Some(look) = decided.world.decide(process, staleness, &mut decided.broken) else {
            return;
        };
        let length = look.length();
        let mut go = |decided: Step, look: Look, halt: Option<Halt>| {
            let Step { mut world, mut happened, mut broken } = decided;
            if world.carry_out(process, look, halt, &mut happened, &mut broken).is_some() {
                visit(
                    Move::Look { process, staleness, halt },
                    Step { world, happened, broken }.settled(),
                );
            }
        };
        for how in Fault::HALTS.into_iter().filter(|how| self.may_happen(*how)) {
            // To crash before the first write is to crash before the look.
            for after in usize::from(how == Fault::Crash)..length {
                go(decided.clone(), look.clone(), Some(Halt { how, after }));
            }
        }
        go(decided, look, None);
    }

    /// What happens where nothing goes wrong any more and nobody asks for anything: operators go
    /// on, look at the newest copy, attempts end well, then the clock goes on, and at last who
    /// hears of nothing lists all again. `None` where the world rests.
    #[must_use]
    pub fn fair_move(&self) -> Option<Move> {
        for (number, process) in self.processes.iter().enumerate() {
            match process.life {
                Life::Halted(_) => return Some(Move::Resume(number)),
                Life::Down => return Some(Move::Restart(number)),
                Life::Up => {}
            }
        }
        if let Some(process) = (0..self.processes.len()).find(|process| self.may_look(*process, 0))
        {
            return Some(Move::Look { process, staleness: 0, halt: None });
        }
        if let Some(turn) = self.fair_turn() {
            return Some(Move::Turn(turn));
        }
        let ends = self.trials.iter().filter_map(|trial| {
            let stopped = |ending: &Ending| {
                trial.stopping && matches!(ending, Ending::Vanished(_) | Ending::Unknown(_))
            };
            let ending =
                self.endings(trial).find(stopped).or_else(|| self.endings(trial).next())?;
            Some(Move::End { who: trial.who, ending })
        });
        let deaf = || self.processes.iter().position(|process| process.deaf).map(Move::Relist);
        // At last: what no watch tells, a timer does.
        ends.into_iter().next().or_else(|| self.due().map(Move::Tick)).or_else(deaf)
    }

    /// The next instant at which something is due; `None` while an operator still has something to
    /// look at, and where nothing is due.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        if self.object().gone
            || self.is_busy()
            || self.is_prompt()
            || (!self.rules.attempts_last && self.under_way().next().is_some())
        {
            return None;
        }
        let wakes = self
            .processes
            .iter()
            .filter(|process| process.is_up())
            .filter_map(|process| process.wake);
        wakes.chain(self.fences()).filter(|at| *at > self.now).min()
    }

    /// The instants at which it begins to matter that an operator stands still.
    fn fences(&self) -> Vec<Timestamp> {
        let mut fences = Vec::new();
        for process in &self.processes {
            match &process.life {
                Life::Up => continue,
                Life::Halted(halted) => {
                    fences.extend([FRESH, HOLDS_FOR, TERM].map(|wait| later(halted.since, wait)));
                }
                Life::Down => {
                    let lapsed =
                        self.executors.get(process.executor).and_then(|executor| executor.lapsed);
                    fences.extend(lapsed.map(|lapsed| later(lapsed, TERM)));
                }
            }
            fences.extend(self.too_old());
        }
        fences
    }

    pub(super) fn tick(&mut self, until: Timestamp, due: Timestamp) -> Option<()> {
        if until <= self.now || until > due {
            return None;
        }
        self.now = until;
        self.compare_clocks();
        for process in self.processes.iter_mut().filter(|process| process.is_up()) {
            process.triggered |= process.wake.is_some_and(|wake| wake <= until);
        }
        Some(())
    }
}

impl Step {
    /// The step after what does not matter any more is forgotten, and after a look at what must
    /// hold of every world.
    pub(super) fn settled(mut self) -> Self {
        let Self { world, broken, .. } = &mut self;
        let read =
            [1, 2].map(|back| world.copies.back(back).is_some_and(|copy| world.may_be_read(copy)));
        world.copies.forget(read);
        world.forget_trials();
        world.forget_children();
        laws::world(world, broken);
        self
    }
}
