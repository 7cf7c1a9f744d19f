//! Approvals in a saga that is undone, or that can no longer be undone.

use saga_operator::api::{RequestAction, SagaPhase, StepPhase};

use crate::{
    approval::asks,
    saga::{attempts, saga},
    scenes::failed_beside,
    script::{seconds, succeeds},
    world::World,
};

use RequestAction::{Approve, Compensate, Reject, Skip};

#[test]
fn where_the_saga_turns_back_an_approval_was_not_reached() {
    let by_failure = || {
        let mut world = World::with(
            saga().http("a").undo().approval("ok").http("bad").parallel(3).compensating(),
        );
        world = world.on("bad", vec![crate::script::says_no().takes(seconds(9))]);
        world.run_to_rest();
        world
    };
    let by_request = || {
        let mut world = failed_beside("ok");
        world.demand(Compensate, "no");
        world.run_to_rest();
        world
    };
    for world in [by_failure(), by_request()] {
        let step = world.step("ok");
        assert_eq!(
            (world.phase(), step.phase, step.message.as_deref()),
            (SagaPhase::Compensated, StepPhase::Pending, Some("not reached"))
        );
        assert_eq!((world.still_in_effect().len(), world.undone()), (0, vec!["a"]));
        assert!(step.action.unwrap().active.is_none());
    }
}

#[test]
fn while_what_is_active_settles_before_the_undo_no_answer_is_taken() {
    let mut world = World::with(saga().approval("ok").http("slow").parallel(2))
        .on("slow", vec![succeeds().takes(seconds(20))]);
    world.run_for(seconds(1));
    world.demand(Compensate, "no");
    let told = world.refused(Approve, "ok");
    assert_eq!(
        told,
        "step ok is Waiting; while the saga is being undone, approve is allowed for no steps: \
         none is now"
    );
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.still_in_effect()),
        (SagaPhase::Compensated, vec!["slow".to_owned()])
    );
}

#[test]
fn an_approval_can_be_the_point_of_no_return() {
    let draft = || {
        saga().http("a").undo().approval("ok").pivot().after(&["a"]).then_http("b").compensating()
    };
    let mut world = asks(draft()).fails("b", 1);
    world.demand(Approve, "ok");
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone().len()), (SagaPhase::Failed, 0));
    assert!(world.refused(Compensate, "no").contains("the pivot ok is passed"));
    // A pivot that was rejected, or not answered yet, is not passed.
    let mut world = asks(draft());
    world.demand(Reject, "ok");
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["a"]));
    let mut world = asks(draft());
    world.demand(Compensate, "no");
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["a"]));
    // A pivot that was skipped by request is passed.
    let mut world = asks(draft());
    world.demand(Skip, "ok");
    assert!(world.refused(Compensate, "no").contains("the pivot ok is passed"));
}

#[test]
fn a_compensation_of_an_approval_is_carried_out_where_it_was_given() {
    let draft = || saga().approval("ok").undo().then_http("b").compensating();
    let mut world = asks(draft()).fails("b", 1);
    world.demand(Approve, "ok");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.undone(), world.still_in_effect().len()),
        (SagaPhase::Compensated, vec!["ok"], 0)
    );
    // An approval that was rejected or not answered needs no undo.
    for answered in [true, false] {
        let mut world = asks(draft());
        if answered {
            world.demand(Reject, "ok");
        } else {
            world.demand(Compensate, "no");
        }
        world.run_to_rest();
        assert_eq!(
            (world.phase(), world.undone().len(), world.sent().len()),
            (SagaPhase::Compensated, 0, 0)
        );
    }
    // If the compensation fails, the approval is in effect.
    let draft = saga().approval("ok").undo().undo_retry(attempts(1)).then_http("b").compensating();
    let mut world = asks(draft).fails("b", 1).undo_fails("ok", 1);
    world.demand(Approve, "ok");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.still_in_effect()),
        (SagaPhase::CompensationFailed, vec!["ok".to_owned()])
    );
}

#[test]
fn a_saga_that_is_deleted_after_an_approval_undoes_it() {
    let mut world = asks(saga().approval("ok").undo().approval("more").after(&["ok"]));
    world.demand(Approve, "ok");
    world.run_to_rest();
    world.delete();
    world.run_to_rest();
    assert_eq!((world.gone, world.undone()), (true, vec!["ok"]));
}

#[test]
fn an_approval_without_a_compensation_is_never_in_effect() {
    let mut world = asks(saga().approval("ok").then_http("b").compensating()).fails("b", 1);
    world.demand(Approve, "ok");
    world.run_to_rest();
    assert_eq!((world.phase(), world.still_in_effect().len()), (SagaPhase::Compensated, 0));
    assert_eq!(world.condition("Ready").as_deref(), Some("False/Compensated"));
}
