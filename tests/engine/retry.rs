//! Attempts: how many, when, and under which key.

use std::time::Duration;

use saga_operator::api::{
    Direction::{Action, Compensation},
    SagaPhase, StepPhase,
};

use crate::{
    saga::{Draft, Policy, attempts, saga},
    script::{
        disrupted, millis, not_reached, says_no, seconds, succeeds, times, turned_away, unknown,
        unknown_but_done, vanishes,
    },
    world::World,
};

/// Returns when the attempts of a step begin that takes no time and always fails, in milliseconds.
fn begins(draft: Draft) -> Vec<i64> {
    let mut world = World::with(draft).on("a", times(20, &says_no().takes(Duration::ZERO)));
    world.run_to_rest();
    world.sent_at("a", Action)
}

#[test]
fn backoff_none_waits_the_same_every_time() {
    assert_eq!(begins(saga().http("a").retry(attempts(4).always("3s"))), [0, 3000, 6000, 9000]);
}

#[test]
fn backoff_linear_grows_by_the_initial_delay() {
    assert_eq!(begins(saga().http("a").retry(attempts(4).linear("3s"))), [0, 3000, 9000, 18_000]);
}

#[test]
fn backoff_exponential_doubles() {
    assert_eq!(
        begins(saga().http("a").retry(attempts(5).exponential("3s"))),
        [0, 3000, 9000, 21_000, 45_000]
    );
}

#[test]
fn no_delay_is_longer_than_max_delay() {
    assert_eq!(
        begins(saga().http("a").retry(attempts(5).exponential("3s").at_most("7s"))),
        [0, 3000, 9000, 16_000, 23_000]
    );
}

#[test]
fn without_a_policy_an_action_is_tried_once_and_a_compensation_ten_times() {
    let draft = saga().http("a").undo().then_http("b").compensating();
    let mut world =
        World::with(draft).fails("b", 1).on_undo("a", times(20, &says_no().takes(Duration::ZERO)));
    world.run_to_rest();
    assert_eq!(world.sent_at("b", Action).len(), 1);
    // The delay begins at one second and doubles up to one minute.
    assert_eq!(
        world.sent_at("a", Compensation),
        [2, 3, 5, 9, 17, 33, 65, 125, 185, 245].map(|second| second * 1000)
    );
}

#[test]
fn next_attempt_at_stands_in_the_status_and_counts_from_the_settled_instant() {
    let mut world = World::with(saga().http("a").retry(attempts(2).always("5s")))
        .on("a", vec![says_no().takes(millis(1234))]);
    world.run_until(|world| world.is("a", StepPhase::Retrying));
    let next = world.step("a").next_attempt_at.unwrap();
    assert_eq!(next.0.as_millisecond() - crate::world::DAWN * 1000, 6234);
    assert_eq!(world.condition("Ready").as_deref(), Some("Unknown/Retrying"));
    let expected =
        "step a waits: attempt 1 failed: no; attempt 2 of 2 begins at 2026-01-01T00:00:06.234Z";
    assert_eq!(world.message(), expected);
    world.run_to_rest();
    assert_eq!(world.sent_at("a", Action), [0, 6234]);
    assert_eq!(world.step("a").next_attempt_at, None);
    assert_eq!(world.status().retries, Some(1));
}

#[test]
fn jitter_stays_within_its_bounds_and_is_the_same_after_a_restart() {
    let draft = saga().http("a").retry(attempts(6).always("10s").jitter(0.2));
    let undisturbed = begins(draft.clone());
    let gaps: Vec<_> = undisturbed.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        gaps.iter().all(|gap| (8000..=12_000).contains(gap))
            && gaps.iter().any(|gap| *gap != gaps[0]),
        "{gaps:?}"
    );
    let mut world = World::with(draft).on("a", times(20, &says_no().takes(Duration::ZERO)));
    for waiting in 1..=5 {
        world.run_until(|world| world.step("a").action.unwrap().sequence == Some(waiting));
        world.crash(seconds(3));
    }
    world.run_to_rest();
    assert_eq!(world.sent_at("a", Action), undisturbed);
}

#[test]
fn nothing_is_waited_for_after_the_last_attempt() {
    let mut world = World::with(saga().http("a").retry(attempts(2).always("1m"))).fails("a", 2);
    world.run_to_rest();
    assert_eq!((world.phase(), world.elapsed()), (SagaPhase::Failed, seconds(62)));
    assert_eq!(
        world.step("a").message.as_deref(),
        Some("attempt 2 failed: no (no attempt is left of 2)")
    );
}

#[test]
fn a_final_answer_ends_the_attempts_whatever_the_policy_says() {
    let mut world =
        World::with(saga().http("a").retry(attempts(5))).on("a", vec![says_no().finally()]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Failed, 1));
}

#[test]
fn what_the_other_side_wants_waited_for_is_waited_for_beyond_max_delay() {
    let draft = saga().http("a").retry(attempts(2).exponential("1s").at_most("5s"));
    let mut world = World::with(draft).on("a", vec![turned_away().and_wants(seconds(300))]);
    world.run_to_rest();
    assert_eq!(world.sent_at("a", Action), [0, 301_000]);
    // An Unknown outcome may carry a wait too. A wait shorter than the delay of the policy changes
    // nothing.
    let draft = saga().http("a").retry(attempts(3).always("10s"));
    let mut world = World::with(draft)
        .on("a", vec![unknown().and_wants(seconds(30)), unknown().and_wants(seconds(3))]);
    world.run_to_rest();
    assert_eq!(world.sent_at("a", Action), [0, 31_000, 42_000]);
}

