//! Tests of attempts that may have acted although no answer arrived, on a real API server: HTTP
//! requests that take effect late, and answers that prove nothing.

use saga_operator::api::{
    Direction, DirectionStatus, Outcome, RequestResult, Saga, SagaPhase, StepPhase,
};
use serde_json::{Value, json};

use crate::{
    pods::{one_step, pod},
    shop::{Entry, Kind},
    stand::{Stand, message, outcomes, post, scope, step, still_in_effect},
};

/// Returns a saga with one charge that has two attempts of two seconds each. The shop knows the
/// charge by the name of the saga.
fn charge(name: &str, more: &Value) -> Value {
    let mut step = json!({
        "name": "charge-card", "http": post("/payments/charges"), "timeout": "2s",
        "retry": {"maxAttempts": 2, "backoff": {"initialDelay": "50ms", "maxDelay": "100ms"}},
        "compensation": {"http": post("/payments/refunds")},
    });
    step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    if step["compensation"].is_null() {
        step.as_object_mut().unwrap().remove("compensation");
    }
    json!({"idempotencyPrefix": name, "onFailure": "Compensate", "steps": [step]})
}

/// Returns the rule for what the shop does with the charges of a saga, one after the other.
fn rule(name: &str, then: &Value) -> Value {
    json!({"match": {"scope": name, "direction": "action"}, "then": then})
}

fn action(saga: &Saga) -> &DirectionStatus {
    step(saga, "charge-card").direction(Direction::Action).unwrap()
}

