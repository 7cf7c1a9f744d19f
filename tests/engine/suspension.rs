//! Suspending by `spec.suspend`.

use saga_operator::api::{Direction::Compensation, SagaPhase, StepPhase};

use crate::{
    lifecycle::order,
    saga::{Policy, attempts, saga},
    script::{says_no, seconds, succeeds},
    world::World,
};

#[test]
fn a_saga_suspended_before_its_start_starts_nothing() {
    let mut world = World::with(order().suspended());
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent().len(), world.writes), (SagaPhase::Paused, 0, 1));
    assert_eq!(world.condition("Ready").as_deref(), Some("False/Paused"));
    assert_eq!((world.condition("Reconciling"), world.finalizer), (None, false));
    world.unsuspend();
    world.run_to_rest();
    assert_eq!((world.phase(), world.done()), (SagaPhase::Completed, vec!["a", "b", "c"]));
}

#[test]
fn a_saga_suspended_in_the_middle_lets_what_runs_end_and_starts_nothing() {
    let mut world = World::with(order()).on("b", vec![succeeds().takes(seconds(9))]);
    world.run_until(|world| world.is("b", StepPhase::Running));
    world.suspend();
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.done(), world.sent().len()),
        (SagaPhase::Paused, vec!["a", "b"], 2)
    );
    world.unsuspend();
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn a_saga_suspended_while_compensating_undoes_nothing_more_and_keeps_its_phase() {
    let mut world = World::with(order().compensating())
        .fails("c", 1)
        .on_undo("b", vec![succeeds().takes(seconds(9))]);
    world.run_until(|world| world.is("b", StepPhase::Compensating));
    world.suspend();
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensating, vec!["b"]));
    assert_eq!(world.condition("Ready").as_deref(), Some("False/Paused"));
    assert_eq!(world.condition("Reconciling"), None);
    world.unsuspend();
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["b", "a"]));
}

#[test]
fn a_failure_in_a_suspended_saga_waits_with_its_compensation() {
    let mut world = World::with(order().compensating()).on("c", vec![says_no().takes(seconds(9))]);
    world.run_until(|world| world.is("c", StepPhase::Running));
    world.suspend();
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone().len()), (SagaPhase::Compensating, 0));
    world.unsuspend();
    world.run_to_rest();
    assert_eq!(world.undone(), ["b", "a"]);
}

#[test]
fn a_failed_saga_keeps_its_phase_when_it_is_suspended() {
    let mut world = World::with(order()).fails("c", 1);
    world.run_to_rest();
    world.suspend();
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.condition("Ready").as_deref()),
        (SagaPhase::Failed, Some("False/Paused"))
    );
}

#[test]
fn the_deadline_of_a_compensation_stands_still_while_suspended_also_where_a_deletion_ends_that() {
    for delete in [false, true] {
        let draft = saga()
            .http("a")
            .undo()
            .undo_retry(attempts(9).always("4s").deadline("11s"))
            .then_http("b")
            .compensating();
        let mut world = World::with(draft).fails("b", 1).undo_fails("a", 1);
        world.run_until(|world| {
            world.step("a").compensation.is_some_and(|record| record.sequence.is_some())
        });
        world.suspend();
        world.run_for(seconds(1000));
        assert_eq!(world.sent_at("a", Compensation).len(), 1);
        if delete {
            world.delete();
        } else {
            world.unsuspend();
        }
        world.run_to_rest();
        assert_eq!(world.undone(), ["a"], "delete: {delete}");
    }
}

#[test]
fn a_deadline_that_stood_still_goes_on_from_where_it_stood_after_a_deletion() {
    let draft = saga()
        .http("a")
        .undo()
        .undo_retry(attempts(9).always("4s").deadline("11s"))
        .then_http("b")
        .compensating();
    let mut world = World::with(draft).fails("b", 1).undo_fails("a", 2);
    world.run_until(|world| {
        world.step("a").compensation.is_some_and(|record| record.sequence.is_some())
    });
    world.suspend();
    world.run_for(seconds(1000));
    world.delete();
    world.run_to_rest();
    // One of eleven seconds was used. A third attempt at six seconds is within the deadline.
    assert_eq!((world.undone(), world.sent_at("a", Compensation).len()), (vec!["a"], 3));
}
