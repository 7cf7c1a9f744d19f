//! Which steps are in effect, and therefore must be undone or are named.

use saga_operator::api::SagaPhase;

use crate::{
    saga::{attempts, saga},
    script::{
        never_starts, not_reached, says_no, succeeds, turned_away, unknown, unknown_but_done,
        vanishes,
    },
    world::World,
};

#[test]
fn a_step_without_compensation_stays_in_effect() {
    let mut world =
        World::with(saga().http("a").then_http("b").undo().then_http("c").compensating())
            .fails("c", 1);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.still_in_effect()),
        (SagaPhase::Compensated, vec!["a".into()])
    );
    assert_eq!(world.condition("Ready").as_deref(), Some("False/CompensatedExcept"));
    assert_eq!(world.condition("Stalled").as_deref(), Some("True/CompensatedExcept"));
    assert!(
        world.message().ends_with("undone, except a, which stays in effect"),
        "{}",
        world.message()
    );
    assert_eq!(world.warnings(), ["StepFailed", "CompensatedExcept"]);
}

#[test]
fn a_request_that_only_asks_is_never_in_effect() {
    for act in [succeeds(), unknown_but_done()] {
        let draft = saga()
            .http("a")
            .undo()
            .then_http("look")
            .asking()
            .then_http("c")
            .retry(attempts(1))
            .compensating();
        let mut world = World::with(draft).on("look", vec![act]).fails("c", 1);
        world.run_to_rest();
        assert_eq!(
            (world.phase(), world.undone(), world.still_in_effect().len()),
            (SagaPhase::Compensated, vec!["a"], 0)
        );
        assert_eq!(world.condition("Ready").as_deref(), Some("False/Compensated"));
    }
}

#[test]
fn a_compensation_of_a_request_that_only_asks_is_carried_out_all_the_same() {
    let mut world = World::with(saga().http("look").asking().undo().then_http("c").compensating())
        .fails("c", 1);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.undone(), world.still_in_effect().len()),
        (SagaPhase::Compensated, vec!["look"], 0)
    );
}

#[test]
fn a_failed_pod_is_undone_and_a_failed_request_is_not_unless_the_step_says_otherwise() {
    let undone = |draft: crate::saga::Draft| {
        let mut world = World::with(draft.compensating()).fails("a", 1);
        world.run_to_rest();
        assert_eq!((world.phase(), world.still_in_effect().len()), (SagaPhase::Compensated, 0));
        world.undone().len() == 1
    };
    assert!(undone(saga().pod("a").undo()));
    assert!(!undone(saga().pod("a").undo().compensate_failed(false)));
    assert!(!undone(saga().http("a").undo()));
    assert!(undone(saga().http("a").undo().compensate_failed(true)));
}

#[test]
fn a_failed_pod_without_compensation_is_named_as_in_effect() {
    let mut world = World::with(saga().pod("a").compensating()).fails("a", 1);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.still_in_effect()),
        (SagaPhase::Compensated, vec!["a".into()])
    );
}

#[test]
fn what_never_started_is_not_undone() {
    for act in [never_starts(), not_reached()] {
        let mut world =
            World::with(saga().pod("a").undo().timeout("1m").compensating()).on("a", vec![act]);
        world.run_to_rest();
        assert_eq!(
            (world.phase(), world.undone().len(), world.still_in_effect().len()),
            (SagaPhase::Compensated, 0, 0)
        );
    }
}

#[test]
fn an_uncertain_step_is_undone_even_where_failed_ones_are_not() {
    for act in [unknown(), unknown_but_done(), vanishes()] {
        let mut world = World::with(saga().pod("a").undo().compensate_failed(false).compensating())
            .on("a", vec![act]);
        world.run_to_rest();
        assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["a"]));
    }
    // The step stays uncertain whatever a later attempt under the same key is answered.
    let draft = saga().http("a").undo().retry(attempts(2)).compensating();
    for later in [says_no(), turned_away()] {
        let mut world = World::with(draft.clone()).on("a", vec![unknown(), later]);
        assert_eq!(world.run_to_rest().undone(), ["a"]);
    }
}
