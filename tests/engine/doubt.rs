//! What may have acted although nobody was told: a no proves nothing about it, and only its own
//! undo, a success or a word on it settles it.

use saga_operator::{
    api::{
        Direction::{self, Action, Compensation},
        DirectionStatus, Outcome, RequestAction, SagaPhase, SagaSpec, StepPhase,
    },
    clock::later,
    model::saga::Work,
};
use serde_json::{Value, json};

use crate::{
    saga::Draft,
    script::{
        Act, answers, says_no, seconds, succeeds, turned_away, unknown, unknown_but_done, vanishes,
    },
    world::World,
};

fn world(spec: Value) -> World {
    let spec: SagaSpec = serde_json::from_value(spec).unwrap();
    World::with(Draft(spec))
}

/// A charge that is tried three times, and what refunds it.
fn charge() -> Value {
    json!({
        "name": "charge",
        "retry": {"maxAttempts": 3},
        "http": {"method": "POST", "url": "http://bank/charges", "body": {"amount": 5}},
        "compensation": {
            "retry": {"maxAttempts": 3},
            "http": {
                "method": "POST", "url": "http://bank/refunds",
                "body": {"key": "${action.key}", "how": "${action.outcome}"},
            },
        },
    })
}

fn saga(step: &Value) -> Value {
    json!({"onFailure": "Compensate", "steps": [step]})
}

fn says(status: u16) -> Act {
    answers(status, &json!({"why": "no"}))
}

fn rested(spec: Value, acts: Vec<Act>) -> World {
    let mut world = world(spec).on("charge", acts);
    world.run_to_rest();
    world
}

fn record(world: &World, direction: Direction) -> DirectionStatus {
    world.step("charge").direction(direction).cloned().expect("an attempt was made")
}

fn outcomes(world: &World, direction: Direction) -> Vec<Outcome> {
    record(world, direction).attempts.iter().map(|attempt| attempt.outcome).collect()
}

fn still_in_effect(world: &World) -> Vec<String> {
    world.status().still_in_effect.unwrap_or_default()
}

/// What the newest refund was sent with.
fn refund(world: &World) -> Value {
    let sent = world
        .other_side
        .sent
        .iter()
        .rfind(|sent| sent.attempt.direction == Compensation)
        .expect("it is undone");
    let Work::Http(action) = &sent.work else { panic!("{sent:?}") };
    action.body.clone().unwrap()
}

const KEY: &str = "0d1c5a2e/charge/action/0";

#[test]
fn a_no_proves_nothing_about_an_earlier_attempt() {
    for status in [302, 402, 404, 422] {
        let world = rested(saga(&charge()), vec![unknown_but_done(), says(status)]);
        let action = record(&world, Action);
        assert_eq!(
            outcomes(&world, Action),
            [Outcome::Unknown, Outcome::Failed],
            "{status}: it is tried no more"
        );
        assert_eq!(
            (action.failures, action.uncertain, action.request_hash.is_some()),
            (0, true, true),
            "{status}"
        );
        assert_eq!(refund(&world), json!({"key": KEY, "how": "Unknown"}), "{status}");
        assert_eq!(
            (world.phase(), still_in_effect(&world)),
            (SagaPhase::Compensated, vec![]),
            "{status}"
        );
        assert!(world.other_side.in_effect.is_empty(), "{status}");
    }
}

#[test]
fn what_a_no_left_uncertain_is_named_where_nothing_undoes_it() {
    let mut step = charge();
    step.as_object_mut().unwrap().remove("compensation");
    let world = rested(saga(&step), vec![unknown_but_done(), says(402)]);
    assert_eq!(
        (world.phase(), still_in_effect(&world)),
        (SagaPhase::Compensated, vec!["charge".to_owned()])
    );
    // Also where the saga goes past it.
    let mut world = rested(json!({"steps": [step]}), vec![unknown_but_done(), says(402)]);
    world.demand(RequestAction::Skip, "charge");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), still_in_effect(&world)),
        (SagaPhase::Completed, vec!["charge".to_owned()])
    );
}

