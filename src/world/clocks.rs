//! The wall clock of each operator, and what its operator knows of it.
//!
//! # Guarantees
//! What an operator decides by, and writes down, are the instants that its own wall clock shows.
//! How long it waits, and for how long it knows something, is by the time of the world, as by a
//! monotonic clock. An operator compares its clock with the API server's as the real one does: by
//! the stamp of its Lease, in whole seconds, when it renews that; in between, by its monotonic
//! clock.
//!
//! # Assumptions
//! The API server's clock is the time of the world. A clock is wrong or is set, but runs at the
//! right pace.
//!
//! # Caveats
//! Where no clock is wrong and none may be set, nothing is compared: all clocks are one. A call
//! takes no time.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::{Fault, Rules, Who, World, process::Life, sink::Sink};
use crate::{
    api::{ActiveAttempt, SagaStatus},
    clock::{between, later},
    coordination::{executor_lease::EVERY, fence::Comparison},
    model::skew::Skew,
};

/// What the stamp in whole seconds, what clocks may be ahead untold, and what is told in whole
/// seconds add to how far apart two clocks seem.
const UNSURE: Duration = Duration::from_secs(8);

/// The wall clock of the machine that an operator runs on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    /// By how much it is ahead of the time of the world; negative where it is behind.
    pub(super) ahead: SignedDuration,
    /// Since when it is set otherwise than at the last renewal of the Lease, and by how much it was
    /// ahead then.
    pub(super) set: Option<(Timestamp, SignedDuration)>,
}

/// When an intent was really decided that a clock dated which is wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dated {
    pub(super) who: Who,
    pub(super) at: Timestamp,
}

/// An instant so much later, or earlier.
fn shifted(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(at)
}

impl Rules {
    /// Whether clocks differ, or may.
    pub(super) fn has_clocks(&self) -> bool {
        self.clocks != [SignedDuration::ZERO; 2]
            || [Fault::SetAhead, Fault::SetBack]
                .iter()
                .any(|fault| self.fault_kinds.contains(fault))
    }

    /// How far apart two clocks may ever be, or seem to be. Zero where they are one.
    pub(super) fn apart(&self) -> Duration {
        if !self.has_clocks() {
            return Duration::ZERO;
        }
        let wrong = self.clocks.iter().map(|ahead| ahead.unsigned_abs()).max().unwrap_or_default();
        let set = self.set_by.saturating_mul(u32::try_from(self.faults).unwrap_or(u32::MAX));
        wrong.saturating_add(set).saturating_mul(2).saturating_add(UNSURE)
    }
}

impl World {
    pub(super) fn clock(&self, number: usize) -> Clock {
        self.clocks.get(number).copied().unwrap_or_default()
    }

    /// What an operator's wall clock shows now.
    pub(super) fn shown(&self, number: usize) -> Timestamp {
        shifted(self.now, self.clock(number).ahead)
    }

    /// When an operator's wall clock will show this, unless it is set.
    pub(super) fn when_shown(&self, number: usize, shown: Timestamp) -> Timestamp {
        shifted(shown, -self.clock(number).ahead)
    }

    /// The latest instant that any clock shows, or showed but for what went by since.
    pub(super) fn latest_shown(&self) -> Timestamp {
        shifted(self.now, self.furthest)
    }

    /// What an operator knows of how far its clock may be from that of the API server.
    pub(super) fn skew(&self, number: usize) -> Skew {
        if !self.rules.has_clocks() {
            return Skew::default();
        }
        let Clock { ahead, set } = self.clock(number);
        // The last renewal was just now, or just before the clock was set.
        let (renewed, was_ahead) = set.unwrap_or((self.now, ahead));
        let stamped = Timestamp::from_second(renewed.as_second()).unwrap_or(renewed);
        let at: Instant = self.instant(renewed);
        let compared = Comparison::of((shifted(renewed, was_ahead), at), stamped, at);
        compared.skew((self.shown(number), self.instant(self.now))).towards_others()
    }

    /// Sets the clock of an operator's machine.
    pub(super) fn set_clock(&mut self, number: usize, fault: Fault) -> Option<()> {
        let by = SignedDuration::try_from(self.rules.set_by).ok().filter(|by| !by.is_zero())?;
        let (now, down) = (self.now, self.processes.get(number)?.is_down());
        let clock = self.clocks.get_mut(number)?;
        let was_ahead = clock.ahead;
        clock.ahead = was_ahead.saturating_add(if fault == Fault::SetBack { -by } else { by });
        if !down {
            clock.set.get_or_insert((now, was_ahead));
        }
        self.furthest = self.furthest.max(clock.ahead);
        Some(())
    }

