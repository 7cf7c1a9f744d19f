//! Attempts that are under way when their saga is cancelled.

use std::time::Duration;

use saga_operator::api::{Direction, Outcome, RequestAction, SagaPhase, StepPhase};

use crate::{
    cancel::pod_runs,
    saga::saga,
    scenes::order,
    script::{never_ends, seconds, succeeds},
    world::World,
};

use RequestAction::Cancel;

#[test]
fn a_pod_is_stopped_and_its_attempt_settles_only_when_it_is_gone() {
    let mut world = pod_runs();
    world.demand(Cancel, "enough");
    assert_eq!((world.phase(), world.is("b", StepPhase::Running)), (SagaPhase::Running, true));
    assert!(world.step("b").action.unwrap().active.is_some(), "its Pod is still there");
    assert!(
        world.message().starts_with("cancelled: enough; active attempts are stopped"),
        "{}",
        world.message()
    );
    let asked = world.elapsed();
    world.run_to_rest();
    assert_eq!(world.elapsed().saturating_sub(asked), seconds(1), "it takes a second to end");
    let action = world.step("b").action.unwrap();
    assert_eq!(
        (world.phase(), action.attempts[0].outcome),
        (SagaPhase::Cancelled, Outcome::Unknown)
    );
    assert_eq!(
        (world.still_in_effect(), world.step("b").phase),
        (vec!["a".to_owned(), "b".to_owned()], StepPhase::Failed)
    );
    assert_eq!(world.status().progress.as_deref(), Some("1/3"));
}

#[test]
fn a_request_under_way_is_aborted_and_unknown() {
    let mut world = World::with(order()).on("b", vec![succeeds().takes(seconds(9))]);
    world.run_until(|world| world.is("b", StepPhase::Running));
    let asked = world.elapsed();
    world.demand(Cancel, "enough");
    world.run_to_rest();
    let action = world.step("b").action.unwrap();
    assert_eq!(
        (action.attempts[0].outcome, action.uncertain, world.elapsed()),
        (Outcome::Unknown, true, asked)
    );
    assert_eq!(
        (world.still_in_effect(), world.sent().len()),
        (vec!["a".to_owned(), "b".to_owned()], 2)
    );
}

#[test]
fn what_another_process_sent_is_waited_for_until_that_process_is_known_to_be_gone() {
    let mut world = World::with(order()).on("b", vec![succeeds().takes(seconds(9))]);
    world.run_until(|world| world.is("b", StepPhase::Running));
    world.crash(seconds(1));
    world.demand(Cancel, "enough");
    world.run_for(seconds(5));
    assert_eq!((world.phase(), world.is("b", StepPhase::Running)), (SagaPhase::Running, true));
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.still_in_effect()),
        (SagaPhase::Cancelled, vec!["a".to_owned(), "b".to_owned()])
    );
}

#[test]
fn a_pod_that_was_refused_did_nothing_and_one_that_nobody_can_tell_of_may_have() {
    let draft = saga().http("a").undo().then_pod("b").undo();
    let mut world = World::with(draft.clone()).on("b", vec![succeeds().refused_first(50)]);
    world.run_until(|world| world.step("b").message.is_some());
    world.demand(Cancel, "enough");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.still_in_effect()),
        (SagaPhase::Cancelled, vec!["a".to_owned()])
    );
    // The answer to the creation was lost, so the child may exist.
    let mut world = World::with(draft).on("b", vec![succeeds().lost_first(40)]);
    world.run_until(|world| world.is("b", StepPhase::Running));
    world.demand(Cancel, "enough");
    world.run_to_rest();
    assert_eq!(
        (world.sent_at("b", Direction::Action).len(), world.still_in_effect()),
        (0, vec!["a".to_owned(), "b".to_owned()])
    );
}

#[test]
fn an_outcome_that_is_there_already_is_kept() {
    let mut world = pod_runs_for(seconds(9));
    world.now += jiff::SignedDuration::from_secs(9);
    world.demand(Cancel, "enough");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.step("b").phase),
        (SagaPhase::Cancelled, StepPhase::Completed)
    );
    assert_eq!(
        (world.status().progress.as_deref(), world.still_in_effect().len()),
        (Some("2/3"), 2)
    );
}

fn pod_runs_for(duration: Duration) -> World {
    let mut world = World::with(saga().http("a").undo().then_pod("b").undo().then_http("c"))
        .on("b", vec![succeeds().takes(duration)]);
    world.run_until(|world| world.is("b", StepPhase::Running));
    world
}

#[test]
fn several_at_once_are_all_stopped_and_what_ends_meanwhile_counts() {
    let draft =
        saga().http("a").pod("b").pod("d").approval("ok").http("late").after(&["a"]).parallel(8);
    let mut world = World::with(draft)
        .on("a", vec![succeeds().takes(seconds(20))])
        .on("b", vec![never_ends()])
        .on("d", vec![never_ends()]);
    world.run_for(seconds(5));
    world.demand(Cancel, "enough");
    world.run_to_rest();
    let phases: Vec<_> = world.status().steps.iter().map(|step| step.phase).collect();
    let failed = StepPhase::Failed;
    assert_eq!(phases, [failed, failed, failed, StepPhase::Pending, StepPhase::Pending]);
    assert_eq!(world.still_in_effect(), ["a", "b", "d"]);
}
