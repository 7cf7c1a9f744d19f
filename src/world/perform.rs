//! What an operator does to the API server and to the other side, one act after the other.

use std::sync::Arc;

use super::{
    Happened, Who, World,
    gather::pod_uid,
    laws::{self, Broken},
    look::{Act, Cursor, Start},
    object::{Object, as_kept},
    other_side::Trial,
    process::{End, executor_id},
};
use crate::{
    api::{Part, SagaStatus},
    clock::between,
    coordination::fence::{Age, leaves_unread},
    model::saga::Work,
};

impl World {
    /// Does one thing. Returns whether what follows is done, too.
    pub(super) fn carry_out_one(
        &mut self,
        number: usize,
        act: Act,
        cursor: &mut Cursor,
        happened: &mut Vec<Happened>,
        broken: &mut Vec<Broken>,
    ) -> bool {
        if self.object().version == cursor.version {
            laws::act(self, number, &act, broken);
        }
        match act {
            Act::AddFinalizer => {
                self.patch(number, cursor, happened, |object| object.finalizer = true)
            }
            Act::Write(status) => self.record(number, status, cursor, happened, broken),
            Act::RemoveFinalizer { alone } => {
                let removed = self.patch(number, cursor, happened, |object| {
                    object.finalizer = false;
                    object.gone = object.deleting;
                });
                if removed {
                    laws::release(self, broken);
                }
                if self.object().gone {
                    happened.push(Happened::Gone);
                }
                removed || !alone
            }
            Act::Begin(start) => {
                self.begin(number, start, *cursor, happened, broken);
                true
            }
            Act::Stop(who) => {
                self.stop(number, who, happened);
                true
            }
            Act::TakeAway { annotations, handled } => {
                let taken = self.patch(number, cursor, happened, |object| {
                    object.asked.retain(|asked| !annotations.contains(&asked.action));
                    object.handled = handled;
                });
                if taken {
                    happened.push(Happened::TookAway);
                }
                true
            }
            Act::Publish(notice) => {
                happened.push(Happened::Published(notice));
                true
            }
            Act::Sweep => true,
            Act::Delete => {
                self.delete(*cursor, happened);
                true
            }
        }
    }

    /// Writes the status under the version that it was decided on. Returns whether that was still
    /// the newest.
    fn record(
        &mut self,
        number: usize,
        status: Arc<Part<SagaStatus>>,
        cursor: &mut Cursor,
        happened: &mut Vec<Happened>,
        broken: &mut Vec<Broken>,
    ) -> bool {
        let status = as_kept(status);
        let before = self.object().clone();
        let phase = status.as_ref().as_ref().ok().and_then(|status| status.phase);
        let shared = status.as_ref().as_ref().ok().and_then(|status| self.shared(number, status));
        let written = self.patch(number, cursor, happened, |object| {
            (object.status, object.shared) = (status, shared);
        });
        if written {
            cursor.written = Some(self.now);
            self.date_intents(&before, cursor.ahead);
            happened.push(Happened::Wrote { process: number, phase });
            laws::write(self, &before, broken);
            laws::shown(self, number, &before, broken);
        }
        written
    }

    /// Deletes the saga as it was read.
    fn delete(&mut self, cursor: Cursor, happened: &mut Vec<Happened>) {
        if self.object().version == cursor.version && !self.object().gone {
            self.write(|object| {
                object.deleting = true;
                object.gone = !object.finalizer;
            });
            happened.push(Happened::Gone);
        }
    }

    /// A write under the version that the decision was made on. Where another came first, the
    /// operator looks again.
    fn patch(
        &mut self,
        number: usize,
        cursor: &mut Cursor,
        happened: &mut Vec<Happened>,
        change: impl FnOnce(&mut Object),
    ) -> bool {
        let fits = self.object().version == cursor.version && !self.object().gone;
        if fits {
            cursor.version = self.write(change);
        } else {
            happened.push(Happened::Conflict(number));
        }
        if let Some(process) = self.processes.get_mut(number) {
            // The watch brings its own write back; where another one came first, it tries again by
            // itself.
            process.triggered |= !fits || !process.deaf;
            if fits {
                process.floor = cursor.version;
            }
        }
        fits
    }

    /// Anybody writes the object; every operator is told.
    pub(super) fn write(&mut self, change: impl FnOnce(&mut Object)) -> u64 {
        let version = self.copies.write(self.rules.staleness, change);
        self.trigger_all();
        version
    }

    fn begin(
        &mut self,
        number: usize,
        start: Start,
        cursor: Cursor,
        happened: &mut Vec<Happened>,
        broken: &mut Vec<Broken>,
    ) {
        let who = start.who;
        let fresh = leaves_unread(cursor.written.map(|written| between(written, self.now)));
        if !fresh && !self.is_wanted(number, who, start.object) {
            happened.push(Happened::Dropped(who));
            return;
        }
        let step = self.object().saga().steps.get(who.place);
        let Some(operation) = step.and_then(|step| step.operation(who.direction)) else { return };
        match operation.work {
            Work::Http(_) => self.send(number, start, cursor, happened, broken),
            Work::Pod(_)
            | Work::Job(_)
            | Work::Apply(_)
            | Work::Until(_)
            | Work::Saga(_)
            | Work::UndoSaga => {
                self.create(number, start, fresh, happened, broken);
            }
            Work::Delete(_) => self.remove(number, start, fresh, happened, broken),
            // States of the saga: nothing leaves for them.
            Work::Approval(_) | Work::Wait(_) => {}
        }
    }

