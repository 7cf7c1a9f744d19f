//! The wall clock of each replica, and what the replica knows of its clock.
//!
//! # Guarantees
//! A replica decides by the instants that its own wall clock shows, and writes those instants down.
//! Its waits, and the time since it learned something, are measured by the simulated time, as by a
//! monotonic clock. A replica compares its clock with the API server's as the real operator does:
//! when it renews its Lease, by the stamp of the Lease in whole seconds; in between, by its
//! monotonic clock.
//!
//! # Assumptions
//! The API server's clock shows the simulated time. A clock may be wrong or may be set, but it runs
//! at the right speed.
//!
//! # Caveats
//! If no clock is wrong and no clock may be set, nothing is compared: all clocks show the same
//! time. A call takes no time.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::{
    Rules, look,
    sink::Sink,
    state::{
        clock::{Clock, Dated},
        fault::Fault,
        process::Life,
        world::{Who, World},
    },
};
use crate::{
    api::{ActiveAttempt, SagaStatus},
    clock::{between, later},
    coordination::{executor_lease::EVERY, fence::Comparison},
    model::skew::Skew,
};

/// The margin that three things add to the apparent distance of two clocks: the Lease stamp is in
/// whole seconds, clocks may be ahead by a little that is not recorded, and what is recorded is in
/// whole seconds.
const UNSURE: Duration = Duration::from_secs(8);

/// Returns the instant moved by `by`: later if `by` is positive, earlier if it is negative.
fn shifted(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(at)
}

/// Returns whether the clocks differ or may come to differ.
pub(super) fn has_clocks(rules: &Rules) -> bool {
    rules.clocks != [SignedDuration::ZERO; 2]
        || [Fault::SetAhead, Fault::SetBack].iter().any(|fault| rules.fault_kinds.contains(fault))
}

/// Returns how far apart two clocks may ever be or seem to be. The value is zero if all clocks show
/// the same time.
pub(super) fn apart(rules: &Rules) -> Duration {
    if !has_clocks(rules) {
        return Duration::ZERO;
    }
    let wrong = rules.clocks.iter().map(|ahead| ahead.unsigned_abs()).max().unwrap_or_default();
    let set = rules.set_by.saturating_mul(u32::try_from(rules.faults).unwrap_or(u32::MAX));
    wrong.saturating_add(set).saturating_mul(2).saturating_add(UNSURE)
}

pub(super) fn clock(world: &World, number: usize) -> Clock {
    world.clocks.get(number).copied().unwrap_or_default()
}

/// Returns what the wall clock of a replica shows now.
pub(super) fn shown(world: &World, number: usize) -> Timestamp {
    shifted(world.now, clock(world, number).ahead)
}

/// Returns when the wall clock of a replica will show `shown`, unless the clock is set.
pub(super) fn when_shown(world: &World, number: usize, shown: Timestamp) -> Timestamp {
    shifted(shown, -clock(world, number).ahead)
}

/// Returns the latest instant that any clock shows, or would show if no clock had been set back.
pub(super) fn latest_shown(world: &World) -> Timestamp {
    shifted(world.now, world.furthest)
}

/// Returns what a replica knows of the distance between its clock and the API server's.
pub(super) fn skew(world: &World, number: usize) -> Skew {
    if !has_clocks(&world.rules) {
        return Skew::default();
    }
    let Clock { ahead, set } = clock(world, number);
    // The last renewal was just now, or just before the clock was set.
    let (renewed, was_ahead) = set.unwrap_or((world.now, ahead));
    let stamped = Timestamp::from_second(renewed.as_second()).unwrap_or(renewed);
    let at: Instant = look::instant(world, renewed);
    let compared = Comparison::of((shifted(renewed, was_ahead), at), stamped, at);
    compared.skew((shown(world, number), look::instant(world, world.now))).towards_others()
}

/// Sets the clock of the machine of a replica forward or back.
pub(super) fn set_clock(world: &mut World, number: usize, fault: Fault) -> Option<()> {
    let by = SignedDuration::try_from(world.rules.set_by).ok().filter(|by| !by.is_zero())?;
    let (now, down) = (world.now, world.processes.get(number)?.is_down());
    let clock = world.clocks.get_mut(number)?;
    let was_ahead = clock.ahead;
    clock.ahead = was_ahead.saturating_add(if fault == Fault::SetBack { -by } else { by });
    if !down {
        clock.set.get_or_insert((now, was_ahead));
    }
    world.furthest = world.furthest.max(clock.ahead);
    Some(())
}

