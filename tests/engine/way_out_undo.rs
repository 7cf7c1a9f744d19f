//! The ways out of a saga that could not be undone.

use saga_operator::api::{DeletionPolicy, RequestAction, SagaPhase};

use crate::{
    saga::{attempts, saga},
    scenes::{compensation_failed, undoing},
    world::World,
};

use RequestAction::{Cancel, Retry, Skip};

#[test]
fn a_saga_that_could_not_be_undone_has_four_ways_out() {
    type Act = fn(&mut World);
    let ways: [(&str, Act, SagaPhase, &[&str]); 3] = [
        ("retry", |world| drop(world.demand(Retry, "b")), SagaPhase::Compensated, &[]),
        ("skip", |world| drop(world.demand(Skip, "b")), SagaPhase::Compensated, &["b"]),
        ("cancel", |world| drop(world.demand(Cancel, "enough")), SagaPhase::Cancelled, &["a", "b"]),
    ];
    for (way, act, phase, still) in ways {
        for deleting in [false, true] {
            let mut world = compensation_failed();
            if deleting {
                world.delete();
                world.run_to_rest();
                assert!(
                    !world.gone && world.message().contains("set spec.deletionPolicy to Abandon"),
                    "{}",
                    world.message()
                );
            }
            act(&mut world);
            if !world.gone {
                world.run_to_rest();
            }
            assert_eq!(
                (world.phase(), world.still_in_effect(), world.gone),
                (phase, still.iter().map(ToString::to_string).collect(), deleting),
                "{way}"
            );
            assert!(!world.finalizer, "{way}");
        }
    }
    let mut world = compensation_failed();
    world.delete();
    world.edit(|spec| spec.deletion_policy = Some(DeletionPolicy::Abandon));
    world.run_to_rest();
    assert!(world.gone);
    assert_eq!(
        world.notices.last().unwrap().message,
        "deletionPolicy is Abandon: the saga is deleted without an undo; still in effect: a, b"
    );
}

#[test]
fn a_compensation_that_failed_is_tried_as_often_as_is_asked_for_and_all_or_nothing() {
    let draft = saga()
        .http("a")
        .undo()
        .undo_retry(attempts(1))
        .http("b")
        .undo()
        .undo_retry(attempts(1))
        .http("c")
        .parallel(3)
        .compensating();
    let mut world = World::with(draft).fails("c", 1).undo_fails("a", 2).undo_fails("b", 1);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.still_in_effect()),
        (SagaPhase::CompensationFailed, vec!["a".to_owned(), "b".to_owned()])
    );
    assert!(world.refused(Retry, "a,c").contains("step c is Failed"));
    world.demand(Retry, "*");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.still_in_effect(), world.undone()),
        (SagaPhase::CompensationFailed, vec!["a".to_owned()], vec!["b"])
    );
    world.demand(Retry, "a");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.keys("a", saga_operator::api::Direction::Compensation)),
        (SagaPhase::Compensated, vec!["0", "1", "2"])
    );
}

#[test]
fn a_compensation_under_way_can_be_neither_retried_nor_skipped() {
    for action in [Retry, Skip] {
        let mut world = undoing();
        let told = world.refused(action, "b");
        assert!(told.contains("step b is Compensating"), "{told}");
        world.run_to_rest();
        assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["b", "a"]));
    }
}
