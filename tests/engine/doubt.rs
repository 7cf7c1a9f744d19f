//! Attempts that may have acted although no answer arrived. A later refusal proves nothing about
//! such an attempt. Only its own undo, a success, or a request to settle it settles such an
//! attempt.

use saga_operator::{
    api::{
        Direction::{self, Action, Compensation},
        DirectionStatus, Outcome, RequestAction, SagaPhase, SagaSpec, StepPhase,
    },
    model::saga::Work,
};
use serde_json::{Value, json};

use crate::{
    saga::Draft,
    script::{Act, answers, says_no, seconds, succeeds, unknown, unknown_but_done},
    world::World,
};

pub(crate) fn world(spec: Value) -> World {
    let spec: SagaSpec = serde_json::from_value(spec).unwrap();
    World::with(Draft(spec))
}

/// Returns a charge of three attempts, and its refund.
pub(crate) fn charge() -> Value {
    json!({
        "name": "charge",
        "retry": {"maxAttempts": 3},
        "http": {"method": "POST", "url": "http://bank.svc/charges", "body": {"amount": 5}},
        "compensation": {
            "retry": {"maxAttempts": 3},
            "http": {
                "method": "POST", "url": "http://bank.svc/refunds",
                "body": {"key": "${action.key}", "how": "${action.outcome}"},
            },
        },
    })
}

pub(crate) fn saga(step: &Value) -> Value {
    json!({"onFailure": "Compensate", "steps": [step]})
}

pub(crate) fn says(status: u16) -> Act {
    answers(status, &json!({"why": "no"}))
}

pub(crate) fn rested(spec: Value, acts: Vec<Act>) -> World {
    let mut world = world(spec).on("charge", acts);
    world.run_to_rest();
    world
}

pub(crate) fn record(world: &World, direction: Direction) -> DirectionStatus {
    world.step("charge").direction(direction).cloned().expect("an attempt was made")
}

pub(crate) fn outcomes(world: &World, direction: Direction) -> Vec<Outcome> {
    record(world, direction).attempts.iter().map(|attempt| attempt.outcome).collect()
}

pub(crate) fn still_in_effect(world: &World) -> Vec<String> {
    world.status().still_in_effect.unwrap_or_default()
}

/// Returns what the newest refund was sent with.
pub(crate) fn refund(world: &World) -> Value {
    let sent = world
        .services
        .sent
        .iter()
        .rfind(|sent| sent.attempt.direction == Compensation)
        .expect("it is undone");
    let Work::Http(action) = &sent.work else { panic!("{sent:?}") };
    action.body.clone().unwrap()
}

pub(crate) const KEY: &str = "0d1c5a2e/charge/action/0";

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
        assert!(world.services.in_effect.is_empty(), "{status}");
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
    // The step is named also if the saga continues without it.
    let mut world = rested(json!({"steps": [step]}), vec![unknown_but_done(), says(402)]);
    world.demand(RequestAction::Skip, "charge");
    world.run_to_rest();
    assert_eq!(
        (world.phase(), still_in_effect(&world)),
        (SagaPhase::Completed, vec!["charge".to_owned()])
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
            "method": "GET", "url": "http://bank.svc/charges", "expect": "response.status == 204",
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
