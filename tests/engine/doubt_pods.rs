//! Programs that ended without telling what they did.

use saga_operator::{
    api::{
        Direction::{Action, Compensation},
        RequestAction, SagaPhase,
    },
    model::saga::Work,
};
use serde_json::{Value, json};

use crate::{
    doubt::{KEY, record, rested, saga},
    script::{says_no, succeeds, vanishes},
    world::World,
};

/// Returns a Pod of three attempts that is not retried after exit code 3, and a Pod that undoes it.
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
        .services
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
        // The key tells the next Pod that the work was done.
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