/// Records that each replica that renews its Lease has compared its clock by now, if it had the
/// time to do so.
pub(super) fn compare_clocks(world: &mut World) {
    let now = world.now;
    for (clock, process) in world.clocks.iter_mut().zip(&world.processes) {
        let renews = !matches!(&process.life, Life::Halted(halted) if halted.how == Fault::Freeze);
        clock.set = clock
            .set
            .filter(|(since, _)| process.is_down() || !renews || between(*since, now) < EVERY);
    }
}

/// Records when the intents of the last write were really decided, if a wrong clock dated them.
pub(super) fn date_intents(world: &mut World, before: &super::Object, ahead: SignedDuration) {
    if !has_clocks(&world.rules) {
        return;
    }
    let object = world.copies.newest();
    world.dated.retain(|dated| object.is_active(dated.who));
    let new = object.active().filter(|(who, _)| !before.is_active(*who));
    let new = new.filter_map(|(who, record)| {
        Some(Dated { who, at: shifted(record.active.as_ref()?.started_at.0, -ahead) })
    });
    world.dated.extend(new);
}

/// Returns when the intent of an attempt was really decided.
pub(super) fn decided(world: &World, who: Who, active: &ActiveAttempt) -> Timestamp {
    world.dated.iter().find(|dated| dated.who == who).map_or(active.started_at.0, |dated| dated.at)
}

/// Returns when an intent was decided in the opinion of a replica, in simulated time. An intent
/// dated in the future counts as decided now.
pub(super) fn thought(world: &World, number: usize, intended: Timestamp) -> Timestamp {
    if !has_clocks(&world.rules) {
        return intended;
    }
    let age = SignedDuration::try_from(between(intended, shown(world, number)))
        .unwrap_or(SignedDuration::MAX);
    world.now.checked_sub(age).unwrap_or(Timestamp::MIN)
}

/// Returns the instants from which an intent is too old for the creation of its child.
pub(super) fn too_old(world: &World) -> impl Iterator<Item = Timestamp> {
    let intents =
        world.object().active().filter_map(|(who, record)| Some((who, record.active.as_ref()?)));
    intents.map(|(who, active)| {
        later(decided(world, who, active), crate::coordination::fence::CREATED_WITHIN)
    })
}

/// Writes the part of a fingerprint that covers the clock of a replica.
pub(super) fn clock_into(world: &World, sink: &mut Sink<'_>, number: usize) {
    if has_clocks(&world.rules) {
        let Clock { ahead, set } = clock(world, number);
        ahead_into(world, sink, ahead);
        ahead_into(world, sink, world.furthest);
        if let Some((since, was_ahead)) = set {
            sink.duration(between(since, world.now).min(EVERY));
            ahead_into(world, sink, was_ahead);
        }
    }
}

pub(super) fn ahead_into(world: &World, sink: &mut Sink<'_>, ahead: SignedDuration) {
    if has_clocks(&world.rules) {
        sink.number(i64::try_from(ahead.as_micros()).unwrap_or(i64::MAX));
    }
}

/// Writes how long ago a clock showed this instant, capped at the time for which it matters.
pub(super) fn shown_into(world: &World, sink: &mut Sink<'_>, at: Timestamp, cap: Duration) {
    let apart = apart(&world.rules);
    sink.duration(
        between(earlier(world, at), world.now).min(cap.saturating_add(apart.saturating_mul(2))),
    );
}

/// Writes how long it takes at most until a clock shows this instant.
pub(super) fn until_shown_into(world: &World, sink: &mut Sink<'_>, at: Timestamp) {
    sink.duration(
        between(world.now, later(at, apart(&world.rules))).saturating_add(Duration::from_micros(1)),
    );
}

/// Writes how long something has lasted. Time during which the saga's clock is stopped does not
/// count.
pub(super) fn stretch_into(
    world: &World,
    sink: &mut Sink<'_>,
    status: &SagaStatus,
    began: Timestamp,
    cap: Duration,
) {
    match &status.clock_stopped_at {
        None => shown_into(world, sink, began, cap),
        Some(stopped) => {
            sink.duration(between(began, stopped.0).min(cap));
            if has_clocks(&world.rules) {
                shown_into(world, sink, stopped.0, Duration::ZERO);
            }
        }
    }
}

/// Writes when an intent was really decided, if the intent may state another instant.
pub(super) fn dated_into(world: &World, sink: &mut Sink<'_>, who: Who, active: &ActiveAttempt) {
    if has_clocks(&world.rules) {
        sink.duration(
            between(decided(world, who, active), world.now)
                .min(crate::coordination::fence::CREATED_WITHIN),
        );
        sink.number(active.clock_ahead_seconds);
        sink.number(active.clock_behind_seconds);
    }
}

/// Returns when a clock that is as far ahead as allowed showed this instant.
fn earlier(world: &World, at: Timestamp) -> Timestamp {
    SignedDuration::try_from(apart(&world.rules)).map_or(at, |apart| shifted(at, -apart))
}
