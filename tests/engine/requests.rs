//! What people ask for by annotation.

use std::time::Duration;

use proptest::prelude::*;
use saga_operator::{
    api::{HANDLED, OnFailure, RequestAction, RequestRecord, RequestResult, SagaPhase, StepPhase},
    engine::request::allowed,
};

use crate::{
    properties::for_all,
    saga::{Policy, attempts, saga},
    script::{Act, succeeds, unknown_but_done},
    world::World,
};

const RETRY: &str = "saga.dev/retry";
const SKIP: &str = "saga.dev/skip";
const COMPENSATE: &str = "saga.dev/compensate";

/// A saga of three steps whose second one failed, so that it waits.
fn held() -> World {
    let mut world =
        World::with(saga().http("a").undo().then_http("b").undo().then_http("c")).fails("b", 1);
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Failed);
    world
}

/// A saga whose only compensation failed.
fn stuck() -> World {
    let draft = saga()
        .http("a")
        .undo()
        .then_http("b")
        .undo()
        .undo_retry(attempts(1))
        .then_http("c")
        .compensating();
    let mut world = World::with(draft).fails("c", 1).undo_fails("b", 1);
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::CompensationFailed);
    world
}

fn ask(world: &mut World, key: &str, value: &str) -> RequestRecord {
    world.annotate(key, value);
    world.run_to_rest();
    last(world)
}

fn last(world: &World) -> RequestRecord {
    world.status().requests.last().cloned().expect("a record")
}

/// How many requests were accepted, refused and ignored.
fn results(world: &World) -> [usize; 3] {
    let count =
        |result| world.status().requests.iter().filter(|record| record.result == result).count();
    [count(RequestResult::Accepted), count(RequestResult::Refused), count(RequestResult::Ignored)]
}

fn takes(count: u64) -> Act {
    succeeds().takes(seconds(count))
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

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
    // The same where the saga is undone: a skipped step is not.
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

#[test]
fn a_held_saga_is_undone_when_someone_asks() {
    let mut world = held();
    let record = ask(&mut world, COMPENSATE, "the customer called");
    assert_eq!(
        (record.result, world.phase(), world.undone()),
        (RequestResult::Accepted, SagaPhase::Compensated, vec!["a"])
    );
    assert!(
        world.message().contains("the undo was asked for: the customer called"),
        "{}",
        world.message()
    );
}

#[test]
fn a_running_saga_lets_what_is_active_settle_before_it_is_undone() {
    let mut world = World::with(saga().http("a").undo().then_http("b").undo().then_http("c"))
        .on("b", vec![takes(20)]);
    world.run_until(|world| world.is("b", StepPhase::Running));
    world.annotate(COMPENSATE, "no");
    world.run_for(seconds(5));
    assert_eq!((world.phase(), world.undone().len()), (SagaPhase::Running, 0));
    assert!(
        world.message().contains("what is active settles, then all is undone"),
        "{}",
        world.message()
    );
    world.crash(seconds(1));
    world.run_to_rest();
    assert_eq!((world.phase(), world.still_in_effect().len()), (SagaPhase::Compensated, 0));
    assert!(world.is("c", StepPhase::Pending));
}

#[test]
fn a_completed_saga_is_undone_when_someone_asks_and_its_finalizer_comes_back_first() {
    let mut world = World::with(saga().http("a").undo().then_http("b").undo());
    world.run_to_rest();
    assert!(world.phase() == SagaPhase::Completed && !world.finalizer);
    world.annotate(COMPENSATE, "returned");
    world.run_until(|world| world.phase() == SagaPhase::Compensating);
    assert!(
        world.finalizer
            && world.status().completed_at.is_none()
            && world.status().still_in_effect.is_none()
    );
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["b", "a"]));
    let refused = ask(&mut world, COMPENSATE, "again");
    assert_eq!(
        refused.message,
        "the saga is Compensated: compensate is allowed while it is Running, Paused, Failed and \
         Completed"
    );
}

