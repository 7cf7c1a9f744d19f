//! Requests that users make by annotation: to skip a step or its compensation.

use saga_operator::api::{RequestResult, SagaPhase, StepPhase};

use crate::{
    requests::{COMPENSATE, SKIP, ask, held, last, stuck},
    saga::{Policy, attempts, saga},
    script::unknown_but_done,
    world::World,
};

#[test]
fn a_skipped_step_counts_as_done() {
    let mut world = held();
    let record = ask(&mut world, SKIP, "b");
    assert_eq!(
        (record.result, record.message.as_str()),
        (RequestResult::Accepted, "step b is skipped and counts as done")
    );
    assert_eq!(
        (world.phase(), world.done(), world.status().progress.unwrap()),
        (SagaPhase::Completed, vec!["a", "c"], "3/3".into())
    );
    assert_eq!((world.step("b").phase, world.still_in_effect()), (StepPhase::Skipped, Vec::new()));
}

#[test]
fn steps_that_have_not_begun_can_be_skipped_from_the_very_beginning() {
    let mut world = World::with(saga().http("a").then_http("b"));
    world.annotate(SKIP, "a");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.done(), last(&world).result),
        (SagaPhase::Completed, vec!["b"], RequestResult::Accepted)
    );
}

#[test]
fn a_step_skipped_while_nobody_knows_whether_it_was_done_is_named_at_the_end() {
    let draft = saga()
        .http("a")
        .undo()
        .then_http("b")
        .undo()
        .retry(attempts(2).always("1h"))
        .then_http("c");
    let mut world = World::with(draft.clone()).on("b", vec![unknown_but_done()]);
    world.run_until(|world| world.is("b", StepPhase::Retrying));
    ask(&mut world, SKIP, "b");
    assert_eq!(
        (world.phase(), world.still_in_effect()),
        (SagaPhase::Completed, vec!["b".to_owned()])
    );
    // The same holds if the saga is undone: a skipped step is not undone.
    let mut world =
        World::with(draft.compensating()).on("b", vec![unknown_but_done()]).fails("c", 1);
    world.run_until(|world| world.is("b", StepPhase::Retrying));
    ask(&mut world, SKIP, "b");
    assert_eq!(
        (world.phase(), world.undone(), world.still_in_effect()),
        (SagaPhase::Compensated, vec!["a"], vec!["b".to_owned()])
    );
    assert_eq!(world.condition("Ready").as_deref(), Some("False/CompensatedExcept"));
}

#[test]
fn a_compensation_that_is_skipped_leaves_its_step_in_effect_and_the_rest_is_undone() {
    let mut world = stuck();
    let record = ask(&mut world, SKIP, "b");
    assert_eq!(
        (record.result, record.message.as_str()),
        (RequestResult::Accepted, "step b is not undone and stays in effect")
    );
    assert_eq!(
        (world.phase(), world.undone(), world.still_in_effect()),
        (SagaPhase::Compensated, vec!["a"], vec!["b".to_owned()])
    );
    assert_eq!(world.step("b").phase, StepPhase::CompensationSkipped);
}

#[test]
fn a_pivot_that_is_skipped_is_passed() {
    let mut world = World::with(saga().http("a").undo().then_http("pay").pivot().then_http("c"))
        .fails("pay", 1)
        .fails("c", 1);
    world.run_to_rest();
    ask(&mut world, SKIP, "pay");
    let refused = ask(&mut world, COMPENSATE, "no");
    assert!(refused.message.contains("the pivot pay is passed"), "{refused:?}");
    assert_eq!(world.phase(), SagaPhase::Failed);
}