#[test]
fn a_conflict_is_asked_again_while_an_earlier_attempt_may_be_under_way() {
    let world = rested(saga(&charge()), vec![unknown_but_done(), says(409), succeeds()]);
    assert_eq!(outcomes(&world, Action), [Outcome::Unknown, Outcome::Unknown, Outcome::Succeeded]);
    assert_eq!(
        (world.phase(), world.keys("charge", Action)),
        (SagaPhase::Completed, vec!["0", "0", "0"])
    );
    assert!(!record(&world, Action).uncertain, "a success settles it");
    let world = rested(saga(&charge()), vec![unknown_but_done(), says(409), says(409)]);
    assert_eq!(
        (world.phase(), refund(&world)),
        (SagaPhase::Compensated, json!({"key": KEY, "how": "Unknown"}))
    );
}

#[test]
fn a_conflict_at_a_first_attempt_is_a_no_and_the_next_attempt_has_another_key() {
    let spec = json!({"steps": [charge()]});
    let mut world = rested(spec, vec![says(409), succeeds()]);
    let action = record(&world, Action);
    assert_eq!(
        (outcomes(&world, Action), action.failures, action.uncertain),
        (vec![Outcome::Failed], 1, false)
    );
    world.demand(RequestAction::Retry, "charge");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.keys("charge", Action)),
        (SagaPhase::Completed, vec!["0", "1"])
    );
    // Neither does what was turned away, or never sent, make it doubtful.
    let world = rested(saga(&charge()), vec![turned_away(), says(409)]);
    assert_eq!(
        (record(&world, Action).failures, still_in_effect(&world), world.undone().len()),
        (1, vec![], 0)
    );
}

#[test]
fn a_person_who_tries_it_again_repeats_the_same_request() {
    let mut world = rested(json!({"steps": [charge()]}), vec![unknown(), says(402), succeeds()]);
    world.demand(RequestAction::Retry, "charge");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.keys("charge", Action)),
        (SagaPhase::Completed, vec!["0", "0", "0"])
    );
}

#[test]
fn a_pivot_that_is_uncertain_stays_so_after_a_no() {
    let mut step = charge();
    step["pivot"] = json!(true);
    for second in [says(402), says(409)] {
        let world = rested(saga(&step), vec![unknown_but_done(), second.clone(), second]);
        assert_eq!(
            (world.phase(), world.undone().len()),
            (SagaPhase::Failed, 0),
            "{}",
            world.message()
        );
        assert!(
            world.message().contains("the pivot charge is passed, or may be"),
            "{}",
            world.message()
        );
    }
    let world = rested(saga(&step), vec![says(402)]);
    assert_eq!(world.phase(), SagaPhase::Compensated, "a no that stands alone is believed");
}

#[test]
fn a_compensation_is_uncertain_by_itself_and_keeps_its_key() {
    let undone = |acts: Vec<Act>| {
        let mut world = world(json!({
            "onFailure": "Compensate",
            "steps": [
                charge(),
                {"name": "ship", "dependsOn": ["charge"], "pod": {"image": "ship:1"}},
            ],
        }))
        .on("ship", vec![says_no()])
        .on_undo("charge", acts);
        world.run_to_rest();
        world
    };
    let mut world = undone(vec![unknown(), says(404), succeeds()]);
    let undo = record(&world, Compensation);
    assert_eq!(
        (world.phase(), undo.failures, undo.uncertain),
        (SagaPhase::CompensationFailed, 0, true)
    );
    assert!(
        world.step("charge").message.unwrap().contains("write it in expect"),
        "a gateway says 404, too"
    );
    assert!(!record(&world, Action).uncertain, "that is another matter");
    let mut skipped = undone(vec![unknown(), says(402)]);
    skipped.demand(RequestAction::Skip, "charge");
    skipped.run_to_rest();
    assert!(
        still_in_effect(&skipped).contains(&"charge".to_owned()),
        "{:?}",
        skipped.status().still_in_effect
    );
    world.demand(RequestAction::Retry, "charge");
    world.run_to_rest();
    assert_eq!(
        (world.keys("charge", Compensation), world.step("charge").phase),
        (vec!["0", "0", "0"], StepPhase::Compensated)
    );
    let world = undone(vec![unknown(), says(409), succeeds()]);
    assert_eq!(
        (world.keys("charge", Compensation), world.step("charge").phase),
        (vec!["0", "0", "0"], StepPhase::Compensated)
    );
}

