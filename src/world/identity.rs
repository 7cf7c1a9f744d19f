//! When two worlds are the same world.
//!
//! # Guarantees
//! Worlds with equal fingerprints have the same future: instants count only relative to now and as long as they can still matter, versions
//! only relative to each other, ids only by whose they are, and operators are alike: which of the two it happened to does not count.
//!
//! # Caveats
//! Texts do not count: messages, reasons, the history of attempts. 128 bits, not proof against a forger.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Ask, Fault, Object, Who, World,
    gather::pod_uid,
    look::{Act, Cursor, Start},
    object::active_in,
    other_side::{Ending, Trial},
    process::{End, Halted, Known, Life, Process, executor_id},
    sink::Sink,
};
use crate::{
    api::{Direction, DirectionStatus, RequestRecord, SagaStatus, StepStatus},
    engine::{
        clock::between,
        fence::CREATED_WITHIN,
        lease::TERM,
        saga::{Operation, Work},
    },
};

/// After this long it does not matter any more for how long a Pod is known.
const NOTED: Duration = Duration::from_secs(2);

impl World {
    /// What tells this world from others.
    #[must_use]
    pub fn fingerprint(&self) -> u128 {
        match *self.processes.as_slice() {
            [_, _] => self.seen_from(&[0, 1]).min(self.seen_from(&[1, 0])),
            _ => self.seen_from(&[0]),
        }
    }

    /// The world with its operators in this order.
    fn seen_from(&self, order: &[usize]) -> u128 {
        let mut sink = Sink::new(order);
        self.object_into(&mut sink, self.object());
        for back in 1..=2 {
            // A copy that nobody may decide from any more does not count.
            match self.copies.back(back).filter(|copy| self.may_be_read(copy)) {
                Some(copy) => self.object_into(&mut sink, copy),
                None => sink.put(0),
            }
        }
        for number in order {
            if let Some(process) = self.processes.get(*number) {
                self.process_into(&mut sink, process);
            }
            self.clock_into(&mut sink, *number);
            self.version_into(&mut sink, *number);
        }
        let mut trials: Vec<_> = self.trials.iter().collect();
        trials.sort_unstable_by_key(|trial| trial.who);
        for trial in trials {
            Self::trial_into(&mut sink, trial);
        }
        for truth in &self.truth {
            let done = [truth.done_under, truth.undone_under, truth.refused_under, truth.undo_refused_under]
                .map(|key| key.map_or(0, |key| key.saturating_add(1)));
            sink.put(u64::from(truth.in_effect) | u64::from(truth.undone) << 1 | u64::from(truth.crashed) << 2);
            sink.numbers(&done);
            sink.put(u64::from(truth.begun) << 16 | u64::from(truth.undo_begun));
        }
        for [action, undo] in self.remade.iter().filter(|_| self.rules.remakes > 0) {
            sink.put(u64::from(*action) << 32 | u64::from(*undo));
        }
        for ask in &self.asked {
            ask_into(&mut sink, *ask);
        }
        for fault in &self.faults {
            sink.put(fault_number(*fault));
        }
        sink.sum()
    }

    fn age(&self, sink: &mut Sink<'_>, at: Timestamp, cap: Duration) {
        sink.duration(between(at, self.now).min(cap));
    }