#[test]
fn a_completed_saga_whose_spec_changed_is_not_undone_by_it() {
    let mut world = World::with(saga().http("a").undo());
    world.run_to_rest();
    world.edit(|spec| spec.steps[0].http.as_mut().unwrap().body = None);
    let refused = ask(&mut world, COMPENSATE, "returned");
    assert!(refused.message.contains("restore the spec first"), "{refused:?}");
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn an_undo_that_was_asked_for_before_the_pivot_was_passed_is_not_carried_out_after_it() {
    let mut world = World::with(saga().http("a").undo().then_http("pay").pivot().then_http("c"))
        .on("pay", vec![takes(20)]);
    world.run_until(|world| world.is("pay", StepPhase::Running));
    world.annotate(COMPENSATE, "no");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.done(), last(&world).result),
        (SagaPhase::Completed, vec!["a", "pay", "c"], RequestResult::Accepted)
    );
    assert!(world.warnings().contains(&"PivotPassed"));
}

#[test]
fn a_suspended_saga_takes_requests_and_begins_nothing() {
    let mut world = held();
    world.suspend();
    assert_eq!(ask(&mut world, RETRY, "b").result, RequestResult::Accepted);
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Paused, 2));
    world.unsuspend();
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn several_requests_are_judged_one_after_the_other() {
    let mut world = held();
    world.annotate(RETRY, "b");
    world.annotate(SKIP, "b");
    world.annotate(COMPENSATE, "no");
    world.run_to_rest();
    let told: Vec<_> =
        world.status().requests.iter().map(|record| (record.action, record.result)).collect();
    let (refused, accepted) = (RequestResult::Refused, RequestResult::Accepted);
    assert_eq!(
        told,
        [
            (RequestAction::Compensate, accepted),
            (RequestAction::Skip, refused),
            (RequestAction::Retry, refused)
        ]
    );
    assert_eq!(world.phase(), SagaPhase::Compensated);
    assert_eq!(world.annotations[HANDLED], "3");
}

#[test]
fn a_list_is_all_or_nothing() {
    let draft = saga().http("a").http("b").http("c").parallel(3);
    let mut world = World::with(draft).fails("a", 1).fails("b", 1);
    world.run_to_rest();
    for (value, says) in [
        ("a,c", "step c is Completed"),
        ("a,nobody", "the saga has no step nobody"),
        ("a,,b", "a step's name is missing"),
    ] {
        let refused = ask(&mut world, RETRY, value);
        assert!(refused.message.contains(says), "{refused:?}");
        assert!(world.is("a", StepPhase::Failed) && world.is("b", StepPhase::Failed));
    }
    assert_eq!(world.status().retry_requests, 0);
    ask(&mut world, RETRY, "b, a");
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn a_refusal_says_what_is_allowed_and_changes_nothing_else() {
    let mut world = held();
    let before = world.status();
    let refused = ask(&mut world, SKIP, "a");
    assert_eq!(
        (refused.result, refused.message.as_str()),
        (
            RequestResult::Refused,
            "step a is Completed; skip is allowed for steps that are Pending, Retrying, Waiting \
             and Failed: now b and c"
        )
    );
    let after = world.status();
    assert_eq!(
        (&before.phase, &before.steps, &before.message),
        (&after.phase, &after.steps, &after.message)
    );
    assert_eq!(world.warnings().last(), Some(&"RequestRefused"));
    assert!(!world.annotations.contains_key(SKIP));
}

#[test]
fn the_same_plain_value_given_again_is_a_new_request() {
    let mut world = World::with(saga().http("a")).fails("a", 2);
    world.run_to_rest();
    assert_eq!(ask(&mut world, RETRY, "a").number, 1);
    assert_eq!(world.phase(), SagaPhase::Failed);
    assert_eq!(ask(&mut world, RETRY, "a").number, 2);
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Completed, 3));
}

