//! The timeout of a saga stands still while the saga stands still.

use std::time::Duration;

use saga_operator::api::{RequestAction, SagaPhase, StepPhase};

use crate::{
    saga::{Policy, attempts, saga},
    script::seconds,
    timeout::{order, takes},
    world::World,
};

use RequestAction::{Pause, Resume, Retry, Skip};

#[test]
fn it_stands_still_while_the_saga_is_paused_or_suspended() {
    for suspend in [false, true] {
        let mut world = World::with(order()).on("b", vec![takes(5)]);
        world.run_until(|world| world.is("b", StepPhase::Running));
        if suspend {
            world.suspend();
        } else {
            world.demand(Pause, "lunch");
        }
        world.run_to_rest();
        world.run_for(seconds(100_000));
        assert_eq!((world.phase(), world.status().timed_out_at), (SagaPhase::Paused, None));
        if suspend {
            world.unsuspend();
        } else {
            world.demand(Resume, "back");
        }
        world.run_to_rest();
        assert_eq!(
            (world.phase(), world.status().timed_out_at),
            (SagaPhase::Completed, None),
            "suspend: {suspend}"
        );
    }
}

#[test]
fn what_was_used_before_a_pause_counts_after_it() {
    let mut world = World::with(order()).on("a", vec![takes(4)]).on("b", vec![takes(25)]);
    world.run_for(seconds(3));
    world.demand(Pause, "lunch");
    world.run_for(seconds(1000));
    let resumed = world.elapsed();
    world.demand(Resume, "back");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.elapsed().saturating_sub(resumed)),
        (SagaPhase::Failed, seconds(7))
    );
}

#[test]
fn it_stands_still_while_the_saga_is_failed() {
    let mut world = World::with(order()).fails("b", 1).on("c", vec![takes(25)]);
    world.run_to_rest();
    world.run_for(seconds(100_000));
    assert_eq!(
        (world.phase(), world.condition("Ready").as_deref()),
        (SagaPhase::Failed, Some("False/StepFailed"))
    );
    let resumed = world.elapsed();
    // Two of ten seconds were used before the failure. A skip does not restart the timeout.
    world.demand(Skip, "b");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.elapsed().saturating_sub(resumed)),
        (SagaPhase::Failed, seconds(8))
    );
    assert_eq!(world.condition("Ready").as_deref(), Some("False/TimedOut"));
}

#[test]
fn a_saga_that_is_paused_while_it_is_failed_has_its_time_when_it_goes_on() {
    let mut world = World::with(order()).fails("b", 1);
    world.run_to_rest();
    world.run_for(seconds(1000));
    world.demand(Pause, "lunch");
    world.run_for(seconds(1000));
    world.demand(Retry, "b");
    world.run_for(seconds(1000));
    assert_eq!((world.phase(), world.status().timed_out_at), (SagaPhase::Paused, None));
    world.demand(Resume, "back");
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed, "{}", world.message());
}

#[test]
fn a_pause_leaves_the_saga_alone_however_little_of_its_time_is_left() {
    for draft in [saga().approval("w"), saga().wait("w", "50h"), saga().pod("w")] {
        let mut world = World::with(draft.then_http("last").within("10s")).on("w", vec![takes(50)]);
        world.run_for(Duration::from_millis(9_999));
        world.demand(Pause, "lunch");
        let writes = world.writes;
        world.run_to_rest();
        assert_eq!((world.phase(), world.status().timed_out_at), (SagaPhase::Paused, None));
        assert!(world.writes <= writes + 2, "{} writes", world.writes);
    }
}

#[test]
fn a_request_that_is_active_while_the_saga_is_paused_is_not_cut_by_the_sagas_time() {
    for policy in [attempts(1), attempts(1).deadline("10s")] {
        let draft = saga().http("a").retry(policy.clone()).then_http("b");
        let draft = if policy.deadline.is_some() { draft } else { draft.within("10s") };
        let mut world = World::with(draft).on("a", vec![takes(15)]);
        world.run_for(seconds(5));
        world.demand(Pause, "lunch");
        world.run_to_rest();
        assert_eq!(
            (world.phase(), world.elapsed(), world.is("a", StepPhase::Completed)),
            (SagaPhase::Paused, seconds(15), true)
        );
    }
}
