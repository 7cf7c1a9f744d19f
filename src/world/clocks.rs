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

use super::state::{
    attempt::AttemptRef,
    clock::{Clock, Dated},
    fault::ReplicaFault,
    object::SagaObject,
    replica::Life,
    rules::Rules,
    world::World,
};
use crate::{
    api::ActiveAttempt,
    clock::{between, later},
    coordination::{
        executor_lease::EVERY,
        fence::{CREATED_WITHIN, Comparison},
    },
    model::skew::Skew,
};

/// The margin that three things add to the apparent distance of two clocks: the Lease stamp is in
/// whole seconds, clocks may be ahead by a little that is not recorded, and what is recorded is in
/// whole seconds.
const UNSURE: Duration = Duration::from_secs(8);

/// Returns the instant moved by `by`: later if `by` is positive, earlier if it is negative.
pub(super) fn shifted(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(at)
}

/// Returns whether the clocks differ or may come to differ.
pub(super) fn has_clocks(rules: &Rules) -> bool {
    rules.clocks != [SignedDuration::ZERO; 2]
        || [ReplicaFault::SetAhead, ReplicaFault::SetBack]
            .iter()
            .any(|fault| rules.fault_kinds.contains(fault))
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
    let at: Instant = world.instant(renewed);
    let compared = Comparison::of((shifted(renewed, was_ahead), at), stamped, at);
    compared.skew((shown(world, number), world.instant(world.now))).towards_others()
}

/// Sets the clock of the machine of a replica forward or back.
pub(super) fn set_clock(world: &mut World, number: usize, fault: ReplicaFault) -> Option<()> {
    let by = SignedDuration::try_from(world.rules.set_by).ok().filter(|by| !by.is_zero())?;
    let (now, down) = (world.now, world.replicas.get(number)?.is_down());
    let clock = world.clocks.get_mut(number)?;
    let was_ahead = clock.ahead;
    clock.ahead = was_ahead.saturating_add(if fault == ReplicaFault::SetBack { -by } else { by });
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
    for (clock, replica) in world.clocks.iter_mut().zip(&world.replicas) {
        let renews =
            !matches!(&replica.life, Life::Halted(halted) if halted.how == ReplicaFault::Freeze);
        clock.set = clock
            .set
            .filter(|(since, _)| replica.is_down() || !renews || between(*since, now) < EVERY);
    }
}

/// Records when the intents of the last write were really decided, if a wrong clock dated them.
pub(super) fn date_intents(world: &mut World, before: &SagaObject, ahead: SignedDuration) {
    if !has_clocks(&world.rules) {
        return;
    }
    let object = world.copies.newest();
    world.dated.retain(|dated| object.is_active(dated.attempt));
    let new = object.active().filter(|(attempt, _)| !before.is_active(*attempt));
    let new = new.filter_map(|(attempt, record)| {
        Some(Dated { attempt, at: shifted(record.active.as_ref()?.started_at.0, -ahead) })
    });
    world.dated.extend(new);
}

/// Returns when the intent of an attempt was really decided.
pub(super) fn decided(world: &World, attempt: AttemptRef, active: &ActiveAttempt) -> Timestamp {
    world
        .dated
        .iter()
        .find(|dated| dated.attempt == attempt)
        .map_or(active.started_at.0, |dated| dated.at)
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
    let intents = world
        .object()
        .active()
        .filter_map(|(attempt, record)| Some((attempt, record.active.as_ref()?)));
    intents.map(|(attempt, active)| later(decided(world, attempt, active), CREATED_WITHIN))
}