#[test]
fn a_request_is_acted_on_once_wherever_the_process_dies() {
    for moves in 1..12 {
        for (key, value) in [(RETRY, "a"), (SKIP, "a"), (COMPENSATE, "no")] {
            let draft =
                saga().http("z").undo().then_http("a").undo().retry(attempts(2)).then_http("b");
            let mut world = World::with(draft).fails("a", 4);
            world.run_to_rest();
            let mut world = world.crash_later(moves, seconds(1));
            world.annotate(key, value);
            world.run_to_rest();
            assert_eq!(results(&world), [1, 0, 0], "{key}, dies after {moves} moves");
            assert!(!world.annotations.contains_key(key) && world.annotations[HANDLED] == "1");
            let expected = if key == RETRY { 4 } else { 2 };
            assert_eq!(
                world.step("a").action.unwrap().attempt,
                expected,
                "{key}, dies after {moves} moves"
            );
        }
    }
}

#[test]
fn a_token_is_handled_once_and_stays_where_it_is() {
    let mut world = World::with(saga().http("a")).fails("a", 3);
    world.run_to_rest();
    assert_eq!(ask(&mut world, RETRY, "a@t1").token.as_deref(), Some("t1"));
    assert_eq!((world.annotations[RETRY].as_str(), world.sent().len()), ("a@t1", 2));
    world.crash(seconds(1));
    world.run_for(seconds(1000));
    world.strip(RETRY);
    world.run_to_rest();
    assert_eq!(
        ask(&mut world, RETRY, "a@t1").number,
        1,
        "taken away and put back, it is the same request"
    );
    let refused = ask(&mut world, RETRY, "*@t1");
    assert!(
        refused.result == RequestResult::Refused && refused.message.contains("choose a new token"),
        "{refused:?}"
    );
    assert_eq!(results(&world), [1, 1, 0]);
    assert_eq!(ask(&mut world, RETRY, "a@t2").result, RequestResult::Accepted);
    assert_eq!((world.sent().len(), world.phase()), (3, SagaPhase::Failed));
}

#[test]
fn a_refused_token_is_used_up() {
    let mut world = World::with(saga().http("a").then_http("b")).fails("b", 1);
    world.annotate(RETRY, "b@t1");
    world.run_to_rest();
    assert_eq!(results(&world), [0, 0, 1], "a saga that is new was restored or copied");
    let mut world = held();
    ask(&mut world, RETRY, "c@t1");
    world.run_for(seconds(1000));
    assert_eq!((results(&world), world.phase()), ([0, 1, 0], SagaPhase::Failed));
}

#[test]
fn no_more_tokens_are_handled_than_are_remembered() {
    let mut world = held();
    for nth in 0..130 {
        ask(&mut world, SKIP, &format!("a@t{nth}"));
    }
    assert_eq!(world.status().handled_tokens.len(), 128);
    let refused = ask(&mut world, RETRY, "b@one-more");
    assert!(
        refused.result == RequestResult::Refused && refused.message.contains("by kubectl annotate"),
        "{refused:?}"
    );
    let writes = world.writes;
    world.crash(seconds(1));
    world.run_for(seconds(1000));
    assert_eq!(world.writes, writes, "it is refused once");
    assert_eq!(ask(&mut world, RETRY, "b").result, RequestResult::Accepted);
}