#[test]
fn a_2xx_that_the_step_does_not_take_may_have_acted() {
    let mut step = charge();
    step["http"]["expect"] = json!("response.body.state == 'done'");
    let open = || answers(200, &json!({"state": "open"}));
    let world = rested(saga(&step), vec![open()]);
    let action = record(&world, Action);
    assert_eq!(
        (outcomes(&world, Action), action.failures, action.uncertain),
        (vec![Outcome::Failed], 0, true),
        "it is tried no more"
    );
    assert_eq!(
        (world.phase(), refund(&world)),
        (SagaPhase::Compensated, json!({"key": KEY, "how": "Unknown"}))
    );
    step["pivot"] = json!(true);
    let world = rested(saga(&step), vec![open()]);
    assert_eq!(
        (world.phase(), world.undone().len()),
        (SagaPhase::Failed, 0),
        "an uncertain pivot holds"
    );
    step.as_object_mut().unwrap().remove("pivot");
    step.as_object_mut().unwrap().remove("compensation");
    let world = rested(saga(&step), vec![open()]);
    assert_eq!(
        (world.phase(), still_in_effect(&world)),
        (SagaPhase::Compensated, vec!["charge".to_owned()])
    );
    let world = rested(
        saga(&step),
        vec![answers(402, &json!({"state": "done"})).takes(seconds(2)), succeeds()],
    );
    assert_eq!(
        world.phase(),
        SagaPhase::Completed,
        "what it takes is a success whatever the status"
    );
}

#[test]
fn a_request_that_only_asks_is_never_uncertain() {
    let look = |compensation: bool| {
        let mut step = charge();
        step["pivot"] = json!(true);
        step["http"] = json!({
            "method": "GET", "url": "http://bank/charges", "expect": "response.status == 204",
        });
        if !compensation {
            step.as_object_mut().unwrap().remove("compensation");
        }
        step
    };
    for acts in [vec![unknown(), says(404)], vec![says(200)], vec![unknown(), unknown(), unknown()]]
    {
        let world = rested(saga(&look(false)), acts.clone());
        assert!(!record(&world, Action).uncertain, "{acts:?}");
        assert_eq!(
            (world.phase(), still_in_effect(&world)),
            (SagaPhase::Compensated, vec![]),
            "{acts:?}"
        );
        let world = rested(saga(&look(true)), acts.clone());
        assert!(
            record(&world, Action).uncertain,
            "what has something to undo may have done something: {acts:?}"
        );
    }
}

/// A pod that is tried three times, not after the exit code 3, and a pod that undoes it.
fn shipment() -> Value {
    json!({
        "name": "charge",
        "retry": {"maxAttempts": 3},
        "pod": {"image": "charge:1", "finalExitCodes": [3]},
        "compensation": {
            "pod": {"image": "refund:1", "args": ["${action.key}", "${action.outcome}"]},
        },
    })
}

fn refunded_by_pod(world: &World) -> Vec<String> {
    let sent = world
        .other_side
        .sent
        .iter()
        .rfind(|sent| sent.attempt.direction == Compensation)
        .expect("it is undone");
    let Work::Pod(action) = &sent.work else { panic!("{sent:?}") };
    action.args.clone().unwrap()
}

#[test]
fn a_program_that_crashed_may_have_done_its_work_and_its_key_stays() {
    for code in [1, 101, 137] {
        let crash = || says_no().with_exit_code(code);
        // The next one is told by its key that the work was done.
        let world = rested(saga(&shipment()), vec![crash().but_done(), crash()]);
        assert_eq!(
            (world.phase(), world.keys("charge", Action)),
            (SagaPhase::Completed, vec!["0", "0"]),
            "{code}"
        );
        let world = rested(saga(&shipment()), vec![crash(), crash(), crash()]);
        assert_eq!(
            (world.phase(), refunded_by_pod(&world)),
            (SagaPhase::Compensated, vec![KEY.to_owned(), "Failed".into()]),
            "{code}"
        );
    }
}

#[test]
fn only_an_exit_code_that_the_step_calls_final_is_a_no() {
    let mut world =
        rested(json!({"steps": [shipment()]}), vec![says_no().with_exit_code(3), succeeds()]);
    assert_eq!((record(&world, Action).failures, world.sent_at("charge", Action).len()), (1, 1));
    world.demand(RequestAction::Retry, "charge");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.keys("charge", Action)),
        (SagaPhase::Completed, vec!["0", "1"])
    );
}