    /// Every operator that renews its Lease has done so by now, where it had the time to.
    pub(super) fn compare_clocks(&mut self) {
        let now = self.now;
        for (clock, process) in self.clocks.iter_mut().zip(&self.processes) {
            let renews =
                !matches!(&process.life, Life::Halted(halted) if halted.how == Fault::Freeze);
            clock.set = clock
                .set
                .filter(|(since, _)| process.is_down() || !renews || between(*since, now) < EVERY);
        }
    }

    /// Notes when the intents were really decided that an operator has just written which dated
    /// them wrongly.
    pub(super) fn date_intents(&mut self, before: &super::Object, ahead: SignedDuration) {
        if !self.rules.has_clocks() {
            return;
        }
        let object = self.copies.newest();
        self.dated.retain(|dated| object.is_active(dated.who));
        let new = object.active().filter(|(who, _)| !before.is_active(*who));
        let new = new.filter_map(|(who, record)| {
            Some(Dated { who, at: shifted(record.active.as_ref()?.started_at.0, -ahead) })
        });
        self.dated.extend(new);
    }

    /// When the intent of an attempt was really decided.
    pub(super) fn decided(&self, who: Who, active: &ActiveAttempt) -> Timestamp {
        self.dated
            .iter()
            .find(|dated| dated.who == who)
            .map_or(active.started_at.0, |dated| dated.at)
    }

    /// For how long ago an operator thinks that an intent was decided, as an instant of the world's
    /// time. An intent from the future is as old as one that was decided just now.
    pub(super) fn thought(&self, number: usize, intended: Timestamp) -> Timestamp {
        if !self.rules.has_clocks() {
            return intended;
        }
        let age = SignedDuration::try_from(between(intended, self.shown(number)))
            .unwrap_or(SignedDuration::MAX);
        self.now.checked_sub(age).unwrap_or(Timestamp::MIN)
    }

    /// The instants after which an intent is too old for its child to be made.
    pub(super) fn too_old(&self) -> impl Iterator<Item = Timestamp> {
        let intents =
            self.object().active().filter_map(|(who, record)| Some((who, record.active.as_ref()?)));
        intents.map(|(who, active)| {
            later(self.decided(who, active), crate::coordination::fence::CREATED_WITHIN)
        })
    }
}

/// What counts of clocks and of the instants that they showed where one world is told from another.
impl World {
    pub(super) fn clock_into(&self, sink: &mut Sink<'_>, number: usize) {
        if self.rules.has_clocks() {
            let Clock { ahead, set } = self.clock(number);
            self.ahead_into(sink, ahead);
            self.ahead_into(sink, self.furthest);
            if let Some((since, was_ahead)) = set {
                sink.duration(between(since, self.now).min(EVERY));
                self.ahead_into(sink, was_ahead);
            }
        }
    }

    pub(super) fn ahead_into(&self, sink: &mut Sink<'_>, ahead: SignedDuration) {
        if self.rules.has_clocks() {
            sink.number(i64::try_from(ahead.as_micros()).unwrap_or(i64::MAX));
        }
    }

    /// For how long ago a clock showed this, for as long as it matters.
    pub(super) fn shown_into(&self, sink: &mut Sink<'_>, at: Timestamp, cap: Duration) {
        let apart = self.rules.apart();
        sink.duration(
            between(self.earlier(at), self.now).min(cap.saturating_add(apart.saturating_mul(2))),
        );
    }

    /// How long it takes until any clock shows this.
    pub(super) fn until_shown_into(&self, sink: &mut Sink<'_>, at: Timestamp) {
        sink.duration(
            between(self.now, later(at, self.rules.apart()))
                .saturating_add(Duration::from_micros(1)),
        );
    }

    /// For how long something has lasted that does not last on while the saga's clock stands still.
    pub(super) fn stretch_into(
        &self,
        sink: &mut Sink<'_>,
        status: &SagaStatus,
        began: Timestamp,
        cap: Duration,
    ) {
        match &status.clock_stopped_at {
            None => self.shown_into(sink, began, cap),
            Some(stopped) => {
                sink.duration(between(began, stopped.0).min(cap));
                if self.rules.has_clocks() {
                    self.shown_into(sink, stopped.0, Duration::ZERO);
                }
            }
        }
    }

    /// When an intent was really decided, where that is another instant than the one that it says.
    pub(super) fn dated_into(&self, sink: &mut Sink<'_>, who: Who, active: &ActiveAttempt) {
        if self.rules.has_clocks() {
            sink.duration(
                between(self.decided(who, active), self.now)
                    .min(crate::coordination::fence::CREATED_WITHIN),
            );
            sink.number(active.clock_ahead_seconds);
            sink.number(active.clock_behind_seconds);
        }
    }

    /// The instant at which a clock that is as far ahead as may be showed this.
    fn earlier(&self, at: Timestamp) -> Timestamp {
        SignedDuration::try_from(self.rules.apart()).map_or(at, |apart| shifted(at, -apart))
    }
}
