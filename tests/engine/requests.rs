//! Requests that users make by annotation: what is answered, and when.

use std::time::Duration;

use saga_operator::{
    api::{Direction, HANDLED, RequestAction, RequestRecord, RequestResult, SagaPhase, StepPhase},
    engine::request::allowed,
};

use crate::{
    saga::{Policy, attempts, saga},
    script::{Act, succeeds},
    world::World,
};

pub(crate) const RETRY: &str = "saga.dev/retry";
pub(crate) const SKIP: &str = "saga.dev/skip";
pub(crate) const COMPENSATE: &str = "saga.dev/compensate";

/// Creates a saga of three steps whose second step failed, so that the saga waits.
pub(crate) fn held() -> World {
    let mut world =
        World::with(saga().http("a").undo().then_http("b").undo().then_http("c")).fails("b", 1);
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Failed);
    world
}

/// Creates a saga whose only compensation failed.
pub(crate) fn stuck() -> World {
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

pub(crate) fn ask(world: &mut World, key: &str, value: &str) -> RequestRecord {
    world.annotate(key, value);
    world.run_to_rest();
    last(world)
}

pub(crate) fn last(world: &World) -> RequestRecord {
    world.status().requests.last().cloned().expect("a record")
}

/// Returns how many requests were accepted, refused and ignored.
pub(crate) fn results(world: &World) -> [usize; 3] {
    let count =
        |result| world.status().requests.iter().filter(|record| record.result == result).count();
    [count(RequestResult::Accepted), count(RequestResult::Refused), count(RequestResult::Ignored)]
}

pub(crate) fn takes(count: u64) -> Act {
    succeeds().takes(seconds(count))
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
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
    // One world with a step in each phase for the way forward, and one for the undo.
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
        let ways: [(_, &dyn Fn() -> World); 2] =
            [(Direction::Action, &forward), (Direction::Compensation, &backward)];
        for (way, make) in ways {
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
