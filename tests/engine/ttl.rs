//! Ended sagas that are deleted after a while.

use std::time::Duration;

use saga_operator::api::{RequestAction, SagaPhase};

use crate::{
    saga::{Draft, saga},
    scenes::{SCENES, order},
    script::{seconds, succeeds},
    world::World,
};

use RequestAction::{Cancel, Compensate, Retry};

/// Runs the saga to its end. Returns how long the ended saga existed, or `None` if it is never
/// deleted.
fn stood(mut world: World) -> Option<Duration> {
    world.run_until(|world| world.status().phase.is_some_and(SagaPhase::is_terminal));
    let ended = world.elapsed();
    world.run_until(|world| world.gone);
    world.gone.then(|| world.elapsed().saturating_sub(ended))
}

fn cancelled(draft: Draft) -> World {
    let mut world = World::with(draft);
    world.demand(Cancel, "enough");
    world
}

#[test]
fn a_saga_goes_so_long_after_its_end() {
    for (what, world) in [
        ("completed", World::with(order().ttl(60))),
        ("compensated", World::with(order().compensating().ttl(60)).fails("c", 1)),
        ("cancelled", cancelled(order().ttl(60))),
    ] {
        assert_eq!(stood(world), Some(seconds(60)), "{what}");
    }
}

#[test]
fn a_saga_without_it_is_kept() {
    assert_eq!(stood(World::with(order())), None);
}

#[test]
fn it_stands_for_ten_seconds_at_least() {
    for ttl in [0, 1, 9, 10] {
        assert_eq!(stood(World::with(order().ttl(ttl))), Some(seconds(10)), "{ttl}");
    }
    assert_eq!(stood(World::with(order().ttl(11))), Some(seconds(11)));
    assert_eq!(
        stood(World::with(order().ttl(i32::MAX))),
        Some(Duration::from_secs(i32::MAX.unsigned_abs().into()))
    );
}

#[test]
fn only_an_end_counts() {
    for (scene, make) in SCENES {
        let mut world = make();
        if world.saga.is_err() || world.gone {
            continue;
        }
        world.edit(|spec| spec.ttl_seconds_after_finished = Some(0));
        world.run_for(seconds(100_000));
        let ends = world.status().phase.is_some_and(SagaPhase::is_terminal);
        assert_eq!(world.gone, ends, "{scene}: {:?}", world.status().phase);
    }
}

#[test]
fn it_counts_from_the_recorded_end_whoever_looks() {
    let mut world = World::with(order().ttl(3600));
    world.run_to_rest_but_for_its_end();
    world.crash(seconds(3000));
    world.run_for(seconds(599));
    assert!(!world.gone);
    world.run_for(seconds(1));
    assert!(world.gone);
    let mut world = World::with(order().ttl(3600));
    world.run_to_rest_but_for_its_end();
    world.crash(seconds(100_000));
    world.run_for(Duration::ZERO);
    assert!(world.gone, "what is overdue goes at once");
}

impl World {
    /// Runs until the saga has ended and its finalizer is removed.
    fn run_to_rest_but_for_its_end(&mut self) {
        self.run_until(|world| {
            world.status().phase.is_some_and(SagaPhase::is_terminal) && !world.finalizer
        });
        self.run_for(Duration::ZERO);
    }
}

#[test]
fn an_edit_after_the_end_counts() {
    let mut world = World::with(order());
    world.run_to_rest();
    world.run_for(seconds(100));
    world.edit(|spec| spec.ttl_seconds_after_finished = Some(150));
    let (edited, writes) = (world.elapsed(), world.writes);
    world.run_until(|world| world.gone);
    assert_eq!(
        (world.gone, world.elapsed().saturating_sub(edited), world.writes),
        (true, seconds(50), writes + 1),
        "that it was edited is told once"
    );
    // If the setting is removed in time, the saga is kept.
    let mut world = World::with(order().ttl(150));
    world.run_to_rest_but_for_its_end();
    world.edit(|spec| spec.ttl_seconds_after_finished = None);
    world.run_for(seconds(100_000));
    assert!(!world.gone);
}

#[test]
fn a_completed_saga_that_is_undone_meanwhile_goes_after_its_second_end() {
    let mut world = World::with(order().ttl(60)).on_undo("b", vec![succeeds().takes(seconds(20))]);
    world.run_to_rest_but_for_its_end();
    world.run_for(seconds(55));
    world.demand(Compensate, "returned");
    world.run_for(seconds(15));
    assert_eq!((world.phase(), world.gone), (SagaPhase::Compensating, false));
    world.run_to_rest_but_for_its_end();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["b", "a"]));
    let ended = world.status().completed_at.unwrap().0;
    world.run_until(|world| world.gone);
    assert_eq!((world.gone, world.now.duration_since(ended).as_secs()), (true, 60));
}

#[test]
fn an_undo_that_is_asked_for_when_the_time_has_come_is_carried_out_first() {
    let mut world = World::with(order().ttl(60));
    world.run_to_rest_but_for_its_end();
    world.now += jiff::SignedDuration::from_secs(60);
    world.demand(Compensate, "returned");
    assert!(!world.gone && world.phase() == SagaPhase::Compensating);
    world.run_to_rest_but_for_its_end();
    assert_eq!(world.undone(), ["b", "a"]);
}

#[test]
fn a_request_is_answered_before_the_saga_goes() {
    let mut world = World::with(order().ttl(60));
    world.run_to_rest_but_for_its_end();
    world.now += jiff::SignedDuration::from_secs(60);
    world.annotate(Retry.annotation(), "a");
    world.run_for(Duration::ZERO);
    assert!(world.gone && world.notices.iter().any(|notice| notice.reason == "RequestRefused"));
}

#[test]
fn a_saga_that_is_being_deleted_already_is_not_deleted_again() {
    let mut world = World::with(order().ttl(60));
    world.run_until(|world| world.status().phase == Some(SagaPhase::Completed) && !world.finalizer);
    // The finalizer of another program keeps the saga.
    world.deleting = true;
    world.run_for(seconds(1000));
    assert!(!world.gone);
}

#[test]
fn its_succeeded_pods_are_swept_where_it_is_kept_longer_than_they_are() {
    let mut world = World::with(saga().pod("a").ttl(3600));
    world.run_until(|world| world.gone);
    assert_eq!((world.gone, world.sweeps), (true, 1));
    let mut world = World::with(saga().pod("a").ttl(60));
    world.run_until(|world| world.gone);
    assert_eq!((world.gone, world.sweeps), (true, 0), "they go with it");
}