#[test]
fn the_exit_code_of_a_later_pod_does_not_settle_a_lost_one() {
    let mut step = shipment();
    step["pivot"] = json!(true);
    let world = rested(saga(&step), vec![vanishes(), says_no().with_exit_code(3)]);
    let action = record(&world, Action);
    assert_eq!((action.failures, action.uncertain), (0, true));
    assert_eq!(
        (world.phase(), world.undone().len()),
        (SagaPhase::Failed, 0),
        "an uncertain pivot holds"
    );
    step.as_object_mut().unwrap().remove("pivot");
    let world = rested(saga(&step), vec![vanishes(), says_no().with_exit_code(3)]);
    assert_eq!(
        (world.phase(), refunded_by_pod(&world)),
        (SagaPhase::Compensated, vec![KEY.to_owned(), "Unknown".into()])
    );
}

#[test]
fn who_knows_that_nothing_was_done_settles_the_step_and_the_next_attempt_is_another_request() {
    let mut world = rested(json!({"steps": [charge()]}), vec![unknown(), says(402), succeeds()]);
    let message = world.step("charge").message.unwrap();
    assert!(
        message.ends_with(
            "if you know, annotate saga.dev/settle=charge=Failed or \
        saga.dev/settle=charge=Succeeded"
        ),
        "{message}"
    );
    world.demand(RequestAction::Settle, "charge=Failed");
    world.run_to_rest();
    let action = record(&world, Action);
    assert_eq!(
        (world.phase(), world.step("charge").phase),
        (SagaPhase::Failed, StepPhase::Failed),
        "it stays failed"
    );
    assert_eq!(
        (action.uncertain, action.failures, action.last_outcome, action.request_hash),
        (false, 1, Some(Outcome::Failed), None)
    );
    let message = world.step("charge").message.unwrap();
    assert!(
        message.starts_with("settled by request as Failed, after attempt 2 failed: ")
            && !message.contains("annotates"),
        "{message}"
    );
    world.demand(RequestAction::Retry, "charge");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.keys("charge", Action)),
        (SagaPhase::Completed, vec!["0", "0", "1"])
    );
}

#[test]
fn what_was_settled_as_failed_is_neither_undone_nor_named_and_a_pivot_blocks_no_more() {
    let mut step = charge();
    step["pivot"] = json!(true);
    let mut world = rested(saga(&step), vec![unknown(), says(402)]);
    assert_eq!(world.phase(), SagaPhase::Failed);
    world.demand(RequestAction::Settle, "charge=Failed");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), still_in_effect(&world), world.undone().len()),
        (SagaPhase::Compensated, vec![], 0)
    );
}

#[test]
fn who_knows_that_it_was_done_has_the_saga_go_on_and_it_is_undone_like_any_other() {
    let mut spec = json!({
        "steps": [
            charge(),
            {
                "name": "ship", "dependsOn": ["charge"],
                "http": {"method": "POST", "url": "http://ship/${steps.charge.outputs.id}"},
            },
        ],
    });
    spec["steps"][0]["outputs"] = json!({"id": "${response.body.id}"});
    let acts = || vec![unknown_but_done(), says(402)];
    let mut world = rested(spec.clone(), acts());
    world.demand(RequestAction::Settle, r#"charge=Succeeded={"id":"c7"}"#);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.step("charge").phase),
        (SagaPhase::Completed, StepPhase::Completed)
    );
    assert_eq!(world.step("charge").outputs, json!({"id": "c7"}).as_object().cloned());
    world.demand(RequestAction::Compensate, "returned");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), refund(&world)),
        (SagaPhase::Compensated, json!({"key": KEY, "how": "Succeeded"}))
    );
    // More than a step may hand on is refused as of a skipped one.
    let mut world = rested(spec, acts());
    assert!(
        world
            .refused(
                RequestAction::Settle,
                &format!("charge=Succeeded={{\"id\":\"{}\"}}", "x".repeat(5000))
            )
            .contains("4096")
    );
}

#[test]
fn a_step_that_waits_for_its_next_attempt_is_settled_as_well() {
    let retrying = || {
        let mut step = charge();
        step["retry"] =
            json!({"maxAttempts": 3, "backoff": {"type": "None", "initialDelay": "1h"}});
        let mut world = world(saga(&step)).on("charge", vec![unknown()]);
        world.run_until(|world| world.is("charge", StepPhase::Retrying));
        world
    };
    let mut world = retrying();
    world.demand(RequestAction::Settle, "charge=Failed");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.keys("charge", Action)),
        (SagaPhase::Completed, vec!["0", "1"])
    );
    let mut world = retrying();
    world.demand(RequestAction::Settle, "charge=Succeeded");
    world.run_to_rest();
    assert_eq!((world.phase(), world.keys("charge", Action)), (SagaPhase::Completed, vec!["0"]));
}

