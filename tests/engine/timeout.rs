//! The timeout of a saga: how long it may go forward.

use std::time::Duration;

use saga_operator::api::{
    Direction, OnFailure, Outcome, RequestAction, RequestResult, SagaPhase, StepPhase,
};

use crate::{
    saga::{Draft, Policy, attempts, duration, saga},
    scenes::{SCENES, timed_out},
    script::{Act, never_ends, says_no, seconds, stuck, succeeds, unknown},
    world::World,
};

use RequestAction::{Cancel, Compensate, Pause, Resume, Retry, Skip};

fn takes(count: u64) -> Act {
    succeeds().takes(seconds(count))
}

/// Three requests within ten seconds.
fn order() -> Draft {
    saga().http("a").undo().then_http("b").undo().then_http("c").within("10s")
}

#[test]
fn a_saga_that_keeps_within_its_time_never_hears_of_it() {
    let mut world = World::with(order()).on("b", vec![takes(7)]);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.elapsed(), world.status().timed_out_at),
        (SagaPhase::Completed, seconds(9), None)
    );
    assert!(world.warnings().is_empty());
}

#[test]
fn a_pod_that_is_active_is_stopped_and_may_have_done_it() {
    let draft = saga().http("a").undo().then_pod("b").undo().then_http("c").within("10s");
    let mut world = World::with(draft).on("b", vec![never_ends()]);
    world.run_until(|world| world.status().timed_out_at.is_some());
    assert_eq!(
        (world.elapsed(), world.is("b", StepPhase::Running)),
        (seconds(10), true),
        "its Pod is still there"
    );
    assert_eq!(world.warnings(), ["TimedOut"]);
    world.run_to_rest();
    let action = world.step("b").action.unwrap();
    assert_eq!(
        (world.phase(), action.attempts[0].outcome, world.elapsed()),
        (SagaPhase::Failed, Outcome::Unknown, seconds(11))
    );
    assert_eq!(world.condition("Ready").as_deref(), Some("False/TimedOut"));
    assert_eq!(world.condition("Stalled").as_deref(), Some("True/TimedOut"));
    assert!(
        world.message().starts_with(
            "the saga's timeout of 10s passed; step b failed: attempt 1 may have happened: "
        ),
        "{}",
        world.message()
    );
    assert!(world.is("c", StepPhase::Pending));
}

#[test]
fn a_request_that_is_active_ends_with_the_sagas_time() {
    let mut world = World::with(order()).on("b", vec![takes(25)]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Failed, seconds(10)));
    assert_eq!(world.step("b").action.unwrap().attempts[0].outcome, Outcome::Unknown);
    assert!(
        world
            .step("b")
            .message
            .unwrap()
            .contains("(the saga's timeout of 10s passed); it may have acted: "),
        "{:?}",
        world.step("b").message
    );
}

#[test]
fn no_attempt_follows_one_that_was_stopped_whatever_its_budget() {
    let draft = saga()
        .http("a")
        .retry(attempts(9).always("1s"))
        .http("b")
        .retry(attempts(9).always("1s"))
        .parallel(2)
        .within("10s");
    let mut world =
        World::with(draft).on("a", vec![takes(25)]).on("b", vec![says_no().takes(seconds(10))]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Failed, 2));
    assert!(world.is("a", StepPhase::Failed) && world.is("b", StepPhase::Failed));
}

#[test]
fn a_step_that_waits_for_its_next_attempt_fails() {
    let draft =
        saga().http("a").undo().then_http("b").undo().retry(attempts(5).always("1h")).within("10s");
    let mut world = World::with(draft.clone()).fails("b", 1);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.elapsed(), world.step("b").phase),
        (SagaPhase::Failed, seconds(10), StepPhase::Failed)
    );
    assert_eq!(
        world.step("b").message.as_deref(),
        Some("the saga's timeout of 10s passed; attempt 1 failed: no")
    );
    // Where it may have happened, it is undone.
    let mut world = World::with(draft.compensating()).on("b", vec![unknown()]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["b", "a"]));
}

#[test]
fn what_only_waits_fails_as_well() {
    for draft in [saga().approval("w").then_http("b"), saga().wait("w", "1h").then_http("b")] {
        let mut world = World::with(draft.within("10s"));
        world.run_to_rest();
        assert_eq!(
            (world.phase(), world.elapsed(), world.step("w").phase),
            (SagaPhase::Failed, seconds(10), StepPhase::Failed)
        );
        assert_eq!(
            world.step("w").message.as_deref(),
            Some("attempt 1 failed: the saga's timeout of 10s passed")
        );
        assert_eq!(world.step("w").action.unwrap().attempts[0].outcome, Outcome::Failed);
    }
}

