//! The HTTP request that is sent again, under the same key, while an earlier attempt is uncertain.

use saga_operator::api::{Direction::Action, Outcome, RequestAction, SagaPhase};
use serde_json::json;

use crate::{
    doubt::{KEY, charge, outcomes, record, refund, rested, saga, says, still_in_effect},
    script::{succeeds, turned_away, unknown, unknown_but_done},
};

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
    // An attempt that was turned away, or never sent, does not make a conflict uncertain either.
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
