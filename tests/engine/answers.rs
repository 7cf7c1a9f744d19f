//! The rules in which a step defines what answers mean.

use saga_operator::api::{
    Direction::{Action, Compensation},
    Outcome, SagaPhase, SagaSpec, StepPhase,
};
use serde_json::{Value, json};

use crate::{
    saga::Draft,
    script::{Act, answers, says_no, seconds, succeeds, unknown, unknown_but_done},
    world::World,
};

/// Returns the spec of a charge with these rules and this many attempts, and of its refund.
fn spec(rules: &[(&str, &str)], attempts: u32) -> Value {
    let rules: Vec<_> =
        rules.iter().map(|(when, outcome)| json!({"when": when, "outcome": outcome})).collect();
    json!({"onFailure": "Compensate", "steps": [{
        "name": "charge",
        "retry": {"maxAttempts": attempts},
        "http": {"method": "POST", "url": "http://bank.svc/charges", "answers": rules},
        "compensation": {
            "http": {
                "method": "POST", "url": "http://bank.svc/refunds",
                "body": {"key": "${action.key}"},
            },
        },
    }]})
}

fn rested(spec: Value, acts: Vec<Act>) -> World {
    let mut world =
        World::with(Draft(serde_json::from_value::<SagaSpec>(spec).unwrap())).on("charge", acts);
    world.run_to_rest();
    world
}

/// Returns the outcome of each attempt, how far the key moved, and whether the step is uncertain.
fn came_to(rules: &[(&str, &str)], acts: Vec<Act>) -> (Vec<Outcome>, i64, bool) {
    let world = rested(spec(rules, 3), acts);
    let action = world.step("charge").action.unwrap();
    (
        action.attempts.iter().map(|attempt| attempt.outcome).collect(),
        action.failures,
        action.uncertain,
    )
}

fn says(status: u16, word: &str) -> Act {
    Act { lands: word == "paid", ..answers(status, &json!({"status": word})) }
}

use Outcome::{Failed, Succeeded, Unknown};

const DECLINED: (&str, &str) = ("response.body.status == 'declined'", "Failed");

#[test]
fn a_payment_that_is_declined_with_200_is_a_no_and_is_not_undone() {
    let rules = [DECLINED];
    let world = rested(spec(&rules, 3), vec![says(200, "declined")]);
    assert_eq!(
        (world.phase(), world.undone().len(), world.status().still_in_effect),
        (SagaPhase::Compensated, 0, Some(vec![]))
    );
    assert_eq!(came_to(&rules, vec![says(200, "declined")]), (vec![Failed], 1, false));
    // A rule is the author's decision. A rule settles what an earlier attempt left open.
    assert_eq!(
        came_to(&rules, vec![unknown(), says(200, "declined")]),
        (vec![Unknown, Failed], 1, false)
    );
    assert_eq!(
        came_to(&rules, vec![unknown(), says(402, "declined")]),
        (vec![Unknown, Failed], 1, false)
    );
    // The built-in meaning applies to an answer that no rule matches.
    assert_eq!(came_to(&rules, vec![says(200, "paid")]), (vec![Succeeded], 0, false));
    assert_eq!(
        came_to(&rules, vec![unknown(), says(402, "other")]),
        (vec![Unknown, Failed], 0, true)
    );
}

#[test]
fn the_first_rule_that_holds_decides() {
    let rules = [("response.status == 402", "Unknown"), ("response.status >= 400", "Succeeded")];
    assert_eq!(
        came_to(&rules, vec![says(402, ""), says(404, "")]),
        (vec![Unknown, Succeeded], 0, false)
    );
}

#[test]
fn what_exists_after_an_earlier_attempt_was_its_own() {
    let rules = [("response.status == 409 && attempt.uncertain", "Succeeded")];
    assert_eq!(
        came_to(&rules, vec![unknown_but_done(), says(409, "")]),
        (vec![Unknown, Succeeded], 0, false)
    );
    assert_eq!(
        came_to(&rules, vec![says(409, "")]),
        (vec![Failed], 1, false),
        "another one's, at a first attempt"
    );
    let rules = [("attempt.number == 2 && !attempt.uncertain", "Succeeded"), ("true", "Retry")];
    assert_eq!(
        came_to(&rules, vec![says(404, ""), says(404, "")]),
        (vec![Failed, Succeeded], 0, false)
    );
}

#[test]
fn a_try_that_began_nothing_is_made_again_with_the_same_key() {
    let rules = [("response.status in [200, 402]", "Retry")];
    assert_eq!(
        came_to(&rules, vec![says(402, ""), succeeds()]),
        (vec![Failed, Succeeded], 0, false)
    );
    assert_eq!(
        came_to(&rules, vec![unknown(), says(402, ""), says(402, "")]),
        (vec![Unknown, Failed, Failed], 0, true),
        "as doubtful as before"
    );
    let world = rested(spec(&rules, 2), vec![says(402, ""), says(402, "")]);
    assert_eq!(
        (world.phase(), world.undone().len(), world.keys("charge", Action)),
        (SagaPhase::Compensated, 0, vec!["0", "0"])
    );
    assert_eq!(
        came_to(&rules, vec![says(200, ""), succeeds()]),
        (vec![Unknown, Succeeded], 0, false),
        "a 2xx may have begun something"
    );
}