#[test]
fn a_saga_in_which_nothing_was_active_fails_by_itself_and_goes_on_when_retried() {
    let mut world = timed_out();
    assert_eq!(
        (world.condition("Ready").as_deref(), world.elapsed()),
        (Some("False/TimedOut"), seconds(10))
    );
    assert!(world.status().steps.iter().all(|step| step.phase != StepPhase::Failed));
    let message = "the saga's timeout of 10s passed. The saga waits for you. To go on with a \
        fresh timeout: kubectl annotate --overwrite saga/order-1042 saga.dev/retry='*' -n shop";
    assert_eq!(world.message(), message);
    assert!(
        world.refused(Retry, "b").contains("step b is Pending"),
        "no step is to be tried again"
    );
    assert_eq!(world.demand(Retry, "*"), "the saga goes on now, with a fresh timeout");
    assert_eq!((world.status().timed_out_at, world.phase()), (None, SagaPhase::Running));
    world.run_to_rest();
    assert_eq!((world.phase(), world.status().retry_requests), (SagaPhase::Completed, 1));
}

#[test]
fn a_saga_that_timed_out_has_other_ways_out() {
    for (action, value, phase) in
        [(Compensate, "no", SagaPhase::Compensated), (Cancel, "no", SagaPhase::Cancelled)]
    {
        let mut world = timed_out();
        world.demand(action, value);
        world.run_to_rest();
        assert_eq!(world.phase(), phase);
    }
    // What is skipped is done with; the saga's time is over all the same, but where nothing is left
    // to be done.
    let mut world = timed_out();
    world.demand(Skip, "b");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.condition("Ready").as_deref()),
        (SagaPhase::Failed, Some("False/TimedOut"))
    );
    world.demand(Skip, "c");
    world.run_to_rest();
    assert_eq!((world.phase(), world.done()), (SagaPhase::Completed, vec!["a"]));
    let mut world = timed_out();
    world.edit(|spec| spec.on_failure = Some(OnFailure::Compensate));
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["a"]));
    let mut world = timed_out();
    world.delete();
    world.run_to_rest();
    assert_eq!((world.gone, world.undone()), (true, vec!["a"]));
}

#[test]
fn a_retry_counts_among_those_that_are_allowed_also_where_no_step_failed() {
    let mut world = timed_out();
    world.edit(|spec| spec.max_retry_requests = Some(0));
    assert!(world.refused(Retry, "*").contains("raise it first"));
}

#[test]
fn the_end_comes_before_the_time_that_passes_with_it() {
    let mut world = World::with(saga().http("a").within("10s")).on("a", vec![takes(10)]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Completed, seconds(10)));
}

#[test]
fn where_a_failure_compensates_so_does_the_timeout() {
    let mut world = World::with(order().compensating()).on("b", vec![takes(25)]);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.undone(), world.still_in_effect().len()),
        (SagaPhase::Compensated, vec!["b", "a"], 0)
    );
    assert!(world.message().contains("the saga's timeout of 10s passed"), "{}", world.message());
    // Also where nothing was active.
    let mut world = World::with(order().compensating()).on("a", vec![takes(10)]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["a"]));
    // After a pivot it holds.
    let draft = saga()
        .http("a")
        .undo()
        .then_http("pay")
        .pivot()
        .then_http("c")
        .compensating()
        .within("10s");
    let mut world = World::with(draft).on("pay", vec![takes(9)]);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.undone().len(), world.condition("Ready").as_deref()),
        (SagaPhase::Failed, 0, Some("False/TimedOut"))
    );
}

#[test]
fn there_is_no_timeout_on_the_way_back() {
    let draft = saga()
        .http("a")
        .undo()
        .undo_retry(attempts(5).always("1h"))
        .then_http("b")
        .compensating()
        .within("10s");
    let mut world = World::with(draft).fails("b", 1).undo_fails("a", 3);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.undone(), world.status().timed_out_at),
        (SagaPhase::Compensated, vec!["a"], None)
    );
    assert!(world.elapsed() > Duration::from_hours(3));
    // Not in CompensationFailed either, and not for an undo that was asked for late.
    let draft =
        saga().http("a").undo().undo_retry(attempts(1)).then_http("b").compensating().within("10s");
    let mut world = World::with(draft).fails("b", 1).undo_fails("a", 1);
    world.run_to_rest();
    world.run_for(seconds(1000));
    world.demand(Retry, "a");
    world.run_to_rest();
    assert_eq!((world.phase(), world.status().timed_out_at), (SagaPhase::Compensated, None));
    let mut world = World::with(order());
    world.run_to_rest();
    world.run_for(seconds(1000));
    world.demand(Compensate, "returned");
    world.run_to_rest();
    assert_eq!((world.phase(), world.status().timed_out_at), (SagaPhase::Compensated, None));
}