fn keys(stand: &Stand, name: &str) -> Vec<String> {
    let of = |entry: &Entry| entry.direction == Direction::Action;
    stand.shop.entries(Some(name)).into_iter().filter(of).map(|entry| entry.key).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_lands_after_a_no_is_undone_or_named() {
    let mut stand = Stand::new("doubt").await;
    stand.start();
    let answers = [("conflict", 409), ("unpaid", 402), ("elsewhere", 302), ("missing", 404)];
    let late = |name: &str, status: u16| {
        rule(name, &json!([{"delay": "6s"}, {"answer": status, "forever": true}]))
    };
    let mut rules: Vec<_> = answers.iter().map(|(name, status)| late(name, *status)).collect();
    rules.extend(answers.iter().map(|(name, status)| late(&format!("{name}-bare"), *status)));
    stand.shop.behave(&json!(rules)).unwrap();
    for (name, _) in answers {
        stand.apply(name, &charge(name, &json!({}))).await;
        let bare = format!("{name}-bare");
        stand.apply(&bare, &charge(&bare, &json!({"compensation": null}))).await;
    }
    for (name, status) in answers {
        let saga = stand.reaches(name, SagaPhase::Compensated).await;
        let second = if status == 409 { Outcome::Unknown } else { Outcome::Failed };
        assert_eq!(outcomes(&saga, "charge-card"), [Outcome::Unknown, second], "{name}");
        assert_eq!((action(&saga).failures, action(&saga).uncertain), (0, true), "{name}");
        assert_eq!(step(&saga, "charge-card").phase, StepPhase::Compensated, "{name}");
        // The shop remembers what it has undone: a delayed charge whose work is due after that has
        // no effect.
        let overtaken = |entry: &Entry| entry.scope == name && entry.kind == Kind::Overtaken;
        stand.shop_sees("the late charge", |entries| entries.iter().any(overtaken)).await;
        let summary = stand.shop.summary(name);
        assert!(
            summary.in_effect.is_empty()
                && summary.faults.is_empty()
                && still_in_effect(&saga).is_empty(),
            "{name}: {summary:?}"
        );
        // If no compensation undoes the charge, `stillInEffect` names it.
        let bare = format!("{name}-bare");
        let saga = stand.reaches(&bare, SagaPhase::Compensated).await;
        let done = |entry: &Entry| entry.scope == bare && entry.kind == Kind::Done;
        stand.shop_sees("the late charge", |entries| entries.iter().any(done)).await;
        assert_eq!(
            (still_in_effect(&saga), stand.shop.summary(&bare).in_effect.len()),
            (vec!["charge-card"], 1),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_at_a_first_attempt_is_a_no_that_is_final() {
    let mut stand = Stand::new("first-conflict").await;
    stand.start();
    stand.shop.behave(&json!([rule("order", &json!([{"answer": 409}]))])).unwrap();
    stand.apply("order", &charge("order", &json!({}))).await;
    let saga = stand.reaches("order", SagaPhase::Compensated).await;
    assert_eq!(
        (outcomes(&saga, "charge-card"), action(&saga).failures, action(&saga).uncertain),
        (vec![Outcome::Failed], 1, false)
    );
    assert_eq!(
        (step(&saga, "charge-card").phase, still_in_effect(&saga).len()),
        (StepPhase::Failed, 0)
    );
    assert_eq!(stand.shop.entries(None).len(), 1, "nothing is undone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_2xx_that_expect_refuses_is_undone_named_and_blocks_as_a_pivot() {
    let mut stand = Stand::new("refused-2xx").await;
    stand.start();
    let mut http = post("/payments/charges");
    http["expect"] = json!("response.status == 201 && response.body.state == 'paid'");
    stand.apply("undone", &charge("undone", &json!({"http": http}))).await;
    stand.apply("bare", &charge("bare", &json!({"http": http, "compensation": null}))).await;
    stand.apply("pivot", &charge("pivot", &json!({"http": http, "pivot": true}))).await;
    let saga = stand.reaches("undone", SagaPhase::Compensated).await;
    assert_eq!(
        (outcomes(&saga, "charge-card"), action(&saga).failures),
        (vec![Outcome::Failed], 0),
        "it is tried no more"
    );
    let summary = stand.shop.summary(&scope(&saga));
    assert_eq!(
        (summary.undone, summary.in_effect.len(), still_in_effect(&saga).len()),
        (vec!["charge-card".to_owned()], 0, 0)
    );
    let saga = stand.reaches("bare", SagaPhase::Compensated).await;
    assert_eq!(still_in_effect(&saga), ["charge-card"]);
    let saga = stand.reaches("pivot", SagaPhase::Failed).await;
    assert!(
        message(&saga).contains("the pivot charge-card is passed, or may be"),
        "{}",
        message(&saga)
    );
    assert!(message(&saga).contains("saga.dev/settle=charge-card=Failed"), "{}", message(&saga));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_knows_settles_what_nobody_else_can_tell() {
    let mut stand = Stand::new("settle").await;
    stand.start();
    let held = |name: &str| {
        let mut spec = charge(name, &json!({"outputs": {"id": "${response.body.id}"}}));
        spec["onFailure"] = json!("Hold");
        let ship = json!({
            "name": "ship", "dependsOn": ["charge-card"], "http": post("/shipping/shipments"),
        });
        spec["steps"].as_array_mut().unwrap().push(ship);
        spec["steps"][1]["http"]["body"] = json!({"charge": "${steps['charge-card'].outputs.id}"});
        spec
    };
    let then = |first: Value| json!([first, {"answer": 402}]);
    let rules = [
        rule("nothing", &then(json!({"closeBeforeWork": true}))),
        rule("done", &then(json!({"closeAfterWork": true}))),
    ];
    stand.shop.behave(&json!(rules)).unwrap();
    for name in ["nothing", "done"] {
        stand.apply(name, &held(name)).await;
        let saga = stand.reaches(name, SagaPhase::Failed).await;
        assert!(
            message(&saga).contains(
                "saga.dev/settle=charge-card=Failed or saga.dev/settle=charge-card=Succeeded"
            ),
            "{}",
            message(&saga)
        );
    }
    stand.ask("nothing", "saga.dev/settle=charge-card=Failed");
    let answer = stand.answer("nothing", 1).await;
    assert_eq!(
        (answer.result, answer.message.as_str()),
        (RequestResult::Accepted, "step charge-card is settled: nothing was done")
    );
    let saga = stand.reaches("nothing", SagaPhase::Failed).await;
    assert_eq!((action(&saga).uncertain, action(&saga).failures), (false, 1));
    stand.ask("nothing", "saga.dev/retry=charge-card");
    stand.reaches("nothing", SagaPhase::Completed).await;
    let key = |k: u32| format!("nothing/charge-card/action/{k}");
    assert_eq!(
        keys(&stand, "nothing")
            .into_iter()
            .filter(|key| key.contains("charge"))
            .collect::<Vec<_>>(),
        [key(0), key(0), key(1)]
    );
    stand.ask("done", r#"saga.dev/settle=charge-card=Succeeded={"id":"C-7"}"#);
    let saga = stand.reaches("done", SagaPhase::Completed).await;
    assert_eq!(step(&saga, "charge-card").outputs, json!({"id": "C-7"}).as_object().cloned());
    stand.ask("done", "saga.dev/settle=charge-card=Failed");
    assert_eq!(stand.answer("done", 2).await.result, RequestResult::Refused, "it is done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_says_itself_what_answers_mean() {
    let mut stand = Stand::new("rules").await;
    stand.start();
    let mut http = post("/payments/charges");
    http["answers"] = json!([
        {"when": "response.status == 200 && response.body.status == \
            'declined'", "outcome": "Failed"},
        {"when": "response.status == 409 && attempt.uncertain", "outcome": "Succeeded"},
        {"when": "response.status == 423", "outcome": "Retry"},
    ]);
    let rules = [
        rule("declined", &json!([{"decline": true}])),
        rule("declined-later", &json!([{"closeBeforeWork": true}, {"decline": true}])),
        rule("exists", &json!([{"closeAfterWork": true}, {"answer": 409}])),
        rule("locked", &json!([{"answer": 423}])),
    ];
    stand.shop.behave(&json!(rules)).unwrap();
    for name in ["declined", "declined-later", "exists", "locked"] {
        stand.apply(name, &charge(name, &json!({"http": http}))).await;
    }
    for name in ["declined", "declined-later"] {
        let saga = stand.reaches(name, SagaPhase::Compensated).await;
        assert_eq!(
            (action(&saga).failures, action(&saga).uncertain, still_in_effect(&saga).len()),
            (1, false, 0),
            "{name}"
        );
        assert_eq!(
            step(&saga, "charge-card").phase,
            StepPhase::Failed,
            "{name}: nothing is undone"
        );
    }
    let saga = stand.reaches("exists", SagaPhase::Completed).await;
    assert_eq!(outcomes(&saga, "charge-card"), [Outcome::Unknown, Outcome::Succeeded]);
    let saga = stand.reaches("locked", SagaPhase::Completed).await;
    assert_eq!(
        (outcomes(&saga, "charge-card"), action(&saga).failures),
        (vec![Outcome::Failed, Outcome::Succeeded], 0)
    );
    let refused = charge(
        "both",
        &json!({
            "http": {
                "method": "POST", "url": "SHOP/x", "expect": "true",
                "answers": [{"when": "true", "outcome": "Retry"}],
            },
        }),
    );
    let refused = stand.try_apply("both", &refused).await.unwrap_err().to_string();
    assert!(refused.contains("set expect or answers"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_crashes_keeps_its_key_and_a_final_exit_code_moves_it() {
    let mut stand = Stand::with_pods("exit-codes").await;
    stand.start();
    let crashes = [("one", "exit 1"), ("panic", "exit 101"), ("killed", "exit 137")];
    for (name, command) in crashes {
        let again = format!("[ $SAGA_ATTEMPT != 1 ] || {command}");
        let mut work = pod(&format!("echo $SAGA_IDEMPOTENCY_KEY > /dev/termination-log; {again}"));
        work["finalExitCodes"] = json!([3]);
        stand
            .apply(
                name,
                &one_step(
                    &work,
                    &json!({"retry": {"maxAttempts": 2, "backoff": {"initialDelay": "50ms"}}}),
                ),
            )
            .await;
    }
    let mut work = pod("exit 3");
    work["finalExitCodes"] = json!([3]);
    stand.apply("final", &one_step(&work, &json!({"retry": {"maxAttempts": 2}}))).await;
    for (name, _) in crashes {
        let saga = stand.reaches(name, SagaPhase::Completed).await;
        assert_eq!(
            (outcomes(&saga, "ship"), step(&saga, "ship").action.as_ref().unwrap().failures),
            (vec![Outcome::Failed, Outcome::Succeeded], 0)
        );
    }
    let saga = stand.reaches("final", SagaPhase::Compensated).await;
    assert_eq!(
        (outcomes(&saga, "ship"), step(&saga, "ship").action.as_ref().unwrap().failures),
        (vec![Outcome::Failed], 1)
    );
}