    fn object_into(&self, sink: &mut Sink<'_>, object: &Object) {
        let flags = [object.deleting, object.finalizer, object.gone, object.saga().suspend];
        sink.flags(&flags);
        sink.put(self.object().version.saturating_sub(object.version));
        for asked in &object.asked {
            sink.put(asked.action as u64);
            sink.put(asked.value.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(257).wrapping_add(byte.into())));
        }
        sink.count(object.asked.len());
        self.status_into(sink, object);
        Self::shared_into(sink, object);
    }

    fn status_into(&self, sink: &mut Sink<'_>, object: &Object) {
        let status = object.status();
        sink.put(status.phase.map_or(0, |phase| phase as u64 + 1));
        sink.flag(status.observed_generation == Some(object.generation));
        sink.flag(status.compensation_requested.is_some());
        sink.flag(status.clock_stopped_at.is_some());
        sink.flag(status.paused.is_some());
        sink.flag(status.cancel_requested.is_some());
        sink.flag(status.timed_out_at.is_some());
        if let (Some(timeout), Some(began)) = (object.saga().timeout, &status.timeout_started_at) {
            self.stretch_into(sink, status, began.0, timeout);
        }
        if let (Some(ttl), Some(completed)) = (object.saga().ttl, &status.completed_at) {
            self.shown_into(sink, completed.0, ttl.max(CREATED_WITHIN));
        }
        sink.number(status.retry_requests);
        sink.count(status.handled_tokens.len());
        let records = |record: &RequestRecord| [record.action as u64, record.result as u64, u64::from(record.number > object.handled)];
        status.requests.iter().flat_map(records).for_each(|word| sink.put(word));
        for (place, step) in status.steps.iter().enumerate() {
            self.step_into(sink, object, status, place, step);
        }
        sink.count(status.steps.len());
    }

    fn step_into(&self, sink: &mut Sink<'_>, object: &Object, status: &SagaStatus, place: usize, step: &StepStatus) {
        sink.put(step.phase as u64);
        sink.flag(step.retry_requested);
        match &step.next_attempt_at {
            Some(next) => self.until_shown_into(sink, next.0),
            None => sink.put(0),
        }
        let valid = object.saga().steps.get(place);
        for direction in [Direction::Action, Direction::Compensation] {
            let operation = valid.and_then(|valid| valid.operation(direction));
            match step.direction(direction).zip(operation) {
                Some((record, operation)) => {
                    self.record_into(sink, status, Who { place, direction, number: record.attempt }, record, operation);
                }
                None => sink.put(0),
            }
        }
    }

    fn record_into(&self, sink: &mut Sink<'_>, status: &SagaStatus, who: Who, record: &DirectionStatus, operation: &Operation) {
        sink.numbers(&[record.attempt, record.budget_used, record.failures, record.disruptions, record.called_off]);
        let flags = [record.begun, record.uncertain, record.request_hash.is_some(), record.active.is_some()];
        sink.flags(&flags);
        sink.put(record.last_outcome.map_or(0, |outcome| outcome as u64 + 1));
        let actions = status.steps.iter().filter_map(|step| step.action.as_ref()?.sequence);
        sink.count(record.sequence.map_or(0, |own| actions.filter(|other| *other < own).count() + 1));
        if let Some((deadline, began)) = operation.retry.deadline.zip(record.budget_started_at.as_ref()) {
            self.stretch_into(sink, status, began.0, deadline);
        }
        let Some(active) = &record.active else { return };
        self.shown_into(sink, active.started_at.0, Self::matters_for(operation));
        self.dated_into(sink, who, active);
        let made = self.trials.iter().find(|trial| trial.who == who).and_then(|trial| trial.pod);
        let pod = made.or_else(|| operation.deletes().then(|| self.standing(who))).map(pod_uid);
        sink.put(active.child_uid.as_ref().map_or(0, |uid| if pod.as_ref() == Some(uid) { 1 } else { 2 }));
        if let Some(executor) = &active.executor {
            self.executor_into(sink, executor);
        }
    }

    /// For how long the instant of an intent can matter.
    fn matters_for(operation: &Operation) -> Duration {
        match operation.work {
            Work::Wait(duration) => duration.min(operation.timeout),
            Work::Approval(_) if operation.timeout == Duration::MAX => Duration::ZERO,
            Work::Approval(_) => operation.timeout,
            Work::Pod(_)
            | Work::Job(_)
            | Work::Http(_)
            | Work::Apply(_)
            | Work::Delete(_)
            | Work::Until(_)
            | Work::Saga(_)
            | Work::UndoSaga => CREATED_WITHIN.max(operation.timeout.saturating_add(NOTED)),
        }
    }

    /// Whose id it is, and for how long it has not been renewed.
    fn executor_into(&self, sink: &mut Sink<'_>, id: &str) {
        let order = sink.order();
        for process in order.iter().filter_map(|number| self.processes.get(*number)) {
            let whose = [executor_id(process.executor) == id, process.former.iter().any(|former| executor_id(*former) == id)];
            sink.flags(&whose);
        }
        let lapsed =
            self.executors.iter().enumerate().find(|(number, _)| executor_id(*number) == id).and_then(|(_, executor)| executor.lapsed);
        match lapsed {
            Some(lapsed) => self.age(sink, lapsed, TERM),
            None => sink.put(u64::MAX),
        }
    }

    fn process_into(&self, sink: &mut Sink<'_>, process: &Process) {
        sink.put(u64::from(process.triggered) | u64::from(process.deaf) << 1);
        sink.put(self.object().version.saturating_sub(process.floor).min(3));
        match process.wake.filter(|_| process.is_up() || matches!(process.life, Life::Halted(_))) {
            Some(wake) => sink.duration(between(self.now, wake).saturating_add(Duration::from_micros(1))),
            None => sink.put(0),
        }
        match &process.life {
            Life::Up => sink.put(0),
            Life::Down => sink.put(1),
            Life::Halted(halted) => self.halted_into(sink, halted, process),
        }
        let mut memory: Vec<_> = process.memory.iter().collect();
        memory.sort_unstable_by_key(|known| known.who);
        for known in memory {
            self.known_into(sink, known, process);
        }
        sink.count(process.memory.len());
    }

    fn halted_into(&self, sink: &mut Sink<'_>, halted: &Halted, process: &Process) {
        let Halted { since, how, rest, cursor: Cursor { version, written, executor, ahead } } = halted;
        sink.put(fault_number(*how).saturating_add(2));
        self.age(sink, *since, TERM);
        sink.put(self.object().version.saturating_sub(*version).min(9));
        sink.flag(*executor == process.executor);
        self.ahead_into(sink, *ahead);
        match written {
            Some(written) => self.age(sink, *written, NOTED),
            None => sink.put(u64::MAX),
        }
        sink.count(rest.len());
        for act in rest {
            match act {
                Act::AddFinalizer => sink.put(1),
                Act::Write(status) => {
                    sink.put(2);
                    if let Ok(status) = status.as_ref() {
                        self.drafted_into(sink, status);
                    }
                }
                Act::RemoveFinalizer { alone } => sink.put(if *alone { 3 } else { 4 }),
                Act::Begin(Start { who, key, intended, time_limit: _, object }) => {
                    sink.put(5);
                    sink.put(object.map_or(0, |object| u64::from(object) + 1));
                    sink.who(*who);
                    sink.number(*key);
                    self.age(sink, *intended, CREATED_WITHIN);
                }
                Act::Stop(who) => {
                    sink.put(6);
                    sink.who(*who);
                }
                Act::TakeAway { handled, .. } => {
                    sink.put(7);
                    sink.number(handled.saturating_sub(self.object().handled));
                }
                Act::Delete => sink.put(8),
                Act::Publish(_) | Act::Sweep => {}
            }
        }
    }

    /// A status that is still to be written: it counts only where it can be.
    fn drafted_into(&self, sink: &mut Sink<'_>, status: &SagaStatus) {
        let object = Object { status: std::sync::Arc::new(Ok(status.clone())), ..self.object().clone() };
        self.status_into(sink, &object);
        sink.count(active_in(status).count());
    }

    fn known_into(&self, sink: &mut Sink<'_>, known: &Known, process: &Process) {
        let Known { who, first_read, child, refused, flight, end } = known;
        sink.who(*who);
        sink.flag(flight.is_some());
        let valid = self.object().saga().steps.get(who.place).and_then(|step| step.operation(who.direction));
        let sender =
            self.object().active().find(|(active, _)| active == who).and_then(|(_, record)| record.active.as_ref()?.executor.clone());
        let is_ours = sender.is_some_and(|sender| sender == executor_id(process.executor));
        let cap = match valid.map(|operation| (&operation.work, operation.timeout)) {
            Some((Work::Http(_), _)) if is_ours => Duration::ZERO,
            Some((Work::Http(_), timeout)) => timeout.saturating_add(CREATED_WITHIN),
            Some(_) | None => CREATED_WITHIN,
        };
        self.age(sink, *first_read, cap);
        match refused {
            Some(until) => sink.duration(between(self.now, *until).saturating_add(Duration::from_micros(1))),
            None => sink.put(0),
        }
        match child {
            Some((since, pod)) => {
                self.age(sink, *since, NOTED);
                let same = self.trials.iter().any(|trial| trial.who == *who && trial.pod == Some(*pod));
                sink.put(if same { 1 } else { 2 });
            }
            None => sink.put(3),
        }
        sink.put(match end {
            None => 0,
            Some(End::Aborted) => 1,
            Some(End::CalledOff) => 2,
            Some(End::Answered(ending)) => 3 + ending_number(*ending),
        });
    }

    fn trial_into(sink: &mut Sink<'_>, trial: &Trial) {
        sink.who(trial.who);
        sink.number(trial.key);
        sink.flag(trial.pod.is_some());
        sink.flag(trial.stopping);
        sink.flag(trial.again);
        let hears = trial.hears.and_then(|process| sink.order().iter().position(|number| *number == process));
        sink.count(hears.map_or(0, |place| place + 1));
        sink.put(trial.ended.map_or(0, |ending| 1 + ending_number(ending)));
    }
}

const fn ending_number(ending: Ending) -> u64 {
    match ending {
        Ending::Done => 0,
        Ending::No => 1,
        Ending::Busy => 2,
        Ending::Unknown(landed) => 3 + landed as u64,
        Ending::Vanished(landed) => 5 + landed as u64,
        Ending::Conflict => 7,
        Ending::Crash => 8,
        Ending::Accepted(landed) => 9 + landed as u64,
    }
}

const fn fault_number(fault: Fault) -> u64 {
    match fault {
        Fault::Crash => 0,
        Fault::Freeze => 1,
        Fault::Stall => 2,
        Fault::Lapse => 3,
        Fault::Refuse => 4,
        Fault::SetAhead => 5,
        Fault::SetBack => 6,
        Fault::Deafen => 7,
    }
}

fn ask_into(sink: &mut Sink<'_>, ask: Ask) {
    match ask {
        Ask::Request(action, step) => {
            sink.put(action as u64);
            sink.count(step.map_or(0, |step| step + 1));
        }
        Ask::Suspend => sink.put(100),
        Ask::Unsuspend => sink.put(101),
        Ask::Delete => sink.put(102),
    }
}