#[test]
fn only_a_no_moves_the_key_and_none_does_after_an_unknown_outcome() {
    let draft = saga().http("a").retry(attempts(9).always("1s"));
    let acts = vec![
        turned_away(),
        not_reached(),
        says_no(),
        says_no(),
        turned_away(),
        unknown(),
        turned_away(),
        says_no(),
    ];
    let mut world = World::with(draft).on("a", acts);
    world.run_to_rest();
    assert_eq!(world.keys("a", Action), ["0", "0", "0", "1", "2", "2", "2", "2", "2"]);
    assert_eq!(world.phase(), SagaPhase::Completed);
}

#[test]
fn a_step_is_uncertain_until_it_is_done_whatever_else_is_answered() {
    let draft = saga().http("a").retry(attempts(9).always("1s"));
    let acts = vec![
        not_reached(),
        turned_away(),
        unknown(),
        turned_away(),
        not_reached(),
        says_no(),
        unknown(),
        succeeds(),
    ];
    let mut world = World::with(draft).on("a", acts);
    let expected = [false, false, true, true, true, true, true, false];
    for (settled, expected) in (1..).zip(expected) {
        world.run_until(|world| world.step("a").action.unwrap().sequence == Some(settled));
        assert_eq!(world.step("a").action.unwrap().uncertain, expected, "after attempt {settled}");
    }
}

#[test]
fn the_other_side_can_tell_a_repeated_request_by_its_key() {
    let draft = saga().http("a").retry(attempts(2));
    let mut world = World::with(draft).on("a", vec![unknown_but_done(), says_no()]);
    world.run_to_rest();
    assert_eq!((world.phase(), world.keys("a", Action)), (SagaPhase::Completed, vec!["0", "0"]));
}

#[test]
fn a_prefix_stands_in_the_key_instead_of_the_uid() {
    let mut draft = saga().http("a");
    draft.0.idempotency_prefix = Some("order-1042".into());
    let mut world = World::with(draft);
    world.run_to_rest();
    assert_eq!(world.services.sent[0].key, "order-1042/a/action/0");
}

#[test]
fn a_disruption_before_the_start_costs_no_attempt_at_most_five_times() {
    let draft = saga().pod("a").retry(attempts(2).always("1s"));
    let mut world = World::with(draft.clone()).on("a", times(5, &disrupted())).fails("a", 1);
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Completed, 7));
    let action = world.step("a").action.unwrap();
    assert_eq!((action.attempt, action.budget_used, action.disruptions), (7, 2, 5));
    let mut world = World::with(draft).on("a", times(6, &disrupted())).fails("a", 1);
    world.run_to_rest();
    assert_eq!((world.phase(), world.sent().len()), (SagaPhase::Failed, 7));
}

#[test]
fn a_compensation_is_tried_again_as_its_own_policy_says() {
    let draft =
        saga().http("a").undo().undo_retry(attempts(3).linear("2s")).then_http("b").compensating();
    let mut world = World::with(draft).fails("b", 1).on_undo("a", vec![says_no(), unknown()]);
    world.run_to_rest();
    assert_eq!(world.sent_at("a", Compensation), [2000, 5000, 10_000]);
    assert_eq!(world.keys("a", Compensation), ["0", "1", "1"]);
    assert_eq!((world.phase(), world.undone()), (SagaPhase::Compensated, vec!["a"]));
}

#[test]
fn the_last_five_attempts_are_kept() {
    let mut world = World::with(saga().http("a").retry(attempts(9).always("1s"))).fails("a", 7);
    world.run_to_rest();
    let kept: Vec<_> =
        world.step("a").action.unwrap().attempts.iter().map(|record| record.attempt).collect();
    assert_eq!(kept, [4, 5, 6, 7, 8]);
}

#[test]
fn a_vanished_pod_is_unknown() {
    let draft = saga().pod("a").retry(attempts(2));
    let mut world = World::with(draft).on("a", vec![vanishes().takes(seconds(9))]);
    world.run_until(|world| world.is("a", StepPhase::Retrying));
    assert!(world.step("a").action.unwrap().uncertain);
    assert_eq!(
        world.step("a").message.as_deref(),
        Some("attempt 1 may have happened: its Pod vanished before its end was seen")
    );
    world.run_to_rest();
    assert_eq!((world.phase(), world.keys("a", Action)), (SagaPhase::Completed, vec!["0", "0"]));
}

#[test]
fn what_the_other_side_says_cannot_make_the_status_too_large() {
    let talk = "\u{7}😀\n".repeat(5000);
    let mut draft = saga().parallel(64).compensating();
    for place in 0..127 {
        draft = draft
            .http(&format!("{place:063}"))
            .undo()
            .undo_retry(attempts(6))
            .retry(attempts(6).always("1s"));
    }
    let last = "z".repeat(63);
    let mut world = World::with(draft.http(&last).after(&[&format!("{:063}", 126)]))
        .on(&last, vec![says_no().saying(&talk)]);
    for place in 0..127 {
        world = world.on(&format!("{place:063}"), times(5, &says_no().saying(&talk)));
        world = world.on_undo(&format!("{place:063}"), times(6, &says_no().saying(&talk)));
    }
    // The watcher of every write asserts the length limits.
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::CompensationFailed);
    assert!(!world.step(&last).message.unwrap().contains(char::is_control));
}

#[test]
fn what_the_api_server_says_is_cut_as_well() {
    let mut world =
        World::with(saga().pod("a")).on("a", vec![succeeds().refused_first(3).takes(seconds(5))]);
    world.services.talk = "x".repeat(40_000);
    world.run_until(|world| world.elapsed() >= seconds(1));
    assert!(world.step("a").message.unwrap().starts_with("xxx"));
    world.run_to_rest();
    assert_eq!(world.phase(), SagaPhase::Completed);
}