#[test]
fn a_plain_value_that_an_applied_manifest_holds_is_refused_once_and_left() {
    let mut world = held();
    world.held_in_git = true;
    let refused = ask(&mut world, RETRY, "b");
    assert!(refused.message.contains(r#"write saga.dev/retry: "b@TOKEN" there"#), "{refused:?}");
    world.crash(seconds(1));
    world.run_for(seconds(1000));
    assert_eq!((results(&world), world.annotations[RETRY].as_str()), ([0, 1, 0], "b"));
    ask(&mut world, RETRY, "b@t1");
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn what_was_refused_in_a_manifest_is_not_carried_out_because_the_manifest_no_longer_holds_it() {
    let mut world = held();
    for round in 1..3 {
        world.held_in_git = true;
        assert!(
            ask(&mut world, RETRY, "b").message.contains("an applied manifest holds this value"),
            "in round {round}"
        );
        // Somebody who may not ask takes away what says that a manifest holds it; the value stays
        // as it is.
        world.held_in_git = false;
        world.annotate("example.com/note", "no longer applied");
        world.run_to_rest();
        let refused = last(&world);
        assert!(
            refused.result == RequestResult::Refused
                && refused.message.contains("ask again by kubectl annotate"),
            "{refused:?}"
        );
        assert!(!world.annotations.contains_key(RETRY));
        assert_eq!(world.phase(), SagaPhase::Failed);
    }
    assert_eq!(ask(&mut world, RETRY, "b").result, RequestResult::Accepted);
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn nor_is_it_where_another_value_stood_there_meanwhile() {
    let mut world = held();
    world.held_in_git = true;
    ask(&mut world, RETRY, "b");
    // Somebody asks with a token, for nothing; the tool puts its value back, which was refused
    // already.
    ask(&mut world, RETRY, "nobody@t1");
    assert_eq!(ask(&mut world, RETRY, "b").value, "nobody@t1");
    world.held_in_git = false;
    let refused = ask(&mut world, RETRY, "b");
    assert!(
        refused.result == RequestResult::Refused
            && refused.message.contains("ask again by kubectl annotate"),
        "{refused:?}"
    );
    assert_eq!(world.phase(), SagaPhase::Failed);
    // That was once: whatever else is asked for in between, it may be asked for again.
    ask(&mut world, RETRY, "nobody");
    assert_eq!(ask(&mut world, RETRY, "b").result, RequestResult::Accepted);
}

#[test]
fn the_number_up_to_which_requests_are_handled_comes_back_when_someone_takes_it_away() {
    let mut world = World::with(saga().http("a")).fails("a", 2);
    world.run_to_rest();
    ask(&mut world, RETRY, "a");
    world.strip(HANDLED);
    world.run_to_rest();
    assert_eq!(world.annotations[HANDLED], "1");
    assert_eq!(ask(&mut world, RETRY, "a").number, 2);
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn numbers_go_on_where_the_status_was_lost() {
    let mut world = World::with(saga().http("a").then_http("b"));
    world.annotate(HANDLED, "41");
    world.annotate(SKIP, "a");
    world.run_to_rest();
    assert_eq!((last(&world).number, world.annotations[HANDLED].as_str()), (42, "42"));
}

#[test]
fn the_last_ten_requests_are_kept_and_the_newest_of_each_annotation() {
    let mut world = held();
    ask(&mut world, COMPENSATE, "@t0: no");
    let mut world = held();
    ask(&mut world, RETRY, "nobody");
    for _ in 0..15 {
        ask(&mut world, SKIP, "nobody");
    }
    let records = world.status().requests;
    assert_eq!(
        (records.len(), records[0].action, records[9].number),
        (10, RequestAction::Retry, 16)
    );
}

#[test]
fn a_saga_that_is_held_refuses_and_says_why() {
    let mut world = held();
    world.edit(|spec| spec.steps[0].http.as_mut().unwrap().body = None);
    let refused = ask(&mut world, RETRY, "b");
    assert!(
        refused.result == RequestResult::Refused && refused.message.contains("SpecChanged"),
        "{refused:?}"
    );
    assert!(!world.annotations.contains_key(RETRY));
}

#[test]
fn a_finished_saga_answers_and_stays_as_it_is() {
    let mut world = World::with(saga().http("a"));
    world.run_to_rest();
    let before = world.status();
    let refused = ask(&mut world, RETRY, "a");
    assert!(
        refused
            .message
            .starts_with("the saga is Completed: retry is allowed while it is Pending, Running"),
        "{refused:?}"
    );
    let after = world.status();
    assert_eq!(
        (before.phase, before.conditions, before.completed_at),
        (after.phase, after.conditions, after.completed_at)
    );
    assert!(!world.finalizer && !world.annotations.contains_key(RETRY));
}

#[test]
fn while_a_saga_is_deleted_its_compensations_can_be_retried_and_skipped() {
    let mut world = stuck();
    world.delete();
    world.run_to_rest();
    let refused = ask(&mut world, COMPENSATE, "no");
    assert!(refused.message.contains("CompensationFailed"), "{refused:?}");
    world.annotate(RETRY, "b");
    world.run_to_rest();
    assert!(world.gone && world.undone() == ["b", "a"]);
}

#[test]
fn what_the_table_allows_is_accepted_and_nothing_else_is() {
    // One world for each phase of a step, forward and backward.
    let forward = || {
        let draft = saga()
            .http("done")
            .http("failed")
            .http("retrying")
            .retry(attempts(2).always("1h"))
            .http("runs")
            .http("pending")
            .after(&["failed"]);
        let mut world = World::with(draft.parallel(4))
            .fails("failed", 1)
            .fails("retrying", 1)
            .on("runs", vec![takes(25)]);
        world.run_for(seconds(3));
        world
    };
    let backward = stuck;
    for action in [RequestAction::Skip, RequestAction::Retry] {
        for (way, make) in [(false, &forward as &dyn Fn() -> World), (true, &backward)] {
            for step in make().status().steps {
                let mut world = make();
                world.annotate(action.annotation(), &step.name);
                world.run_for(seconds(1));
                let accepted = last(&world).result == RequestResult::Accepted;
                let allowed = allowed::in_step_phases(action, way).contains(&step.phase);
                assert_eq!(
                    accepted,
                    allowed,
                    "{action} of a step that is {:?}: {:?}",
                    step.phase,
                    last(&world)
                );
            }
        }
    }
}

/// Texts as they are found on objects: names, lists, tokens, JSON, and anything at all.
fn value() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("a"),
        Just("b"),
        Just("c"),
        Just("nobody"),
        Just("*"),
        Just(""),
        Just("B"),
        Just(r#"b={"x":[1,2]}"#),
        Just("\u{0}")
    ];
    let list = prop::collection::vec(word, 0..5).prop_map(|words| words.join(","));
    let token =
        prop_oneof![2 => Just(String::new()), 2 => "@[A-Za-z0-9._-]{1,63}", 1 => "@[ -~]{0,70}"];
    prop_oneof![
        4 => (list, token).prop_map(|(list, token)| format!("{list}{token}")),
        1 => "@[A-Za-z0-9._-]{1,63}(: [ -~]{0,40})?",
        1 => "[,{}@*=\"\\\\ ]{0,40}",
        3 => any::<String>(),
        1 => (any::<char>(), 1..20_000_usize)
            .prop_map(|(letter, count)| std::iter::repeat_n(letter, count).collect()),
    ]
}

/// Whether it is one step with an object of outputs.
fn is_with_outputs(named: &str) -> bool {
    let object = |text: &str| {
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok()
    };
    named
        .split_once('=')
        .is_some_and(|(name, outputs)| ["b", "c"].contains(&name.trim()) && object(outputs))
}

/// The token by the grammar, found in another way than the operator's.
fn token(action: RequestAction, value: &str) -> Option<&str> {
    let value = value.trim();
    let token = if action.takes_reason() {
        value.strip_prefix('@')?.split(':').next()
    } else {
        value.contains('@').then(|| value.split('@').next_back()).flatten()
    };
    token.filter(|token| {
        (1..=63).contains(&token.len())
            && token.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter))
    })
}

/// What stands behind the token of a reason.
fn reason<'a>(value: &'a str, token: &str) -> &'a str {
    value.trim()[token.len() + 1..].trim_start_matches(':').trim_start()
}

