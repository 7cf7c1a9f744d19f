//! The request that settles an uncertain step: `saga.dev/settle`.

use saga_operator::{
    api::{
        Direction::{Action, Compensation},
        Outcome, RequestAction, SagaPhase, StepPhase,
    },
    clock::later,
};
use serde_json::json;

use crate::{
    doubt::{KEY, charge, record, refund, rested, saga, says, still_in_effect, world},
    script::{Act, says_no, seconds, succeeds, unknown, unknown_but_done},
    world::World,
};

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
fn only_a_step_that_failed_for_good_names_the_command_that_settles_it_and_names_it_once() {
    let command = "; it may have acted: if you know, annotate ";
    let names = |world: &World| {
        let message = world.step("charge").message.unwrap();
        (message.matches(command).count(), message.replace(command, "").starts_with("attempt 2"))
    };
    // The version before left the command in the message of a step that is tried again.
    for (is_of_version_before, times) in [(false, 1), (true, 2)] {
        let mut world = rested(json!({"steps": [charge()]}), vec![unknown(), says(402)]);
        assert_eq!((world.phase(), names(&world)), (SagaPhase::Failed, (1, true)));
        let failed = world.raw["steps"][0]["message"].clone();
        world.suspend();
        world.demand(RequestAction::Retry, "charge");
        assert_eq!((world.step("charge").phase, names(&world)), (StepPhase::Retrying, (0, true)));
        if is_of_version_before {
            let mut status = world.raw.clone();
            status["steps"][0]["message"] = failed;
            world.restore(status);
        }
        world.demand(RequestAction::Cancel, "enough");
        assert_eq!((world.phase(), names(&world)), (SagaPhase::Cancelled, (times, true)));
    }
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
                "http": {"method": "POST", "url": "http://ship.svc/${steps.charge.outputs.id}"},
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
    // Outputs larger than a step may pass on are refused, as they are for a skipped step.
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
    assert!(world.refused(RequestAction::Settle, "charge").contains("a step and its outcome"));
    // The request is refused while the second attempt is under way, and in the reconcile in which
    // the second attempt ends: the request was about the first attempt.
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

/// Creates a world with two attempts of Unknown outcome. The second attempt takes five seconds.
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
            "method": "POST", "url": "http://shop.svc/ship",
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