#[test]
fn it_stands_still_while_the_saga_is_paused_or_suspended() {
    for suspend in [false, true] {
        let mut world = World::with(order()).on("b", vec![takes(5)]);
        world.run_until(|world| world.is("b", StepPhase::Running));
        if suspend {
            world.suspend();
        } else {
            world.demand(Pause, "lunch");
        }
        world.run_to_rest();
        world.run_for(seconds(100_000));
        assert_eq!((world.phase(), world.status().timed_out_at), (SagaPhase::Paused, None));
        if suspend {
            world.unsuspend();
        } else {
            world.demand(Resume, "back");
        }
        world.run_to_rest();
        assert_eq!(
            (world.phase(), world.status().timed_out_at),
            (SagaPhase::Completed, None),
            "suspend: {suspend}"
        );
    }
}

#[test]
fn what_was_used_before_a_pause_counts_after_it() {
    let mut world = World::with(order()).on("a", vec![takes(4)]).on("b", vec![takes(25)]);
    world.run_for(seconds(3));
    world.demand(Pause, "lunch");
    world.run_for(seconds(1000));
    let resumed = world.elapsed();
    world.demand(Resume, "back");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.elapsed().saturating_sub(resumed)),
        (SagaPhase::Failed, seconds(7))
    );
}

#[test]
fn it_stands_still_while_the_saga_is_failed() {
    let mut world = World::with(order()).fails("b", 1).on("c", vec![takes(25)]);
    world.run_to_rest();
    world.run_for(seconds(100_000));
    assert_eq!(
        (world.phase(), world.condition("Ready").as_deref()),
        (SagaPhase::Failed, Some("False/StepFailed"))
    );
    let resumed = world.elapsed();
    // Two of ten seconds were used when it failed: a skip gives no fresh ones.
    world.demand(Skip, "b");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.elapsed().saturating_sub(resumed)),
        (SagaPhase::Failed, seconds(8))
    );
    assert_eq!(world.condition("Ready").as_deref(), Some("False/TimedOut"));
}

#[test]
fn a_saga_that_is_paused_while_it_is_failed_has_its_time_when_it_goes_on() {
    let mut world = World::with(order()).fails("b", 1);
    world.run_to_rest();
    world.run_for(seconds(1000));
    world.demand(Pause, "lunch");
    world.run_for(seconds(1000));
    world.demand(Retry, "b");
    world.run_for(seconds(1000));
    assert_eq!((world.phase(), world.status().timed_out_at), (SagaPhase::Paused, None));
    world.demand(Resume, "back");
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed, "{}", world.message());
}

#[test]
fn a_retry_gives_a_fresh_one() {
    let mut world = World::with(order()).on("b", vec![takes(25)]).on("c", vec![takes(25)]);
    world.run_to_rest();
    world.run_for(seconds(1000));
    let retried = world.elapsed();
    assert_eq!(world.demand(Retry, "b"), "step b is tried again now, with a fresh budget");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.elapsed().saturating_sub(retried)),
        (SagaPhase::Failed, seconds(10))
    );
    assert!(world.is("b", StepPhase::Completed) && world.is("c", StepPhase::Failed));
    world.demand(Retry, "*");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.keys("c", Direction::Action)),
        (SagaPhase::Completed, vec!["0", "0"])
    );
    // Also while the saga runs.
    let draft = saga().http("a").retry(attempts(3).always("8s")).then_http("b").within("10s");
    let mut world = World::with(draft).fails("a", 1).on("b", vec![takes(9)]);
    world.run_for(seconds(5));
    world.demand(Retry, "a");
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Completed, seconds(15)));
}

#[test]
fn a_retry_on_the_way_back_leaves_it_alone() {
    let mut world = crate::scenes::compensation_failed();
    let before = world.status().timeout_started_at;
    world.demand(Retry, "b");
    assert_eq!(world.status().timeout_started_at, before);
}

#[test]
fn it_counts_from_the_recorded_instant_whoever_looks() {
    let draft = saga().pod("a").within("1h");
    let mut world = World::with(draft).on("a", vec![never_ends()]);
    world.run_for(seconds(60));
    world.crash(seconds(3000));
    world.run_until(|world| world.status().timed_out_at.is_some());
    assert_eq!(world.elapsed(), seconds(3600));
}

#[test]
fn it_may_be_changed_while_the_saga_runs() {
    let mut world = World::with(order()).on("b", vec![takes(25)]);
    world.run_until(|world| world.is("b", StepPhase::Running));
    world.edit(|spec| spec.timeout = Some(duration("5s")));
    world.run_to_rest();
    // The request was given its own time when it was sent, and is aborted at the new end.
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Failed, seconds(5)));
    let mut world = World::with(saga().pod("b").within("10s")).on("b", vec![takes(25)]);
    world.run_for(seconds(5));
    world.edit(|spec| spec.timeout = None);
    world.run_to_rest();
    assert_eq!((world.phase(), world.status().timed_out_at), (SagaPhase::Completed, None));
}