#[test]
fn any_value_is_recorded_or_ignored_as_the_grammar_says() {
    let held = held();
    for_all(10_000, (value(), 0..RequestAction::ALL.len()), |(value, pick)| {
        let action = RequestAction::ALL[pick];
        let mut world = World::with(saga().http("a").undo().then_http("b").undo().then_http("c"));
        (world.finalizer, world.now) = (true, held.now);
        world.restore(held.raw.clone());
        world.annotate(action.annotation(), &value);
        world.run_to_rest();
        let records = world.status().requests;
        let stays = world.annotations.get(action.annotation()) == Some(&value);
        let token = token(action, &value);
        if value.trim().is_empty() {
            prop_assert!(records.is_empty() && stays);
        } else {
            prop_assert_eq!(records.len(), 1);
            prop_assert_eq!((records[0].token.as_deref(), stays), (token, token.is_some()));
            let named = value
                .rsplit_once('@')
                .map_or(value.as_str(), |(body, _)| if token.is_some() { body } else { &value });
            let good = match action {
                RequestAction::Cancel | RequestAction::Compensate | RequestAction::Pause => {
                    token.is_some_and(|token| !reason(&value, token).starts_with('@'))
                        || !value.trim().starts_with('@')
                }
                // Nothing is uncertain or paused, and nothing waits for an approval.
                RequestAction::Settle
                | RequestAction::Resume
                | RequestAction::Reject
                | RequestAction::Approve => false,
                RequestAction::Skip => {
                    named.split(',').all(|name| ["b", "c"].contains(&name.trim()))
                        || is_with_outputs(named)
                }
                RequestAction::Retry => {
                    named.trim() == "*" || named.split(',').all(|name| name.trim() == "b")
                }
            };
            prop_assert_eq!(records[0].result == RequestResult::Accepted, good);
        }
        Ok(())
    });
}