#[test]
fn a_compensation_is_settled_as_failed_or_as_done() {
    let stuck = |first: Act| {
        let ship = json!({"name": "ship", "dependsOn": ["charge"], "pod": {"image": "ship:1"}});
        let mut world = world(json!({"onFailure": "Compensate", "steps": [charge(), ship]}))
            .on("ship", vec![says_no()])
            .on_undo("charge", vec![first, says(402), succeeds()]);
        world.run_to_rest();
        assert_eq!(world.phase(), SagaPhase::CompensationFailed);
        assert!(world.message().contains("saga.dev/settle=charge=Failed"), "{}", world.message());
        world
    };
    let mut world = stuck(unknown_but_done());
    world.demand(RequestAction::Settle, "charge=Succeeded");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.step("charge").phase),
        (SagaPhase::Compensated, StepPhase::Compensated)
    );
    let mut world = stuck(unknown());
    world.demand(RequestAction::Settle, "charge=Failed");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), record(&world, Compensation).uncertain),
        (SagaPhase::CompensationFailed, false)
    );
    world.demand(RequestAction::Retry, "charge");
    world.run_to_rest();
    assert_eq!(
        (world.step("charge").phase, world.keys("charge", Compensation)),
        (StepPhase::Compensated, vec!["0", "0", "1"])
    );
    let mut world = stuck(unknown());
    assert!(
        world
            .refused(RequestAction::Settle, r#"charge=Succeeded={"a":1}"#)
            .contains("has no outputs")
    );
}

#[test]
fn a_word_is_taken_only_while_the_step_is_uncertain_and_nothing_of_it_is_under_way() {
    let mut world = rested(json!({"steps": [charge()]}), vec![says(402)]);
    let said = world.refused(RequestAction::Settle, "charge=Failed");
    assert!(said.contains("may have acted, with no attempt under way: none is now"), "{said}");
    assert!(world.refused(RequestAction::Settle, "charge").contains("what became of it"));
    // While the second attempt is under way, and in the look in which that ends: the word was about
    // the first.
    let during = |at: u64| {
        let mut world = world_of_two();
        world.run_until(|world| world.sent().len() == 2);
        world.now = later(world.now, seconds(at));
        world.annotate(RequestAction::Settle.annotation(), "charge=Failed");
        world.run_to_rest();
        world.status().requests[0].result
    };
    assert_eq!(
        [during(1), during(5)].map(saga_operator::api::RequestResult::as_str),
        ["Refused"; 2]
    );
    let mut world = rested(saga(&charge()), vec![succeeds()]);
    assert!(
        world.refused(RequestAction::Settle, "charge=Failed").contains("the saga is Completed")
    );
}

/// The second of two attempts takes five seconds, and nobody can tell of either.
fn world_of_two() -> World {
    let mut step = charge();
    step["retry"] = json!({"maxAttempts": 2});
    world(json!({"steps": [step]}))
        .on("charge", vec![unknown(), unknown_but_done().takes(seconds(5))])
}

#[test]
fn a_step_is_not_settled_as_done_without_the_outputs_that_a_later_step_reads() {
    let ship = json!({
        "name": "ship",
        "dependsOn": ["charge"],
        "http": {
            "method": "POST", "url": "http://shop/ship",
            "body": {"charge": "${steps.charge.outputs.id}"},
        },
    });
    let mut charge = charge();
    charge["outputs"] = json!({"id": "${response.body.id}"});
    let mut world = rested(json!({"steps": [charge, ship]}), vec![unknown(), says(402)]);
    let refused = world.refused(RequestAction::Settle, "charge=Succeeded");
    assert!(refused.contains(r#"write saga.dev/settle=charge=Succeeded={"id":…}"#), "{refused}");
    assert!(record(&world, Action).uncertain, "a refusal changes nothing");
    world.demand(RequestAction::Settle, r#"charge=Succeeded={"id":"C-7"}"#);
    world.run_to_rest();
    assert_eq!(
        (world.phase(), world.step("ship").phase),
        (SagaPhase::Completed, StepPhase::Completed)
    );
}