#[test]
fn what_is_tried_again_waits_as_long_as_it_is_asked_to() {
    for outcome in ["Retry", "Unknown"] {
        let world = rested(
            spec(&[("response.status == 402", outcome)], 2),
            vec![says(402, "").and_wants(seconds(600)), succeeds()],
        );
        let sent = world.sent_at("charge", Action);
        assert_eq!(
            (world.phase(), sent[1] - sent[0]),
            (SagaPhase::Completed, 601_000),
            "{outcome}"
        );
    }
}

#[test]
fn a_rule_that_cannot_be_evaluated_decides_nothing_but_that_a_2xx_may_have_been_done() {
    let missing = ("response.body.nothing == 1", "Failed");
    assert_eq!(
        came_to(&[missing, DECLINED], vec![says(200, "paid")]),
        (vec![Unknown], 0, true),
        "it is tried no more"
    );
    assert_eq!(
        came_to(&[missing, DECLINED], vec![says(402, "declined")]),
        (vec![Failed], 1, false),
        "the next rule is asked"
    );
    assert_eq!(
        came_to(&[missing], vec![says(503, ""), succeeds()]),
        (vec![Unknown, Succeeded], 0, false),
        "and what is built in"
    );
    assert_eq!(
        came_to(&[DECLINED], vec![says(200, "declined").broken_off()]),
        (vec![Unknown], 0, true)
    );
    assert_eq!(
        came_to(&[DECLINED], vec![says(402, "declined").broken_off()]),
        (vec![Failed], 1, false)
    );
    assert_eq!(
        came_to(&[DECLINED], vec![unknown(), says(402, "declined").broken_off()]),
        (vec![Unknown, Failed], 0, true)
    );
}

#[test]
fn what_a_gateway_says_by_itself_is_no_word_on_what_was_done() {
    for status in [408, 500, 503] {
        let blind = ("response.status >= 400", "Failed");
        assert_eq!(
            came_to(&[blind], vec![says(status, ""), succeeds()]),
            (vec![Unknown, Succeeded], 0, false),
            "{status}"
        );
        assert_eq!(
            came_to(&[DECLINED], vec![says(status, "declined")]),
            (vec![Failed], 1, false),
            "{status}: the service itself says so"
        );
    }
}

#[test]
fn a_compensation_has_rules_of_its_own() {
    let undone = |rule: Value, acts: Vec<Act>| {
        let mut spec = spec(&[DECLINED], 1);
        spec["steps"][0]["compensation"]["http"]["answers"] = json!([rule]);
        spec["steps"][0]["compensation"]["retry"] = json!({"maxAttempts": 2});
        spec["steps"]
            .as_array_mut()
            .unwrap()
            .push(json!({"name": "ship", "dependsOn": ["charge"], "pod": {"image": "ship:1"}}));
        let mut world = World::with(Draft(serde_json::from_value::<SagaSpec>(spec).unwrap()))
            .on("ship", vec![says_no()])
            .on_undo("charge", acts);
        world.run_to_rest();
        (
            world.step("charge").phase,
            world.step("charge").compensation.unwrap().uncertain,
            world.sent_at("charge", Compensation).len(),
        )
    };
    let gone = json!({"when": "response.status == 404", "outcome": "Succeeded"});
    assert_eq!(undone(gone, vec![says(404, "").but_done()]), (StepPhase::Compensated, false, 1));
    let no = json!({"when": "response.body.status == 'too late'", "outcome": "Failed"});
    assert_eq!(
        undone(no, vec![unknown(), says(422, "too late")]),
        (StepPhase::CompensationFailed, false, 2)
    );
}

#[test]
fn a_rule_reads_what_an_answer_shows_and_stands_beside_no_expect() {
    let faults = |change: fn(&mut Value)| {
        let mut spec = spec(&[DECLINED], 1);
        change(&mut spec["steps"][0]["http"]);
        let world = World::with(Draft(serde_json::from_value::<SagaSpec>(spec).unwrap()));
        world.saga.unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    let said = faults(|http| http["expect"] = json!("response.status == 200"));
    assert!(said.contains("spec.steps[0].http.answers: set expect or answers"), "{said}");
    let said = faults(|http| http["answers"] = json!([]));
    assert!(said.contains("must have 1 to 16 rules"), "{said}");
    let said = faults(|http| http["answers"][0]["when"] = json!("object.status == 1"));
    assert!(
        said.contains("spec.steps[0].http.answers[0].when")
            && said.contains("reads object, which is not known here"),
        "{said}"
    );
    let said = faults(|http| http["url"] = json!("http://bank.svc/${attempt.number}"));
    assert!(said.contains("reads attempt, which is not known here"), "{said}");
}