    /// Whether a live read shows that the attempt is active and that no child of it is known but
    /// the object that it deletes.
    fn is_wanted(&self, number: usize, who: Who, object_to_go: Option<u32>) -> bool {
        let object = self.object();
        let known = object
            .active()
            .find(|(active, _)| *active == who)
            .and_then(|(_, record)| record.active.as_ref());
        !object.gone
            && self.can_read(number)
            && known.is_some_and(|active| active.child_uid == object_to_go.map(pod_uid))
    }

    fn send(
        &mut self,
        number: usize,
        start: Start,
        cursor: Cursor,
        happened: &mut Vec<Happened>,
        broken: &mut Vec<Broken>,
    ) {
        let Start { who, key, intended: _, time_limit, object: _ } = start;
        let now = self.now;
        let Some(process) = self.processes.get_mut(number) else { return };
        if process.executor != cursor.executor {
            // The tenure lapsed since the plan was made.
            process.triggered = true;
            return;
        }
        let id = executor_id(process.executor);
        let known = process.known(who, now);
        if known.flight.is_some() || known.end.is_some() {
            return;
        }
        known.flight = Some(now);
        laws::sends(self, who, key, &id, broken);
        self.count_begun(who);
        self.trials.push(Trial {
            who,
            key,
            pod: None,
            hears: Some(number),
            ended: None,
            stopping: false,
            again: false,
        });
        happened.push(Happened::Began { process: number, who, key, time_limit });
    }

    fn create(
        &mut self,
        number: usize,
        start: Start,
        fresh: bool,
        happened: &mut Vec<Happened>,
        broken: &mut Vec<Broken>,
    ) {
        let Start { who, key, intended, time_limit, object: _ } = start;
        let now = self.now;
        let Some(process) = self.processes.get_mut(number) else { return };
        let known = process.known(who, now);
        let age = Age { intended: between(intended, now), known: between(known.first_read, now) };
        if !age.may_leave(known.refused.is_some()) {
            process.triggered = true;
            happened.push(Happened::Dropped(who));
            return;
        }
        let existing = if self.plays(who) {
            self.number_there(who)
        } else {
            self.trials
                .iter()
                .find(|trial| trial.who == who && trial.exists())
                .and_then(|trial| trial.pod)
        };
        let pod = existing.unwrap_or_else(|| self.made.saturating_add(1));
        let Some(process) = self.processes.get_mut(number) else { return };
        process.known(who, now).child.get_or_insert((now, pod));
        if existing.is_some() {
            happened.push(Happened::Adopted(who));
            process.triggered = true;
            return;
        }
        laws::creates(self, who, key, fresh, broken);
        self.made = pod;
        let before = self.trials.iter().position(|trial| trial.who == who);
        match before {
            // Somebody deleted the one before it.
            Some(place) => drop(self.trials.remove(place)),
            None => self.count_begun(who),
        }
        self.trials.push(Trial {
            who,
            key,
            pod: Some(pod),
            hears: None,
            ended: None,
            stopping: false,
            again: before.is_some(),
        });
        happened.push(Happened::Began { process: number, who, key, time_limit });
        if self.plays(who) {
            return self.make(number, &start, pod);
        }
        // The watch tells everybody.
        self.trigger_all();
    }

    /// Deletes an object under its UID: what was made again since is not touched.
    fn remove(
        &mut self,
        number: usize,
        start: Start,
        fresh: bool,
        happened: &mut Vec<Happened>,
        broken: &mut Vec<Broken>,
    ) {
        let Start { who, key, intended: _, time_limit, object } = start;
        let (now, standing) = (self.now, self.standing(who));
        let Some(process) = self.processes.get_mut(number) else { return };
        process.triggered = true;
        let Some(object) = object.filter(|object| *object == standing) else { return };
        process.known(who, now).refused = None;
        process.known(who, now).child.get_or_insert((now, object));
        if self.trials.iter().any(|trial| trial.who == who && trial.pod == Some(object)) {
            happened.push(Happened::Adopted(who));
            return;
        }
        laws::deletes(self, who, key, fresh, object, broken);
        self.count_begun(who);
        self.trials.push(Trial {
            who,
            key,
            pod: Some(object),
            hears: None,
            ended: None,
            stopping: false,
            again: false,
        });
        happened.push(Happened::Began { process: number, who, key, time_limit });
        self.trigger_all();
    }

    fn count_begun(&mut self, who: Who) {
        let Some(truth) = self.truth.get_mut(who.place) else { return };
        let count = match who.direction {
            crate::api::Direction::Action => &mut truth.begun,
            crate::api::Direction::Compensation => &mut truth.undo_begun,
        };
        *count = count.saturating_add(1);
    }

    /// Ends an attempt that is past its time.
    fn stop(&mut self, number: usize, who: Who, happened: &mut Vec<Happened>) {
        let (now, wanted) = (
            self.now,
            self.object().is_active(who) && !self.object().gone && self.can_read(number),
        );
        let Some(process) = self.processes.get_mut(number) else { return };
        let known = process.known(who, now);
        if known.flight.take().is_some() {
            known.end.get_or_insert(End::Aborted);
            process.triggered = true;
            for trial in self
                .trials
                .iter_mut()
                .filter(|trial| trial.who == who && trial.hears == Some(number))
            {
                trial.hears = None;
            }
            happened.push(Happened::Stopped(who));
            return;
        }
        if self.plays(who) {
            _ = self.stop_child(number, who, happened);
            return;
        }
        if let Some(trial) = self
            .trials
            .iter_mut()
            .find(|trial| trial.who == who && trial.exists() && trial.runs() && wanted)
        {
            if !trial.stopping {
                happened.push(Happened::Stopped(who));
                self.trigger_all();
            }
            if let Some(trial) = self.trials.iter_mut().find(|trial| trial.who == who) {
                trial.stopping = true;
            }
        }
    }
}
