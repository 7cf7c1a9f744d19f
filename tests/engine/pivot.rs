//! The pivot: the point after which a saga is not undone.

use saga_operator::api::{SagaPhase, StepPhase};

use crate::{
    saga::{Policy, attempts, saga},
    script::{says_no, seconds, succeeds, unknown, unknown_but_done},
    world::World,
};

#[test]
fn after_a_completed_pivot_a_failure_holds_although_compensation_is_asked_for() {
    let draft =
        saga().http("a").undo().then_http("pay").pivot().undo().then_http("ship").compensating();
    let mut world = World::with(draft).fails("ship", 1);
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone().len()), (SagaPhase::Failed, 0));
    assert_eq!(
        world.message(),
        "step ship failed: attempt 1 failed: no. Nothing is undone, because the pivot pay is \
         passed, or may be. To try again: kubectl annotate --overwrite saga/order-1042 \
         saga.dev/retry=ship -n shop. Or annotate saga.dev/skip=ship to go on without it"
    );
    assert_eq!(world.condition("Ready").as_deref(), Some("False/StepFailed"));
}

#[test]
fn before_its_pivot_a_saga_is_undone() {
    let draft = saga().http("a").undo().then_http("b").then_http("pay").pivot().compensating();
    let mut world = World::with(draft).fails("b", 1);
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["a"]));
}

#[test]
fn a_pivot_that_definitely_failed_is_not_passed() {
    let draft = saga().http("a").undo().then_http("pay").pivot().compensating();
    let mut world = World::with(draft).fails("pay", 1);
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["a"]));
}

#[test]
fn an_uncertain_pivot_holds() {
    let draft = saga().http("a").undo().then_http("pay").pivot().undo().compensating();
    for act in [unknown(), unknown_but_done()] {
        let mut world = World::with(draft.clone()).on("pay", vec![act]);
        world.run_to_rest();
        assert_eq!((world.phase(), world.undone().len()), (SagaPhase::Failed, 0));
    }
    // The same holds while the pivot waits for a retry.
    let draft = saga()
        .http("pay")
        .pivot()
        .retry(attempts(3).always("1h"))
        .http("a")
        .undo()
        .http("b")
        .parallel(3)
        .compensating();
    let mut world = World::with(draft).on("pay", vec![unknown()]).fails("b", 1);
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone().len()), (SagaPhase::Failed, 0));
    assert!(world.is("pay", StepPhase::Retrying));
}

#[test]
fn siblings_settle_before_a_pivot_decides() {
    let draft = saga().http("a").undo().http("pay").pivot().http("bad").parallel(3).compensating();
    let mut world =
        World::with(draft).fails("bad", 1).on("pay", vec![succeeds().takes(seconds(9))]);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.undone().len(), world.elapsed()),
        (SagaPhase::Failed, 0, seconds(9))
    );
    let draft = saga().http("a").undo().http("pay").pivot().http("bad").parallel(3).compensating();
    let mut world = World::with(draft).fails("bad", 1).on("pay", vec![says_no().takes(seconds(9))]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["a"]));
}

#[test]
fn deletion_past_the_pivot_abandons_with_a_warning() {
    let draft = saga().http("a").undo().then_http("pay").pivot().then_http("ship").timeout("1m");
    let mut world = World::with(draft).on("ship", vec![succeeds().takes(seconds(50))]);
    world.run_until(|world| world.is("ship", StepPhase::Running));
    world.delete();
    world.run_to_rest();
    assert!(world.gone && world.undone().is_empty());
    assert_eq!(world.warnings(), ["Abandoned"]);
    let said = &world.notices.last().unwrap().message;
    assert_eq!(
        said,
        "the pivot is passed, so nothing can be undone: the saga is deleted without an undo; still \
         in effect: a, pay, ship"
    );
}

#[test]
fn deletion_while_the_pivot_runs_waits_for_it() {
    let draft = saga().http("a").undo().then_http("pay").pivot().then_http("ship");
    let mut world = World::with(draft.clone()).on("pay", vec![succeeds().takes(seconds(20))]);
    world.run_until(|world| world.is("pay", StepPhase::Running));
    world.delete();
    world.run_until(|world| world.is("pay", StepPhase::Completed));
    assert!(
        world.message().starts_with("the saga was deleted. Nothing is undone"),
        "{}",
        world.message()
    );
    world.run_to_rest();
    assert!(world.gone && world.undone().is_empty() && world.sent().len() == 2);
    let mut world = World::with(draft).on("pay", vec![says_no().takes(seconds(20))]);
    world.run_until(|world| world.is("pay", StepPhase::Running));
    world.delete();
    world.run_to_rest();
    assert_eq!((world.gone, world.undone()), (true, vec!["a"]));
}