#[test]
fn a_timeout_that_passed_is_taken_back_by_a_retry_and_by_nothing_else() {
    let mut world = timed_out();
    let at = world.status().timed_out_at;
    world.edit(|spec| spec.timeout = Some(duration("10h")));
    world.run_to_rest();
    world.demand(Pause, "lunch");
    world.demand(Resume, "back");
    world.run_to_rest();
    assert_eq!(
        (world.status().timed_out_at, world.phase(), world.sent().len()),
        (at, SagaPhase::Failed, 1)
    );
    world.demand(Retry, "*");
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn a_pause_leaves_the_saga_alone_however_little_of_its_time_is_left() {
    for draft in [saga().approval("w"), saga().wait("w", "50h"), saga().pod("w")] {
        let mut world = World::with(draft.then_http("last").within("10s")).on("w", vec![takes(50)]);
        world.run_for(Duration::from_millis(9_999));
        world.demand(Pause, "lunch");
        let writes = world.writes;
        world.run_to_rest();
        assert_eq!((world.phase(), world.status().timed_out_at), (SagaPhase::Paused, None));
        assert!(world.writes <= writes + 2, "{} writes", world.writes);
    }
}

#[test]
fn the_time_limit_of_an_attempt_that_is_shorter_comes_first() {
    let mut world =
        World::with(saga().pod("a").timeout("5s").within("1h")).on("a", vec![never_ends()]);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.condition("Ready").as_deref()),
        (SagaPhase::Failed, Some("False/StepFailed"))
    );
    assert_eq!(world.elapsed(), seconds(6));
}

#[test]
fn in_every_situation_the_timeout_only_touches_what_goes_forward() {
    for (scene, make) in SCENES {
        let mut world = make();
        let before = world.status();
        let back =
            matches!(before.phase, Some(SagaPhase::Compensating | SagaPhase::CompensationFailed));
        let still = world.spec.suspend == Some(true)
            || before.paused.is_some()
            || before.phase == Some(SagaPhase::Failed);
        let ends =
            before.phase.is_some_and(SagaPhase::is_terminal) || before.cancel_requested.is_some();
        if ends || world.saga.is_err() || before.timed_out_at.is_some() {
            continue;
        }
        let one_more_second = format!("{}ms", world.elapsed().as_millis() + 1000);
        world.edit(|spec| spec.timeout = Some(duration(&one_more_second)));
        world.run_for(seconds(10_000));
        assert_eq!(
            world.status().timed_out_at.is_some(),
            !(back || still),
            "{scene}: {:?}",
            world.status()
        );
    }
}

#[test]
fn a_request_that_is_active_while_the_saga_is_paused_is_not_cut_by_the_sagas_time() {
    for policy in [attempts(1), attempts(1).deadline("10s")] {
        let draft = saga().http("a").retry(policy.clone()).then_http("b");
        let draft = if policy.deadline.is_some() { draft } else { draft.within("10s") };
        let mut world = World::with(draft).on("a", vec![takes(15)]);
        world.run_for(seconds(5));
        world.demand(Pause, "lunch");
        world.run_to_rest();
        assert_eq!(
            (world.phase(), world.elapsed(), world.is("a", StepPhase::Completed)),
            (SagaPhase::Paused, seconds(15), true)
        );
    }
}

#[test]
fn a_request_that_does_not_end_itself_is_aborted_at_the_sagas_time() {
    let mut world =
        World::with(saga().http("a").timeout("10m").within("10s")).on("a", vec![stuck()]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Failed, seconds(10)));
    // The same goes for the deadline of a budget.
    let draft = saga().http("a").timeout("10m").retry(attempts(2).deadline("10s"));
    let mut world = World::with(draft).on("a", vec![stuck()]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Failed, seconds(10)));
}

#[test]
fn a_timeout_that_is_lowered_below_what_was_used_has_passed() {
    let mut world = World::with(order()).on("a", vec![takes(5)]);
    world.run_for(seconds(5));
    world.demand(Pause, "lunch");
    world.run_to_rest();
    world.edit(|spec| spec.timeout = Some(duration("2s")));
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.condition("Ready").as_deref()),
        (SagaPhase::Failed, Some("False/Paused"))
    );
    assert!(world.status().timed_out_at.is_some());
}

#[test]
fn a_retry_of_a_saga_that_timed_out_is_refused_while_it_is_undone() {
    let mut world =
        World::with(order().compensating()).on("a", vec![takes(10)]).on_undo("a", vec![takes(20)]);
    world.run_until(|world| world.is("a", StepPhase::Compensating));
    assert!(world.status().timed_out_at.is_some());
    assert_eq!(world.ask(Retry, "*").result, RequestResult::Refused);
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Compensated);
}
