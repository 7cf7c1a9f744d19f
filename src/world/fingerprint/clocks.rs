//! The part of a fingerprint that covers clocks, and the instants that clocks showed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::hash::StateHash;
use crate::{
    api::{ActiveAttempt, SagaStatus},
    clock::{between, later},
    coordination::{executor_lease::EVERY, fence::CREATED_WITHIN},
    world::{
        clocks::{apart, clock, decided, has_clocks, shifted},
        state::{attempt::AttemptRef, clock::Clock, world::World},
    },
};

/// Writes the part of a fingerprint that covers the clock of a replica.
pub(super) fn clock_into(world: &World, hash: &mut StateHash<'_>, number: usize) {
    if has_clocks(&world.rules) {
        let Clock { ahead, set } = clock(world, number);
        ahead_into(world, hash, ahead);
        ahead_into(world, hash, world.furthest);
        if let Some((since, was_ahead)) = set {
            hash.duration(between(since, world.now).min(EVERY));
            ahead_into(world, hash, was_ahead);
        }
    }
}

pub(super) fn ahead_into(world: &World, hash: &mut StateHash<'_>, ahead: SignedDuration) {
    if has_clocks(&world.rules) {
        hash.number(i64::try_from(ahead.as_micros()).unwrap_or(i64::MAX));
    }
}

/// Writes how long ago a clock showed this instant, capped at the time for which it matters.
pub(super) fn shown_into(world: &World, hash: &mut StateHash<'_>, at: Timestamp, cap: Duration) {
    let apart = apart(&world.rules);
    hash.duration(
        between(earlier(world, at), world.now).min(cap.saturating_add(apart.saturating_mul(2))),
    );
}

/// Writes how long it takes at most until a clock shows this instant.
pub(super) fn until_shown_into(world: &World, hash: &mut StateHash<'_>, at: Timestamp) {
    hash.duration(
        between(world.now, later(at, apart(&world.rules))).saturating_add(Duration::from_micros(1)),
    );
}

/// Writes how long something has lasted. Time during which the saga's clock is stopped does not
/// count.
pub(super) fn stretch_into(
    world: &World,
    hash: &mut StateHash<'_>,
    status: &SagaStatus,
    began: Timestamp,
    cap: Duration,
) {
    match &status.clock_stopped_at {
        None => shown_into(world, hash, began, cap),
        Some(stopped) => {
            hash.duration(between(began, stopped.0).min(cap));
            if has_clocks(&world.rules) {
                shown_into(world, hash, stopped.0, Duration::ZERO);
            }
        }
    }
}

/// Writes when an intent was really decided, if the intent may state another instant.
pub(super) fn dated_into(
    world: &World,
    hash: &mut StateHash<'_>,
    attempt: AttemptRef,
    active: &ActiveAttempt,
) {
    if has_clocks(&world.rules) {
        hash.duration(between(decided(world, attempt, active), world.now).min(CREATED_WITHIN));
        hash.number(active.clock_ahead_seconds);
        hash.number(active.clock_behind_seconds);
    }
}

/// Returns when a clock that is as far ahead as allowed showed this instant.
fn earlier(world: &World, at: Timestamp) -> Timestamp {
    SignedDuration::try_from(apart(&world.rules)).map_or(at, |apart| shifted(at, -apart))
}
