//! Pausing during an undo, and at the moment an undo begins.

use saga_operator::api::{Direction::Compensation, RequestAction, SagaPhase, StepPhase};

use crate::{
    pause::in_the_middle,
    scenes::{compensation_failed, failed, failed_beside, order, undoing},
    script::{says_no, seconds},
    world::World,
};

use RequestAction::{Compensate, Pause, Resume, Retry};

#[test]
fn a_paused_saga_is_undone_when_it_is_resumed_and_not_before() {
    let mut world = in_the_middle();
    world.demand(Pause, "lunch");
    world.demand(Compensate, "no");
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone().len()), (SagaPhase::Compensating, 0));
    world.demand(Resume, "back");
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["b", "a"]));
}

#[test]
fn a_compensation_that_is_under_way_ends_and_the_next_one_waits() {
    let mut world = undoing();
    world.demand(Pause, "lunch");
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensating, vec!["b"]));
    world.demand(Resume, "back");
    world.run_to_rest();
    assert_eq!(world.undone(), ["b", "a"]);
}

#[test]
fn a_compensation_that_failed_is_retried_while_paused_and_begins_when_resumed() {
    let mut world = compensation_failed();
    world.demand(Pause, "lunch");
    assert_eq!(
        (world.phase(), world.condition("Ready").as_deref()),
        (SagaPhase::CompensationFailed, Some("False/Paused"))
    );
    world.demand(Retry, "b");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.sent_at("b", Compensation).len()),
        (SagaPhase::Compensating, 1)
    );
    world.demand(Resume, "back");
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Compensated);
}

#[test]
fn a_failure_while_paused_is_a_failure_and_turns_back_only_when_resumed() {
    let mut world = World::with(order().compensating()).on("b", vec![says_no().takes(seconds(9))]);
    world.run_until(|world| world.is("b", StepPhase::Running));
    world.demand(Pause, "lunch");
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone().len()), (SagaPhase::Compensating, 0));
    world.demand(Resume, "back");
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["a"]));
}

#[test]
fn a_deletion_overrides_a_pause() {
    for make in [in_the_middle, failed, || failed_beside("ok"), undoing] {
        let mut world = make();
        world.demand(Pause, "lunch");
        world.run_to_rest();
        world.delete();
        world.run_to_rest();
        assert!(world.gone && world.undone().last() == Some(&"a"), "{:?}", world.status());
    }
    let mut world = in_the_middle();
    world.delete();
    assert_eq!(
        world.refused(Pause, "lunch"),
        "the saga is being deleted, and a pause does not stop a \
         deletion"
    );
}
