//! Requests are carried out once: tokens, numbers, and values that an applied manifest holds.

use saga_operator::api::{HANDLED, RequestResult, SagaPhase};

use crate::{
    requests::{COMPENSATE, RETRY, SKIP, ask, held, last, results, seconds},
    saga::{attempts, saga},
    world::World,
};

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
    world.reapplied = true;
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
        world.reapplied = true;
        assert!(
            ask(&mut world, RETRY, "b").message.contains("an applied manifest holds this value"),
            "in round {round}"
        );
        // A user who may not make requests removes the record of the applied manifest. The value of
        // the request stays as it is.
        world.reapplied = false;
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
    world.reapplied = true;
    ask(&mut world, RETRY, "b");
    // A user makes a request with a token, for a step that does not exist. The tool then restores
    // its own value, which was already refused.
    ask(&mut world, RETRY, "nobody@t1");
    assert_eq!(ask(&mut world, RETRY, "b").value, "nobody@t1");
    world.reapplied = false;
    let refused = ask(&mut world, RETRY, "b");
    assert!(
        refused.result == RequestResult::Refused
            && refused.message.contains("ask again by kubectl annotate"),
        "{refused:?}"
    );
    assert_eq!(world.phase(), SagaPhase::Failed);
    // The refusal holds once. The value may be requested again, whatever was requested in between.
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
