//! Requests that users make by annotation: to retry steps.

use saga_operator::api::{HANDLED, RequestResult, SagaPhase, StepPhase};

use crate::{
    requests::{RETRY, ask, held, seconds, stuck, takes},
    saga::{Policy, attempts, saga},
    world::World,
};

#[test]
fn a_retry_gives_a_fresh_budget_and_the_numbers_go_on() {
    let mut world = World::with(saga().http("a").then_http("b").retry(attempts(2))).fails("b", 3);
    world.run_to_rest();
    assert_eq!((world.phase(), world.step("b").action.unwrap().attempt), (SagaPhase::Failed, 2));
    let record = ask(&mut world, RETRY, "b");
    assert_eq!(
        (record.result, record.number, record.message.as_str()),
        (RequestResult::Accepted, 1, "step b is tried again now, with a fresh budget")
    );
    let action = world.step("b").action.unwrap();
    assert_eq!((world.phase(), action.attempt, action.budget_used), (SagaPhase::Completed, 4, 2));
    assert_eq!(world.keys("b", saga_operator::api::Direction::Action), ["0", "1", "2", "3"]);
    assert!(!world.annotations.contains_key(RETRY), "the annotation is taken away");
    assert_eq!(world.annotations[HANDLED], "1");
}

#[test]
fn a_retry_does_not_wait_for_the_backoff() {
    let mut world = World::with(saga().http("a").retry(attempts(2).always("1h"))).fails("a", 1);
    world.run_until(|world| world.is("a", StepPhase::Retrying));
    world.annotate(RETRY, "*");
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
    assert!(world.elapsed() < seconds(60), "{:?}", world.elapsed());
}

#[test]
fn only_the_steps_named_run_while_another_one_is_failed() {
    let draft = saga().http("a").http("b").http("c").after(&["a"]).parallel(2);
    let mut world = World::with(draft).fails("a", 1).fails("b", 1);
    world.run_to_rest();
    ask(&mut world, RETRY, "a");
    assert_eq!((world.phase(), world.done()), (SagaPhase::Failed, vec!["a"]));
    assert!(world.is("c", StepPhase::Pending), "a dependant waits for a person, too");
    ask(&mut world, RETRY, "*");
    assert_eq!((world.phase(), world.done()), (SagaPhase::Completed, vec!["a", "b", "c"]));
}

#[test]
fn a_retried_step_waits_for_its_backoff_and_the_saga_is_running_meanwhile() {
    let draft = saga().http("a").retry(attempts(2).always("10s")).http("b").parallel(2);
    let mut world = World::with(draft).fails("a", 4).fails("b", 1);
    world.run_to_rest();
    world.annotate(RETRY, "a");
    world.run_until(|world| {
        world.is("a", StepPhase::Retrying) && world.step("a").action.unwrap().attempt == 2
    });
    assert_eq!(world.phase(), SagaPhase::Running, "a retry is under way");
    world.run_to_rest();
    assert_eq!((world.phase(), world.step("a").action.unwrap().attempt), (SagaPhase::Failed, 3));
    assert!(!world.step("a").retry_requested);
}

#[test]
fn a_retry_beats_a_compensation_that_has_not_begun() {
    let draft = saga().http("a").http("b").parallel(2).compensating();
    let mut world = World::with(draft).fails("a", 1).on("b", vec![takes(30)]);
    world.run_until(|world| world.is("a", StepPhase::Failed));
    world.annotate(RETRY, "a");
    world.run_to_rest();
    assert_eq!((world.phase(), world.done()), (SagaPhase::Completed, vec!["a", "b"]));
}

#[test]
fn retries_are_counted_and_the_spec_says_how_many_there_are() {
    let mut world = World::with(saga().http("a")).fails("a", 3);
    world.edit(|spec| spec.max_retry_requests = Some(1));
    world.run_to_rest();
    assert_eq!(ask(&mut world, RETRY, "a").result, RequestResult::Accepted);
    let refused = ask(&mut world, RETRY, "a");
    assert!(
        refused.result == RequestResult::Refused && refused.message.contains("raise it first"),
        "{refused:?}"
    );
    world.edit(|spec| spec.max_retry_requests = Some(2));
    assert_eq!(ask(&mut world, RETRY, "a").result, RequestResult::Accepted);
    assert_eq!(world.status().retry_requests, 2);
}

#[test]
fn a_deadline_that_passed_while_the_saga_waited_begins_anew() {
    let draft = saga().http("a").retry(attempts(3).always("1s").deadline("5s"));
    let mut world = World::with(draft).fails("a", 4);
    world.run_to_rest();
    world.run_for(seconds(10_000));
    ask(&mut world, RETRY, "a");
    assert_eq!(world.phase(), SagaPhase::Completed, "{}", world.message());
}

#[test]
fn a_failed_compensation_is_tried_again() {
    let mut world = stuck();
    assert!(
        world
            .message()
            .contains("kubectl annotate --overwrite saga/order-1042 saga.dev/retry=b -n shop"),
        "{}",
        world.message()
    );
    let record = ask(&mut world, RETRY, "b");
    assert_eq!(
        (record.result, world.phase(), world.undone()),
        (RequestResult::Accepted, SagaPhase::Compensated, vec!["b", "a"])
    );
    assert_eq!(world.still_in_effect(), Vec::<String>::new());
}

#[test]
fn an_action_never_runs_again_once_the_undoing_began() {
    let mut world = stuck();
    let refused = ask(&mut world, RETRY, "c");
    assert_eq!(
        (refused.result, refused.message.as_str()),
        (
            RequestResult::Refused,
            "step c is Failed; while the saga is being undone, retry is allowed for steps that \
             are Compensating and CompensationFailed: now b"
        )
    );
    assert_eq!(world.phase(), SagaPhase::CompensationFailed);
}

#[test]
fn a_step_that_failed_before_it_could_begin_is_a_contradiction_and_not_retried() {
    let mut world = World::with(saga().http("a").then_http("b")).fails("a", 1);
    world.run_to_rest();
    let mut status = world.raw.clone();
    status["steps"][1]["phase"] = "Failed".into();
    world.forge(status);
    world.annotate(RETRY, "b");
    world.run_for(seconds(60));
    assert_eq!(
        (world.sent(), world.condition("Stalled").as_deref()),
        (vec!["a/action/1".to_owned()], Some("True/InvalidStatus"))
    );
}

#[test]
fn what_is_asked_of_a_suspended_saga_is_promised_for_later() {
    let mut world = held();
    world.suspend();
    let record = ask(&mut world, RETRY, "b");
    assert_eq!(
        record.message,
        "step b is tried again as soon as the saga is no longer paused, with a fresh budget"
    );
    assert_eq!(world.sent().len(), 2);
}

#[test]
fn a_compensation_that_is_tried_again_leaves_the_instant_at_which_its_action_was_done() {
    let mut world = stuck();
    let done = world.step("b").completed_at;
    ask(&mut world, RETRY, "b");
    assert!(done.is_some() && world.step("b").completed_at == done);
}