#[test]
fn a_saga_that_turns_back_by_its_policy_can_be_asked_as_well() {
    let mut world = held();
    world.edit(|spec| spec.on_failure = Some(OnFailure::Compensate));
    world.annotate(COMPENSATE, "");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.status().requests.len()),
        (SagaPhase::Compensated, 0),
        "blanks ask for nothing"
    );
}

#[test]
fn several_tokens_at_once_do_not_fill_more_room_than_there_is() {
    let mut world = held();
    let mut status = world.raw.clone();
    status["handledTokens"] = (0..127).map(|nth| format!("{nth:016x}-{nth:016x}")).collect();
    world.restore(status);
    for (key, value) in [(COMPENSATE, "@t1: no"), (SKIP, "a@t1"), (RETRY, "nobody@t1")] {
        world.annotations.insert(key.into(), value.into());
    }
    world.annotate("other", "x");
    world.run_to_rest();
    assert_eq!((world.status().handled_tokens.len(), world.phase()), (128, SagaPhase::Compensated));
    let full = world
        .status()
        .requests
        .iter()
        .filter(|record| record.message.contains("no more are remembered"))
        .count();
    assert_eq!(full, 2, "what is not remembered is refused");
}

#[test]
fn a_number_that_was_written_by_hand_leaves_room_to_count_on() {
    for by_hand in [(1_i64 << 50) - 1, 1 << 50, i64::MAX] {
        let mut world = World::with(saga().http("a")).fails("a", 2);
        world.annotate(HANDLED, &by_hand.to_string());
        world.run_to_rest();
        ask(&mut world, RETRY, "a");
        world.crash(seconds(1));
        world.run_to_rest();
        assert_eq!(ask(&mut world, RETRY, "a").result, RequestResult::Accepted);
        assert_eq!(
            (world.phase(), results(&world)),
            (SagaPhase::Completed, [2, 0, 0]),
            "{by_hand}"
        );
    }
}

#[test]
fn nobody_is_told_to_ask_for_what_is_refused() {
    let mut world = World::with(saga().http("a").undo().then_http("pay").pivot().then_http("ship"))
        .fails("ship", 1);
    world.run_to_rest();
    assert_eq!(ask(&mut world, COMPENSATE, "no").result, RequestResult::Refused);
    assert!(
        world.message().contains("saga.dev/skip=ship to go on without it"),
        "{}",
        world.message()
    );
    assert!(!world.message().contains(COMPENSATE), "{}", world.message());
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
fn a_completed_saga_of_which_nothing_can_be_undone_ends_anew_at_once() {
    let mut world = World::with(saga().http("a"));
    world.run_to_rest();
    let first = world.status().completed_at.unwrap();
    world.run_for(seconds(3600));
    ask(&mut world, COMPENSATE, "returned");
    assert_eq!(
        (world.phase(), world.still_in_effect()),
        (SagaPhase::Compensated, vec!["a".to_owned()])
    );
    let second = world.status().completed_at.unwrap();
    assert!(second.0.duration_since(first.0).as_secs() >= 3600, "{first:?} {second:?}");
}

#[test]
fn a_compensation_that_is_tried_again_leaves_the_instant_at_which_its_action_was_done() {
    let mut world = stuck();
    let done = world.step("b").completed_at;
    ask(&mut world, RETRY, "b");
    assert!(done.is_some() && world.step("b").completed_at == done);
}
